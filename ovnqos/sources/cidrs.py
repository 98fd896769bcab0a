"""CIDRs as Kubernetes writes them: full addresses with a prefix length, in the canonical form for the model.

The grammar is that of Go's `net.ParseCIDR`, which the API uses: no abbreviations, no netmasks, no zones, no octets with
leading zeros. An IPv4-mapped IPv6 network is refused too: Go silently takes it for IPv4.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from typing import Literal

from netaddr import IPNetwork

from ovnqos.sources.fields import InvalidValueError, show

_ABBREVIATED = re.compile(r"[0-9]{1,3}(\.[0-9]{1,3}){0,2}")
_LEADING_ZERO = re.compile(r"(.*\.)?0[0-9]+(\..*)?")
_PREFIX_LENGTH = re.compile(r"0|[1-9][0-9]{0,2}")
_EXAMPLE = "write it like 10.0.0.0/8 or 2001:db8::/32"
_CACHE_SIZE = 16_384


def parse_cidr(text: str) -> tuple[IPNetwork, str]:
    """Parse a CIDR.

    Returns:
        The network without host bits, and a text that is empty unless host bits were cleared.

    Raises:
        InvalidValueError: it is none.
    """
    version, network, length, cleared = _parse(text)
    return IPNetwork((network, length), version=version), cleared


@functools.lru_cache(_CACHE_SIZE)  # policies repeat their CIDRs; only numbers are shared, since IPNetwork is mutable
def _parse(text: str) -> tuple[Literal[4, 6], int, int, str]:
    address_text, slash, length_text = text.partition("/")
    address = _parse_address(address_text, text)
    bits = address.max_prefixlen
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
    return address.version, network, length, f"{text} has bits set after its prefix; read as {canonical}"


def _parse_address(address_text: str, text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    try:
        address = ipaddress.ip_address(address_text)
    except ValueError:
        raise _invalid_address(address_text, text) from None
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            raise InvalidValueError(f"{show(text)} names a zone (%...), which no CIDR can", "leave it out")
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
            f"{show(text)} has a number with a leading zero, which could be meant as octal", "write it without"
        )
    return InvalidValueError(f"{show(text)} is not a CIDR", _EXAMPLE)
