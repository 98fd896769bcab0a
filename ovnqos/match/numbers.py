"""Numbers and addresses of a match expression as integers, with mask and width, as OVN compares them.

Source: ovn-sb(5), Logical_Flow, match; ovn-trace of OVN 23.03 and 25.03, which agree on every form tried.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

from netaddr import INET_PTON, AddrFormatError, IPAddress

_DECIMAL: Final = re.compile(r"(?:0|[1-9][0-9]*)\Z")
_HEXADECIMAL: Final = re.compile(r"0[xX][0-9A-Fa-f]+\Z")
_ETHERNET: Final = re.compile(r"[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5}\Z")
_IPV4, _IPV6, _MAC = "IPv4", "IPv6", "Ethernet"
_WIDTHS: Final = {_IPV4: 32, _IPV6: 128, _MAC: 48}


class Unparsable(Exception):  # noqa: N818 - says what is so; it never leaves this package
    """OVN cannot parse an expression; the message says why."""


class Number(NamedTuple):
    """A constant: its value, its mask (None: every bit counts), and how many bits a field must have to take it."""

    value: int
    mask: int | None
    width: int

    def equals(self, value: int, bits: int) -> bool:
        """Whether a field's value is this constant, both cut to so many bits; bits outside the mask do not count."""
        mask = (1 << bits) - 1
        if self.mask is not None:
            mask &= self.mask
        return value & mask == self.value & mask


@lru_cache(maxsize=1 << 16)
def read_number(text: str) -> Number:
    """Read a number or an address, with or without mask. Raises Unparsable for a text that is neither."""
    left, slash, right = text.partition("/")
    form, value = _read(left)
    if not slash:
        return Number(value, None, _WIDTHS.get(form) or value.bit_length())
    mask_form, mask = _read(right)
    if mask_form == "decimal" and form in {_IPV4, _IPV6} and mask <= _WIDTHS[form]:
        mask = ((1 << mask) - 1) << (_WIDTHS[form] - mask)
    elif mask_form != form:
        raise Unparsable(f"value and mask of {text} have different formats")
    return Number(value & mask, mask, mask.bit_length())


def _read(text: str) -> tuple[str, int]:
    if _DECIMAL.match(text):
        return "decimal", int(text)
    if _HEXADECIMAL.match(text):
        return "hexadecimal", int(text, 16)
    if _ETHERNET.match(text):
        return _MAC, int(text.replace(":", ""), 16)
    try:
        address = IPAddress(text, flags=INET_PTON)
    except (AddrFormatError, ValueError):
        raise Unparsable(f"{text} is no number or address") from None
    return (_IPV4 if address.version == 4 else _IPV6), int(address)
