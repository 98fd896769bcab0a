"""Where a database is, and the connection to whichever of its servers answers.

Remotes are `unix:/path`, `tcp:host:port`, `ssl:host:port`, several of them separated by commas, as for `ovn-nbctl --db`
and in ovsdb(7), "Active Connection Methods".
"""

from __future__ import annotations

import errno
import ipaddress
import os
import re
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import ovs.jsonrpc
import ovs.reconnect
import ovs.stream
import ovs.timeval
import ovs.vlog

from ovnqos.errors import DatabaseUnavailable, InvalidRemote, NorthboundUnavailable, SouthboundUnavailable
from ovnqos.ovsdb.json_stream import StreamConnection
from ovnqos.ovsdb.tls import stream_method

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

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
        variables: of the environment, that give its remotes; the first that is set counts.
        socket: name of its local socket.
        unavailable: the error that says that none of its servers is available.
        option: of the command, that gives its remotes.
    """

    name: str
    variables: tuple[str, ...]
    socket: str
    unavailable: type[DatabaseUnavailable]
    option: str

    @property
    def title(self) -> str:
        """What people call it: `Northbound`."""
        return self.name.removeprefix("OVN_")

    def default_remotes(self, environment: Mapping[str, str] | None = None) -> tuple[Remote, ...]:
        """The remotes of the first variable that is set, else the local socket, as for `ovn-nbctl` and `ovn-sbctl`.

        Args:
            environment: instead of the process' own. OVN_RUNDIR in it is the folder of the socket.

        Raises:
            InvalidRemote: that variable is not a list of remotes.
        """
        values = os.environ if environment is None else environment
        if variable := next((one for one in self.variables if values.get(one)), ""):
            try:
                return parse_remotes(values[variable])
            except InvalidRemote as error:
                raise InvalidRemote(f"{variable}: {error}") from None
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
    name="OVN_Northbound",
    variables=("OVN_NB_DB", "OVNQOSD_NB"),  # the daemon's setting serves the command in its container
    socket="ovnnb_db.sock",
    unavailable=NorthboundUnavailable,
    option="--nb",
)
SOUTHBOUND: Final = Database(
    name="OVN_Southbound",
    variables=("OVN_SB_DB",),
    socket="ovnsb_db.sock",
    unavailable=SouthboundUnavailable,
    option="--sb",
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


_BACKOFF_MS: Final = (250, 1000)
"""The first and the longest pause between attempts. `ovs` takes 1000 and 8000, and a write after a leader's death comes
3 to 8 s late, measured; a cluster elects its next leader in one or two."""

_REFUSED: Final = (errno.ECONNREFUSED, errno.ENOENT)
_HUNG_UP: Final = (ovs.jsonrpc.EOF, errno.ECONNRESET, errno.ENOTCONN, errno.EPIPE)


class Failure(NamedTuple):
    """Why a remote is of no use: `reason` in words that follow its name; `final`: trying again will not help."""

    reason: str
    final: bool = False


class _Reconnect(ovs.reconnect.Reconnect):  # type: ignore[misc]  # ovs ships no types
    """`ovs`' state machine of connections, with a call for each loss and shorter pauses.

    A remote that refuses at once costs no pause as long as there are others to try.
    """

    def __init__(self, now: int, *, remotes: int, on_loss: Callable[[int], None]) -> None:
        super().__init__(now)
        self._others = remotes - 1
        self._refused = 0
        self._on_loss = on_loss
        self.min_backoff, self.max_backoff = _BACKOFF_MS

    def disconnected(self, now: int, error: int) -> None:
        self._on_loss(error)
        super().disconnected(now, error)
        self._refused = self._refused + 1 if error in _REFUSED else 0
        if 0 < self._refused <= self._others:
            self.state_entered = now - self.backoff


class JsonRpcSession(ovs.jsonrpc.Session):  # type: ignore[misc]  # ovs ships no types
    """A reconnecting JSON-RPC session over remotes whose names are resolved anew at each attempt.

    Attributes:
        remote: the one that is connected, or tried now or next.
        failures: why remotes were of no use, by their text, since `clear_failures`.
    """

    def __init__(
        self, remotes: Sequence[Remote], *, tls: TlsFiles | None = None, probe_interval_ms: int | None = None
    ) -> None:
        """Describe the session; its first `run` connects, to the first remote.

        Args:
            remotes: tried in this order, round and round.
            tls: the files that `ssl:` needs.
            probe_interval_ms: an idle connection is probed after so long, at least a second, and dropped after as much
                again without an answer. None: after 5 s, and on unix sockets never, where neither side would notice a
                server that is frozen.
        """
        reconnect = _Reconnect(ovs.timeval.msec(), remotes=len(remotes), on_loss=self._record_loss)
        super().__init__(reconnect, None, [])
        self.rpc: Any
        self.failures: dict[str, Failure] = {}
        self._tls = tls
        self._leaving = False
        self._attempts = 0
        self.remotes = list(remotes)
        self.pick_remote()
        reconnect.set_quiet(True)
        reconnect.enable(ovs.timeval.msec())
        self.reset_backoff()
        if probe_interval_ms is not None:
            reconnect.set_probe_interval(probe_interval_ms)
        elif all(remote.method == "unix" for remote in remotes):
            reconnect.set_probe_interval(0)  # the kernel reports that the peer is gone

    def pick_remote(self) -> None:
        """Turn to the next remote, and to the next of the addresses its name has at this time."""
        round_, index = divmod(self._attempts, len(self.remotes))
        self._attempts += 1
        self.remote: Remote = self.remotes[index]
        self._addresses = self.remote.stream_names()
        name = self._addresses[round_ % len(self._addresses)] if self._addresses else str(self.remote)
        if self._tls is not None and self.remote.method == "ssl":
            name = f"{stream_method(self._tls)}:{name.removeprefix('ssl:')}"
        self.reconnect.set_name(name)

    def run(self) -> None:
        """Connect, reconnect, probe and send, without blocking."""
        super().run()
        rpc: Any = self.rpc
        if type(rpc) is ovs.jsonrpc.Connection:
            self.rpc = StreamConnection(rpc.stream)  # it was made in this very call: nothing was read or written yet

    def leave(self, reason: str) -> None:
        """Turn to the next remote; `reason` says why this one is of no use, in words that follow its name."""
        self.failures[str(self.remote)] = Failure(reason)
        self._leaving = True
        self.force_reconnect()

    def clear_failures(self) -> None:
        """Clear the failures, as one remote is of use now; if it is lost, each gets one try at once."""
        self.failures.clear()
        self.reset_backoff()

    def _record_loss(self, error: int) -> None:
        if self._leaving:
            self._leaving = False
            return
        stream = self.stream if self.rpc is None else self.rpc.stream
        if of_tls := getattr(stream, "failure", ""):
            failure = Failure(of_tls, final=True)
        elif not self._addresses:
            failure = Failure(f"the name {self.remote.host} has no address")
        elif not error:
            failure = Failure("does not answer")
        elif error in _HUNG_UP:
            failure = Failure(
                "closed the connection"
                + (", perhaps it refuses our certificate" if self.remote.method == "ssl" else "")
            )
        else:
            reason = "does not speak OVSDB" if error == errno.EPROTO else os.strerror(error)
            # a local server is there or not; a remote one may be restarting, or on another machine in a moment
            failure = Failure(reason, final=self.remote.method == "unix" and error in _REFUSED)
        self.failures[str(self.remote)] = failure
