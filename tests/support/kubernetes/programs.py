"""kube-apiserver, etcd and kubectl, where envtest looks for them or the build scripts put them; free TCP ports."""

from __future__ import annotations

import os
import random
import shutil
import socket
from pathlib import Path
from typing import Final

from ovnqos.sandbox.programs import MissingProgramError, SandboxError

ASSETS_VARIABLE: Final = "KUBEBUILDER_ASSETS"
_ATTEMPTS: Final = 200
_LOWEST: Final = 10_000
_EPHEMERAL_RANGE: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")
SERVER_VARIABLE: Final = "OVNQOS_KUBERNETES"
"""Names the server to run: a key of `BUILDS`."""
BUILDS: Final = {
    "1.20": ("kubernetes-1.20.2", "scripts/build-kube-apiserver"),
    "modern": ("kubernetes-modern", "scripts/build-modern-kubernetes"),
}
"""The folder in the cache that holds each server's programs, and the script that makes it."""


def assets_folder() -> Path:
    """Return the folder that should hold the programs.

    The server that `OVNQOS_KUBERNETES` names comes first, then the folder that `KUBEBUILDER_ASSETS` names, then 1.20.

    Raises:
        SandboxError: there is no server of that name.
    """
    server = os.environ.get(SERVER_VARIABLE)
    if not server and (named := os.environ.get(ASSETS_VARIABLE)):
        return Path(named)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "ovnqos" / _build(server)[0]


def _build(server: str | None) -> tuple[str, str]:
    found = BUILDS.get(server or "1.20")
    if found is None:
        raise SandboxError(f"{SERVER_VARIABLE}: unknown server {server}; use one of {', '.join(BUILDS)}")
    return found


def kubernetes_program(name: str) -> Path:
    """Return the path of one of `kube-apiserver`, `etcd` and `kubectl`; of `crd-rules` too with the modern server.

    Raises:
        MissingProgramError: the folder lacks it; names what to do.
        SandboxError: there is no server of the name in `OVNQOS_KUBERNETES`.
    """
    folder = assets_folder()
    path = folder / name
    if os.access(path, os.X_OK):
        return path
    server = os.environ.get(SERVER_VARIABLE)
    if not server and os.environ.get(ASSETS_VARIABLE):
        raise MissingProgramError(f"not found: {name} in {folder}, which {ASSETS_VARIABLE} names")
    script = _build(server)[1]
    raise MissingProgramError(f"not found: {path}; run {script}, or name a folder with it in {ASSETS_VARIABLE}")


def openssl_program() -> Path:
    """The path of `openssl`.

    Raises:
        MissingProgramError: it is not installed.
    """
    found = shutil.which("openssl")
    if found is None:
        raise MissingProgramError("not found: openssl; install the Debian package openssl (apt-get install openssl)")
    return Path(found)


def free_port(address: str = "127.0.0.1") -> int:
    """A port of this address on which nothing listens now.

    It lies below the range that outgoing connections take theirs from (`ip(7)`, ip_local_port_range), so a server that
    is stopped finds it free when it starts again.

    Raises:
        SandboxError: none was found.
    """
    lowest_ephemeral = int(_EPHEMERAL_RANGE.read_text().split()[0])
    ceiling = lowest_ephemeral if lowest_ephemeral > _LOWEST else 1 << 16
    for _ in range(_ATTEMPTS):
        port = random.randrange(_LOWEST, ceiling)
        with socket.socket() as probe:
            try:
                probe.bind((address, port))
            except OSError:
                continue
        return port
    raise SandboxError(f"no free TCP port on {address} from {_LOWEST} to {ceiling - 1}")
