"""TLS for a client of OVSDB: its files, and a stream of `ovs` that uses them."""

from __future__ import annotations

import errno
import ssl
from dataclasses import dataclass
from functools import cache
from itertools import count
from typing import TYPE_CHECKING, Any, ClassVar, Final

import ovs.poller
import ovs.stream

from ovnqos.errors import InvalidRemote

if TYPE_CHECKING:
    from pathlib import Path

_numbers: Final = count()


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """What `ovn-nbctl` takes by `--private-key`, `--certificate` and `--ca-cert`: PEM files.

    They are read anew for each connection attempt.

    Attributes:
        private_key: the client's private key.
        certificate: the client's certificate, signed by an authority that the server trusts.
        ca_certificate: the certificate of the authority that signed the server's certificate.
    """

    private_key: Path
    certificate: Path
    ca_certificate: Path

    def check(self) -> None:
        """Read the files as a connection would.

        Raises:
            InvalidRemote: one of them is missing, unreadable or not PEM, or key and certificate do not match.
        """
        self.context()

    def context(self) -> ssl.SSLContext:
        """A context for one connection: as `ovs` makes it, the server's certificate is verified and its name is not.

        Raises:
            InvalidRemote: see `check`.
        """
        named = (("private key", self.private_key), ("certificate", self.certificate))
        for what, path in (*named, ("CA certificate", self.ca_certificate)):
            try:
                with path.open("rb") as file:
                    file.read(1)
            except OSError as error:
                raise InvalidRemote(f"TLS {what} {path}: {error.strerror or error}") from None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_verify_locations(self.ca_certificate)
        except ssl.SSLError as error:
            raise InvalidRemote(f"TLS CA certificate {self.ca_certificate}: {_reason(error)}") from None
        try:
            context.load_cert_chain(self.certificate, self.private_key)
        except ssl.SSLError as error:
            files = f"TLS certificate {self.certificate} with private key {self.private_key}"
            raise InvalidRemote(f"{files}: {_reason(error)}") from None
        return context


@cache
def stream_method(files: TlsFiles) -> str:
    """The connection method by which `ovs.stream` opens TLS connections with these files, to use in place of `ssl`.

    `ovs` has one set of files for all `ssl:` connections of a process; another user of it may need others.
    """
    method = f"ovnqos-tls-{next(_numbers)}"
    ovs.stream.Stream.register_method(method, type("_TlsStreamOfFiles", (_TlsStream,), {"files": files}))
    return method


class _TlsStream(ovs.stream.TCPStream):  # type: ignore[misc]  # ovs ships no types
    """A TCP stream with TLS on it, that says why it failed, and in the handshake waits for what that needs.

    Attributes:
        failure: why TLS failed, in words that follow the remote's name; empty where it did not.
    """

    files: ClassVar[TlsFiles]

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.failure = ""
        self.socket: Any
        self._awaited: int | None = None  # events that the handshake waits for
        self._is_secure = False

    def connect(self) -> int:
        """Complete connection and handshake. Returns 0, EAGAIN, or another errno."""
        error = int(super().connect())
        if error or self._is_secure:
            return error
        try:
            if not isinstance(self.socket, ssl.SSLSocket):
                self.socket.getpeername()  # where the peer has gone already, `ssl` would lose the socket, unclosed
                self.socket = self.files.context().wrap_socket(self.socket, do_handshake_on_connect=False)
            self.socket.do_handshake()
        except ssl.SSLWantReadError:
            self._awaited = ovs.poller.POLLIN
            return errno.EAGAIN
        except ssl.SSLWantWriteError:
            self._awaited = ovs.poller.POLLOUT
            return errno.EAGAIN
        except InvalidRemote as unfit:
            self.failure = str(unfit)
            return errno.ECONNABORTED
        except OSError as failed:
            return self._record(failed)
        self._is_secure, self._awaited = True, None
        return 0

    def connect_wait(self, poller: Any) -> None:
        """Wake `poller` when `connect` can go on."""
        if self._awaited is None:
            super().connect_wait(poller)
        else:
            poller.fd_wait(self.socket, self._awaited)

    def recv(self, n: int) -> tuple[int, bytes]:
        """Return (0, up to n bytes; none at the end), or (errno, none)."""
        try:
            received: tuple[int, bytes] = self._recv(n)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return errno.EAGAIN, b""
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return 0, b""
        except OSError as failed:
            return self._record(failed), b""
        return received

    def send(self, buf: bytes) -> int:
        """Return how many bytes were sent, or a negative errno."""
        try:
            return int(self._send(buf))
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return -errno.EAGAIN
        except OSError as failed:
            return -self._record(failed)

    def _record(self, failed: OSError) -> int:
        if isinstance(failed, ssl.SSLCertVerificationError):
            self.failure = f"its certificate is not trusted: {failed.verify_message}"
        elif isinstance(failed, ssl.SSLError) and "alert" in _reason(failed):
            self.failure = f"it refuses our certificate: {_reason(failed)}"
        elif isinstance(failed, ssl.SSLError) and not isinstance(failed, ssl.SSLEOFError | ssl.SSLZeroReturnError):
            self.failure = f"TLS: {_reason(failed)}"
        else:
            return errno.ECONNRESET if isinstance(failed, ssl.SSLError) else failed.errno or errno.ECONNABORTED
        return errno.ECONNABORTED


def _reason(error: ssl.SSLError) -> str:
    return (error.reason or str(error)).replace("_", " ").lower()
