"""Keys and certificates for servers and clients that speak TLS, made by `ovs-pki`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ovnqos.sandbox.programs import Programs, run

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """One party's files for TLS.

    Attributes:
        private_key: its private key (PEM).
        certificate: its certificate (PEM).
        authority: the certificate of the authority that signed the other party's certificate (PEM).
    """

    private_key: Path
    certificate: Path
    authority: Path

    @property
    def options(self) -> tuple[str, str, str]:
        """The options that OVN's and Open vSwitch's programs take these files by."""
        return (
            f"--private-key={self.private_key}",
            f"--certificate={self.certificate}",
            f"--ca-cert={self.authority}",
        )


class Pki:
    """Open vSwitch's two certificate authorities: one signs switches (here: servers), one controllers (clients).

    A certificate is made once; equal arguments return the same files.
    """

    def __init__(self, folder: Path, *, programs: Programs | None = None) -> None:
        """Make both authorities, which takes about half a second.

        Args:
            folder: an existing folder that takes all files.
            programs: where `ovs-pki` is found.

        Raises:
            SandboxError: `ovs-pki` is missing or failed.
        """
        self._folder = folder.resolve()
        self._made: dict[str, Certificate] = {}
        self._programs = programs or Programs()
        self._ovs_pki("init")

    def server(self, name: str) -> Certificate:
        """A certificate for a server, which trusts the controllers' authority."""
        return self._certificate(name, signed_by="switch", trusts="controller")

    def client(self, name: str) -> Certificate:
        """A certificate for a client, which trusts the switches' authority."""
        return self._certificate(name, signed_by="controller", trusts="switch")

    def stranger(self, name: str) -> Certificate:
        """A certificate that no server here accepts: signed by the authority that servers do not trust."""
        return self._certificate(name, signed_by="switch", trusts="switch")

    def _certificate(
        self, name: str, *, signed_by: Literal["switch", "controller"], trusts: Literal["switch", "controller"]
    ) -> Certificate:
        stem = f"{name}-{signed_by[0]}{trusts[0]}"  # ovs-pki puts it into a common name of 64 characters
        if stem not in self._made:
            self._ovs_pki("req+sign", stem, signed_by)
            self._made[stem] = Certificate(
                private_key=self._folder / f"{stem}-privkey.pem",
                certificate=self._folder / f"{stem}-cert.pem",
                authority=self._folder / "pki" / f"{trusts}ca" / "cacert.pem",
            )
        return self._made[stem]

    def _ovs_pki(self, *arguments: str) -> None:
        places = (f"--dir={self._folder / 'pki'}", f"--log={self._folder / 'ovs-pki.log'}")
        run(self._programs.command("ovs-pki", *places, *arguments), folder=self._folder)
