"""What OVN's lexer reads as the name of a set or group, as a field, and as a number or address.

Source: ovn-sb(5), Logical_Flow, match; what ovn-trace of OVN 23.03 was seen to take and to refuse.
"""

from __future__ import annotations

import re

from netaddr import valid_ipv4, valid_ipv6

from ovnqos.errors import InvalidRow

_NAME = re.compile(r"[A-Za-z_.][A-Za-z0-9_.]*\Z")
_FIELD = re.compile(r"[A-Za-z_.][A-Za-z0-9_.]*(?:\[[0-9]+(?:\.\.[0-9]+)?\])?\Z")
_INTEGER = re.compile(r"(?:0[xX][0-9A-Fa-f]+|0|[1-9][0-9]*)\Z")
_ETHERNET = re.compile(r"[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5}\Z")
_PREFIX_LENGTH = re.compile(r"[0-9]{1,3}\Z")


def check_name(name: str) -> str:
    """Return a name that OVN can use in a match; raise InvalidRow for another (ovn-nb(5), Address_Set, name)."""
    if not _NAME.match(name):
        raise InvalidRow(
            f"{name!r} cannot name an address set or port group: use letters, digits, _ and ., and no digit first"
        )
    return name


def check_field(name: str) -> str:
    """Return the name of a field, predicate or function, as `ip4.src` or `reg0[0..3]`; raise InvalidRow for another."""
    if not _FIELD.match(name):
        raise InvalidRow(f"{name!r} is not a field of a match expression")
    return name


def check_number(text: str) -> str:
    """Return a decimal or hexadecimal number or an address, with or without mask; raise InvalidRow for another text."""
    value, slash, mask = text.partition("/")
    if not (_is_masked_address(value, mask) if slash else _is_number(value)):
        raise InvalidRow(f"{text!r} is not a number, and not an IP or Ethernet address")
    return text


def _is_number(text: str) -> bool:
    return bool(_INTEGER.match(text) or _ETHERNET.match(text) or _address_width(text))


def _is_masked_address(value: str, mask: str) -> bool:
    if any(form.match(value) and form.match(mask) for form in (_INTEGER, _ETHERNET)):
        return True
    width = _address_width(value)
    if width is None:
        return False
    if _PREFIX_LENGTH.match(mask):
        return int(mask) <= width
    return _address_width(mask) == width


def _address_width(text: str) -> int | None:
    """Bits of an IP address; None for another text.

    Do not ask about a prefix length: what netaddr raises inside is a cycle, which only the collector takes away.
    """
    if ":" in text:
        return 128 if valid_ipv6(text) else None
    return 32 if valid_ipv4(text) else None
