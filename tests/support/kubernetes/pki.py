"""Keys and certificates of an API server, made by openssl.

The API server can make its own, but those lack the key identifiers that Python asks for from 3.13 on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ovnqos.sandbox.programs import run
from tests.support.kubernetes.programs import openssl_program

if TYPE_CHECKING:
    from pathlib import Path

_DAYS = "2"
_CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


@dataclass(frozen=True, slots=True, kw_only=True)
class KubernetesPki:
    """An API server's files (PEM).

    Attributes:
        authority: the certificate that clients check the server's by.
        certificate: the server's certificate.
        private_key: the server's private key.
        service_account_key: the private key that signs the tokens of service accounts.
    """

    authority: Path
    certificate: Path
    private_key: Path
    service_account_key: Path

    @classmethod
    def create(cls, folder: Path, *, address: str) -> KubernetesPki:
        """Make all files; their keys are for a test, valid for two days.

        Args:
            folder: an existing folder that takes the files.
            address: the IP address that the server is reached by.

        Raises:
            MissingProgramError: openssl is missing.
            SandboxError: openssl failed.
        """
        pki = cls(
            authority=folder / "ca.crt",
            certificate=folder / "apiserver.crt",
            private_key=folder / "apiserver.key",
            service_account_key=folder / "service-accounts.key",
        )
        openssl = str(openssl_program())
        authority_key = str(folder / "ca.key")
        certify = (openssl, "req", "-x509", *_CURVE, "-days", _DAYS)
        run(
            [
                *(*certify, "-subj", "/CN=ovnqos sandbox", "-keyout", authority_key, "-out", str(pki.authority)),
                *("-addext", "keyUsage=critical,keyCertSign,cRLSign"),
            ]
        )
        request = folder / "apiserver.csr"
        run(
            [
                *(openssl, "req", "-new", *_CURVE, "-subj", "/CN=kube-apiserver"),
                *("-keyout", str(pki.private_key), "-out", str(request)),
            ]
        )
        extensions = folder / "apiserver.ext"
        extensions.write_text(
            "basicConstraints=critical,CA:FALSE\n"
            "keyUsage=critical,digitalSignature\n"
            "extendedKeyUsage=serverAuth\n"
            "subjectKeyIdentifier=hash\n"
            "authorityKeyIdentifier=keyid\n"
            f"subjectAltName=IP:{address},DNS:localhost,DNS:kubernetes.default.svc\n"
        )
        run(
            [
                *(openssl, "x509", "-req", "-days", _DAYS, "-in", str(request), "-out", str(pki.certificate)),
                *("-CA", str(pki.authority), "-CAkey", authority_key, "-CAcreateserial", "-extfile", str(extensions)),
            ]
        )
        run([openssl, "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(pki.service_account_key)])
        return pki
