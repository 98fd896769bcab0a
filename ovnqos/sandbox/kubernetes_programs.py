"""Finds kube-apiserver, etcd and kubectl: where envtest looks for them, or where our build script puts them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

from ovnqos.sandbox.programs import MissingProgramError

VERSION: Final = "1.20.2"
BUILD_SCRIPT: Final = "scripts/build-kube-apiserver"
ASSETS_VARIABLE: Final = "KUBEBUILDER_ASSETS"


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
