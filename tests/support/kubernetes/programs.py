"""kube-apiserver, etcd and kubectl, where envtest looks for them or the build script puts them; free TCP ports."""

from __future__ import annotations

import os
import random
import shutil
import socket
from pathlib import Path
from typing import Final

from ovnqos.sandbox.programs import MissingProgramError, SandboxError

VERSION: Final = "1.20.2"
BUILD_SCRIPT: Final = "scripts/build-kube-apiserver"
ASSETS_VARIABLE: Final = "KUBEBUILDER_ASSETS"
_ATTEMPTS: Final = 200
_LOWEST: Final = 10_000
_EPHEMERAL_RANGE: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")


def assets_folder() -> Path:
    """The folder that should hold the programs: `KUBEBUILDER_ASSETS`, or the build script's destination."""
    if named := os.environ.get(ASSETS_VARIABLE):
        return Path(named)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "ovnqos" / f"kubernetes-{VERSION}"


def kubernetes_program(name: str) -> Path:
    """The path of one of `kube-apiserver`, `etcd` and `kubectl`.

    Raises:
        MissingProgramError: the folder lacks it; names what to do.
    """
    folder = assets_folder()
    path = folder / name
    if os.access(path, os.X_OK):
        return path
    if os.environ.get(ASSETS_VARIABLE):
        raise MissingProgramError(f"not found: {name} in {folder}, which {ASSETS_VARIABLE} names")
    raise MissingProgramError(f"not found: {path}; run {BUILD_SCRIPT}, or name a folder with it in {ASSETS_VARIABLE}")


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
