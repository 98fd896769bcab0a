"""Where a database is: `unix:/path`, `tcp:host:port`, `ssl:host:port`, several of them separated by commas.

The strings are those of `ovn-nbctl --db` and of ovsdb(7), "Active Connection Methods".
"""

from __future__ import annotations

import ipaddress
import os
import re
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from ovnqos.errors import DatabaseUnavailable, InvalidRemote, NorthboundUnavailable, SouthboundUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ovnqos.ovsdb.tls import TlsFiles

DEFAULT_RUN_FOLDER: Final = "/var/run/ovn"

_NAME: Final = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)(?:\.(?!-)[A-Za-z0-9_-]{1,63}(?<!-))*\.?", re.ASCII)
_FORMS: Final = "unix:/path, tcp:host:port or ssl:host:port"
_METHODS: Final = ("unix", "tcp", "ssl")


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """One server: a socket's path, or a host (address or name) and its TCP port."""

    method: Literal["unix", "tcp", "ssl"]
    path: str = ""
    host: str = ""
    port: int = 0

    def __str__(self) -> str:
        if self.method == "unix":
            return f"unix:{self.path}"
        return _inet_name(self.method, self.host, self.port)

    def stream_names(self) -> tuple[str, ...]:
        """Names that `ovs.stream` can open, one an address, as the resolver gives them now; none where it knows none.

        `ovs` resolves names only with the unbound library, so it is given addresses.
        """
        if self.method == "unix" or _address(self.host) is not None:
            return (str(self),)
        try:
            found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            return ()
        addresses = dict.fromkeys(str(address[0]) for *_, address in found)
        return tuple(_inet_name(self.method, address, self.port) for address in addresses)


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """An OVSDB database of OVN, and where OVN's own commands look for it.

    Attributes:
        name: of its schema.
        variable: of the environment, that gives its remotes.
        socket: name of its local socket.
        unavailable: the error that says that none of its servers is available.
    """

    name: str
    variable: str
    socket: str
    unavailable: type[DatabaseUnavailable]

    @property
    def title(self) -> str:
        """What people call it: `Northbound`."""
        return self.name.removeprefix("OVN_")

    def default_remotes(self, environment: Mapping[str, str] | None = None) -> tuple[Remote, ...]:
        """The remotes that `ovn-nbctl` or `ovn-sbctl` would use: those of the variable, else the local socket.

        Args:
            environment: instead of the process' own. OVN_RUNDIR in it is the folder of the socket.

        Raises:
            InvalidRemote: the variable is set and is not a list of remotes.
        """
        values = os.environ if environment is None else environment
        if given := values.get(self.variable):
            try:
                return parse_remotes(given)
            except InvalidRemote as error:
                raise InvalidRemote(f"{self.variable}: {error}") from None
        folder = values.get("OVN_RUNDIR") or DEFAULT_RUN_FOLDER
        return parse_remotes(f"unix:{folder.rstrip('/')}/{self.socket}")

    def remotes(self, text: str | None, tls: TlsFiles | None) -> tuple[Remote, ...]:
        """The remotes to connect to.

        Args:
            text: one or several remotes; None takes `default_remotes`.
            tls: the files that `ssl:` needs.

        Raises:
            InvalidRemote: a remote, or a TLS file, cannot be used.
        """
        parsed = self.default_remotes() if text is None else parse_remotes(text)
        if any(remote.method == "ssl" for remote in parsed):
            if tls is None:
                raise InvalidRemote("an ssl: remote needs a private key, a certificate and a CA certificate")
            tls.check()
        return parsed


NORTHBOUND: Final = Database(
    name="OVN_Northbound", variable="OVN_NB_DB", socket="ovnnb_db.sock", unavailable=NorthboundUnavailable
)
SOUTHBOUND: Final = Database(
    name="OVN_Southbound", variable="OVN_SB_DB", socket="ovnsb_db.sock", unavailable=SouthboundUnavailable
)


def parse_remotes(text: str) -> tuple[Remote, ...]:
    """Read one or several remotes, separated by commas, blanks around them ignored.

    Raises:
        InvalidRemote: one of them is not `unix:` with an absolute path, or `tcp:` or `ssl:` with host and port.
    """
    remotes = tuple(_parse_remote(part.strip()) for part in text.split(","))
    return tuple(dict.fromkeys(remotes))


def _parse_remote(text: str) -> Remote:
    method, colon, rest = text.partition(":")
    if method == "unix" and colon:
        if not rest.startswith("/") or "\0" in rest:
            raise InvalidRemote(f"remote {text!r}: a unix socket is given by its absolute path, unix:/path")
        return Remote(method="unix", path=rest)
    if method not in _METHODS or not colon:
        raise InvalidRemote(f"remote {text!r} is not {_FORMS}")
    host, _, port = rest.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if bracketed:
        host = host[1:-1]
    if not (port.isascii() and port.isdigit() and 1 <= int(port) <= 65535):
        raise InvalidRemote(f"remote {text!r}: its port must be a number from 1 to 65535, as in {method}:host:6641")
    address = _address(host)
    if address is not None and (address.version == 6) == bracketed:
        host = str(address)
    elif address is not None or bracketed or ":" in host:
        raise InvalidRemote(f"remote {text!r}: an IPv6 address, and no other host, stands in brackets")
    elif not _NAME.fullmatch(host) or host.replace(".", "").isdigit():
        raise InvalidRemote(f"remote {text!r}: {host!r} is neither an address nor a host's name")
    return Remote(method="ssl" if method == "ssl" else "tcp", host=host, port=int(port))


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _inet_name(method: str, host: str, port: int) -> str:
    return f"{method}:[{host}]:{port}" if ":" in host else f"{method}:{host}:{port}"
