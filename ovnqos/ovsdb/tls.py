"""The files of a TLS client. `ovs` keeps one set of them for the whole process, so this module guards that set."""

from __future__ import annotations

import ssl
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import ovs.stream

from ovnqos.errors import InvalidRemote

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """What `ovn-nbctl` takes by `--private-key`, `--certificate` and `--ca-cert`: PEM files.

    Attributes:
        private_key: the client's private key.
        certificate: the client's certificate, signed by an authority that the server trusts.
        ca_certificate: the certificate of the authority that signed the server's certificate.
    """

    private_key: Path
    certificate: Path
    ca_certificate: Path

    def check(self) -> None:
        """Reads the files as a connection would.

        Raises:
            InvalidRemote: one of them is missing, unreadable or not PEM, or key and certificate don't match.
        """
        for what, path in self._named():
            try:
                with path.open("rb") as file:
                    file.read(1)
            except OSError as error:
                raise InvalidRemote(f"TLS {what} {path}: {error.strerror or error}") from None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            context.load_verify_locations(self.ca_certificate)
        except ssl.SSLError as error:
            raise InvalidRemote(f"TLS CA certificate {self.ca_certificate}: {_reason(error)}") from None
        try:
            context.load_cert_chain(self.certificate, self.private_key)
        except ssl.SSLError as error:
            files = f"TLS certificate {self.certificate} with private key {self.private_key}"
            raise InvalidRemote(f"{files}: {_reason(error)}") from None

    def _named(self) -> tuple[tuple[str, Path], ...]:
        return (
            ("private key", self.private_key),
            ("certificate", self.certificate),
            ("CA certificate", self.ca_certificate),
        )


class TlsClaim:
    """A use of the process' one set of TLS files; it ends with `release`."""

    _lock = threading.Lock()
    _files: TlsFiles | None = None
    _uses = 0

    def __init__(self, files: TlsFiles) -> None:
        """Sets the files for all connections of the process.

        Raises:
            InvalidRemote: a file cannot be used, or an open connection of this process uses other files.
        """
        files.check()
        with TlsClaim._lock:
            if TlsClaim._uses and TlsClaim._files != files:
                raise InvalidRemote(
                    "another connection of this process uses other TLS files, and there can be one set a process: "
                    f"in use {TlsClaim._files and TlsClaim._files.certificate}, asked for {files.certificate}"
                )
            TlsClaim._files = files
            TlsClaim._uses += 1
            ovs.stream.Stream.ssl_set_private_key_file(str(files.private_key))
            ovs.stream.Stream.ssl_set_certificate_file(str(files.certificate))
            ovs.stream.Stream.ssl_set_ca_cert_file(str(files.ca_certificate))
        self._held = True

    def release(self) -> None:
        """Ends this use; the last one frees the process for another set."""
        with TlsClaim._lock:
            if self._held:
                self._held = False
                TlsClaim._uses -= 1


def describe_tls_error(error: ssl.SSLError) -> str:
    """Says in a few words why a handshake failed."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    return f"TLS: {_reason(error)}"


def _reason(error: ssl.SSLError) -> str:
    return (error.reason or str(error)).replace("_", " ").lower()
