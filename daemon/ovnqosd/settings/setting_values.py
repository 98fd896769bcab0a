"""What a setting's value can be: from what a flag, the environment or YAML says to the value, and back.

A converter takes a text, or what YAML made of one, and raises ValueError with what would be right.
"""

from __future__ import annotations

import ipaddress
import math
import re
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from netaddr import AddrFormatError, IPNetwork

from ovnqos import InvalidRow, Owner, TopologyChoice, TopologyKind, parse_topology_choice

if TYPE_CHECKING:
    from collections.abc import Callable

_E = TypeVar("_E", bound=Enum)
_TRUE: Final = frozenset({"true", "yes", "on", "1"})
_FALSE: Final = frozenset({"false", "no", "off", "0"})
_LABEL: Final = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_SUBDOMAIN: Final = re.compile(rf"{_LABEL}(\.{_LABEL})*\Z")
_NAMESPACE: Final = re.compile(rf"{_LABEL}\Z")
_ZONE: Final = re.compile(r"[A-Za-z0-9_.-]{0,252}[A-Za-z0-9]\Z")


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """Where a server listens; an empty host is every address of the machine, of IPv4 and IPv6."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def text(value: object) -> str:
    """One line that is not empty."""
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise ValueError("give one line of text")
    return value


def path(value: object) -> Path:
    """A path."""
    return Path(text(value))


def boolean(value: object) -> bool:
    """True or false."""
    if isinstance(value, bool):
        return value
    word = value.lower() if isinstance(value, str) else ""
    if word in _TRUE | _FALSE:
        return word in _TRUE
    raise ValueError("give true or false")


def seconds(at_least: float) -> Callable[[object], float]:
    """A duration, as a plain number of seconds."""

    def convert(value: object) -> float:
        found = math.nan
        if isinstance(value, (int, float, str)) and not isinstance(value, bool):
            try:
                found = float(value)
            except (ValueError, OverflowError):
                found = math.nan
        if not math.isfinite(found) or found < at_least:
            raise ValueError(f"give a number of seconds, at least {at_least:g}")
        return found

    return convert


def choice(kind: type[_E]) -> Callable[[object], _E]:
    """One of an enum's values."""

    def convert(value: object) -> _E:
        try:
            return kind(value)
        except ValueError:
            raise ValueError(f"give {' or '.join(str(one.value) for one in kind)}") from None

    return convert


def object_name(value: object) -> str:
    """The name of a node or another Kubernetes object."""
    if not isinstance(value, str) or len(value) > 253 or not _SUBDOMAIN.match(value):
        raise ValueError("give a name of Kubernetes: small letters, digits, '-' and '.'")
    return value


def namespace_name(value: object) -> str:
    """The name of a namespace."""
    if not isinstance(value, str) or not _NAMESPACE.match(value):
        raise ValueError("give the name of a namespace: up to 63 small letters, digits and '-'")
    return value


def zone_name(value: object) -> str:
    """A zone's name, as it can stand in a condition's type."""
    if not isinstance(value, str) or not _ZONE.match(value):
        raise ValueError("give up to 253 letters, digits, '-', '_' and '.', the last a letter or digit")
    return value


def owner_name(value: object) -> str:
    """The name of an owner of rows."""
    try:
        return Owner(text(value)).name
    except InvalidRow as error:
        raise ValueError(str(error).partition(": ")[2]) from None


def listen_address(value: object) -> ListenAddress:
    """`<address>:<port>` or `:<port>`."""
    host, colon, port = value.rpartition(":") if isinstance(value, str) else ("", "", "")
    bracketed = host.startswith("[") and host.endswith("]")
    if bracketed:
        host = host[1:-1]
    try:
        is_v6 = bool(host) and host != "localhost" and ipaddress.ip_address(host).version == 6
        number = int(port) if port.isascii() and port.isdigit() else -1
        if not colon or bracketed != is_v6 or not 0 <= number <= 65535:
            raise ValueError
    except ValueError:
        raise ValueError("give :PORT, IPV4:PORT or [IPV6]:PORT") from None
    return ListenAddress(host, number)


def topology(value: object) -> TopologyChoice:
    """A topology, but `auto`: a daemon that starts before the pods do would find nothing to tell it by."""
    words = "give ovn-kubernetes, kube-ovn or static:FILE, where FILE is a topology map"
    try:
        choice = parse_topology_choice(text(value))
    except ValueError:
        raise ValueError(words) from None
    if choice.kind is TopologyKind.AUTO:
        raise ValueError(words)
    return choice


def cidrs(value: object) -> tuple[IPNetwork, ...]:
    """CIDRs, as a list or in one text with commas; an empty one has none."""
    parts = value.split(",") if isinstance(value, str) else value
    if value == "":
        return ()
    try:
        if not isinstance(parts, list):
            raise TypeError
        return tuple(_cidr(part) for part in parts)
    except (AddrFormatError, TypeError, ValueError):
        raise ValueError("give CIDRs with commas, e.g. 10.244.0.0/16,fd00:10:244::/48") from None


def _cidr(value: object) -> IPNetwork:
    if not isinstance(value, str) or "/" not in value:
        raise TypeError
    return IPNetwork(value.strip()).cidr
