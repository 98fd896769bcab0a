"""Single values: how they are shown in a message, and the syntax of CIDRs.

The grammar of CIDRs is that of Go's `net.ParseCIDR`, which the API uses: no abbreviations, netmasks or zones, no octets
with leading zeros. An IPv4-mapped IPv6 network is refused too: Go silently takes it for IPv4.
"""

from __future__ import annotations

import difflib
import functools
import ipaddress
import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from netaddr import IPNetwork

if TYPE_CHECKING:
    from collections.abc import Iterable


_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]{1,100}")
_BRACKETED_KEY = re.compile(r"[A-Za-z0-9_./-]{1,400}")
_SHOWN_LENGTH = 100
_SHOWN_BITS = 256
_ABBREVIATED = re.compile(r"[0-9]{1,3}(\.[0-9]{1,3}){0,2}")
_LEADING_ZERO = re.compile(r"(.*\.)?0[0-9]+(\..*)?")
_PREFIX_LENGTH = re.compile(r"0|[1-9][0-9]{0,2}")
_EXAMPLE = "write it like 10.0.0.0/8 or 2001:db8::/32"
_CACHE_SIZE = 16_384


def child_path(path: str, key: object) -> str:
    """Append a key to a dotted path; a key that holds dots or slashes goes in brackets, and so does an index."""
    if isinstance(key, int):
        return f"{path}[{key}]"
    text = str(key)
    if _PLAIN_KEY.fullmatch(text):
        return f"{path}.{text}" if path else text
    return f"{path}[{text if _BRACKETED_KEY.fullmatch(text) else show(text)}]"


def show(value: object) -> str:
    """A value as a reader of a one-line message sees it: JSON in ASCII, cut when long; mappings and lists by name."""
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "a list"
    if isinstance(value, int) and value.bit_length() > _SHOWN_BITS:
        return "a number of more than 70 digits"
    if isinstance(value, str) and len(value) > _SHOWN_LENGTH:
        value = value[:_SHOWN_LENGTH] + "..."
    return json.dumps(value, default=str)


def describe(value: object) -> str:
    """A value of the wrong type, with its type: `the string "20"`, `the boolean true`, `a list`."""
    match value:
        case bool():
            return f"the boolean {show(value)}"
        case int() | float():
            return f"the number {show(value)}"
        case str():
            return f"the string {show(value)}"
        case _:
            return show(value)


class InvalidValueError(ValueError):
    """A value is not what its field takes.

    Attributes:
        text: what is wrong.
        hint: what to write.
    """

    def __init__(self, text: str, *hints: str) -> None:
        self.text = text
        self.hint = "; ".join(filter(None, hints))
        super().__init__(f"{text}; {self.hint}" if self.hint else text)


def suggest(word: str, known: Iterable[str]) -> str:
    """`did you mean X?` for the known word that looks most like it, or nothing."""
    spellings = {candidate.lower(): candidate for candidate in known}
    begun = [spelling for spelling in spellings if len(word) > 2 and spelling.startswith(word.lower())]
    close = begun or difflib.get_close_matches(word.lower(), spellings, n=1, cutoff=0.7)
    return f"did you mean {spellings[close[0]]}?" if close else ""


def parse_cidr(text: str, *, or_address: bool = False) -> tuple[IPNetwork, str]:
    """Parse a CIDR.

    Args:
        text: the CIDR.
        or_address: whether a single address is read as the CIDR of that address, as ovn-kubernetes does.

    Returns:
        The network without host bits, and a text that is empty unless host bits were cleared or it is of an address.

    Raises:
        InvalidValueError: the text is not a CIDR.
    """
    version, network, length, cleared = _parse(text, or_address)
    return IPNetwork((network, length), version=version), cleared


@functools.lru_cache(_CACHE_SIZE)  # policies repeat their CIDRs; only numbers are shared, since IPNetwork is mutable
def _parse(text: str, or_address: bool) -> tuple[Literal[4, 6], int, int, str]:
    address_text, slash, length_text = text.partition("/")
    address = _parse_address(address_text, text)
    bits = address.max_prefixlen
    if not slash and or_address:
        return address.version, int(address), bits, f"{text} has no prefix length; read as {address}/{bits}"
    if not slash:
        raise InvalidValueError(f"{text} has no prefix length", f"write {text}/{bits} for this one address")
    if not _PREFIX_LENGTH.fullmatch(length_text) or int(length_text) > bits:
        raise InvalidValueError(
            f"{show(text)} has a wrong prefix length", f"use a whole number from 0 to {bits} after the slash"
        )
    length = int(length_text)
    network = int(address) >> (bits - length) << (bits - length)
    if network == int(address):
        return address.version, network, length, ""
    canonical = IPNetwork((network, length), version=address.version)
    return address.version, network, length, f"{text} has host bits set; read as {canonical}"


def _parse_address(address_text: str, text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    try:
        address = ipaddress.ip_address(address_text)
    except ValueError:
        raise _invalid_address(address_text, text) from None
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            raise InvalidValueError(f"{show(text)} has a zone (%...), which a CIDR cannot have", "remove it")
        if address.ipv4_mapped is not None:
            raise InvalidValueError(
                f"{text} is IPv4 written as IPv6", f"write {address.ipv4_mapped} with an IPv4 prefix length (0 to 32)"
            )
    return address


def _invalid_address(address_text: str, text: str) -> InvalidValueError:
    if text != text.strip():
        return InvalidValueError(f"{show(text)} has spaces around it", "remove them")
    if _ABBREVIATED.fullmatch(address_text):
        missing = 3 - address_text.count(".")
        length = text[len(address_text) :] or f"/{32 - 8 * missing}"
        whole = address_text + ".0" * missing + length
        return InvalidValueError(f"{show(text)} is abbreviated", f"write all four numbers: {whole}")
    if _LEADING_ZERO.fullmatch(address_text) and ":" not in address_text:
        return InvalidValueError(
            f"{show(text)} has a number with a leading zero, which could be octal", "write it without"
        )
    return InvalidValueError(f"{show(text)} is not a CIDR", _EXAMPLE)
