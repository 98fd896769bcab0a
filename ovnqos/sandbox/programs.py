"""Finds the programs of OVN, Open vSwitch and the measuring tools, and names the Debian package of a missing one."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ovnqos.errors import OvnQosError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

PACKAGES: Final[Mapping[str, Sequence[str]]] = {
    "coreutils": ("chroot",),
    "ethtool": ("ethtool",),
    "iperf3": ("iperf3",),
    "iproute2": ("ip", "ss"),
    "iputils-ping": ("ping",),
    "mount": ("mount",),
    "openvswitch-common": ("ovs-appctl", "ovs-ofctl", "ovs-pki", "ovsdb-client", "ovsdb-tool"),
    "openvswitch-switch": ("ovs-vsctl", "ovs-vswitchd", "ovsdb-server"),
    "ovn-central": ("ovn-northd",),
    "ovn-common": ("ovn-appctl", "ovn-nbctl", "ovn-sbctl", "ovn-trace"),
    "ovn-host": ("ovn-controller",),
    "tcpdump": ("tcpdump",),
    "util-linux": ("nsenter", "setpriv", "unshare"),
}
"""Debian package -> the programs of it that a sandbox runs."""

_PACKAGE_OF: Final = {program: package for package, programs in PACKAGES.items() for program in programs}
_OVN_PACKAGES: Final = frozenset(package for package in PACKAGES if package.startswith(("openvswitch-", "ovn-")))
_SCHEMAS: Final = {
    "OVN_Northbound": ("ovn-nb.ovsschema", ("usr/share/ovn", "usr/local/share/ovn"), "ovn-common"),
    "OVN_Southbound": ("ovn-sb.ovsschema", ("usr/share/ovn", "usr/local/share/ovn"), "ovn-common"),
    "Open_vSwitch": (
        "vswitch.ovsschema",
        ("usr/share/openvswitch", "usr/local/share/openvswitch"),
        "openvswitch-common",
    ),
}
_ENTER_ROOT: Final = """
set -e
root=$1 shared=$2
shift 2
mount -t tmpfs tmpfs "$root/tmp"
mkdir -p "$root$shared"
for folder in /proc /sys /dev "$shared"; do mount --rbind "$folder" "$root$folder"; done
exec chroot "$root" "$@"
"""
_FOLDERS: Final = ("usr/local/sbin", "usr/local/bin", "usr/sbin", "usr/bin", "sbin", "bin")


class SandboxError(OvnQosError):
    """A sandbox could not start, or one of its programs failed; the message quotes what the program said last."""


class MissingProgramError(SandboxError):
    """A program or file that a sandbox needs is not installed; the message names its Debian package."""


class MissingRootError(SandboxError):
    """Network namespaces need root; the databases and northd do not."""


def require_root() -> None:
    """Return if this process may make network namespaces."""
    if os.geteuid() != 0:
        raise MissingRootError("nodes and pods of a sandbox are network namespaces and need root; run this as root")


def last_lines(text: str, count: int = 5) -> str:
    """The last non-empty lines of a program's output, in one line for an error message."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " | ".join(lines[-count:]) or "(no output)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Programs:
    """The set of programs that a sandbox runs.

    Attributes:
        root: a folder holding another Debian system, whose OVN and Open vSwitch programs are to run (needs root). Each
            runs by chroot in a mount namespace of its own, where the folder has this system's /proc, /sys and /dev and
            the temporary folder at its own path: nothing else sees these mounts, and they end with the program. Other
            programs are always this system's.
    """

    root: Path | None = None

    @classmethod
    def of_debian(cls, suite: str) -> Programs:
        """OVN as a Debian release has it, from the folder that `scripts/make-ovn-root <suite>` makes."""
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        root = cache / "ovnqos/ovn-roots" / suite
        if not root.is_dir():
            raise MissingProgramError(f"not found: {root}; scripts/make-ovn-root {suite} makes it")
        return cls(root=root)

    @property
    def ovn_version(self) -> str:
        """OVN's release, year and month, e.g. `23.03`."""
        said = run(self.command("ovn-northd", "--version"))
        if not (found := re.search(r"^ovn-northd (\d+\.\d+)", said)):
            raise SandboxError(f"`ovn-northd --version` was not understood: {last_lines(said)}")
        return found[1]

    def require(self, *names: str) -> None:
        """Return if all of these programs are installed."""
        missing = [name for name in names if self._find(name) is None]
        if missing:
            packages = sorted({_PACKAGE_OF[name] for name in missing})
            where = f" into {self.root}" if self.root else ""
            raise MissingProgramError(
                f"not found: {', '.join(missing)}; install the Debian package "
                f"{', '.join(packages)}{where} (apt-get install {' '.join(packages)})"
            )

    def command(self, name: str, *arguments: str | Path) -> list[str]:
        """The argument vector that runs one program."""
        self.require(name)
        path = str(self._find(name))
        arguments_text = [str(argument) for argument in arguments]
        if self.root is None or _PACKAGE_OF[name] not in _OVN_PACKAGES:
            return [path, *arguments_text]
        self.require("chroot", "mount", "unshare")
        private = self.command("unshare", "--mount", "--propagation", "private", "--")
        enter = ["sh", "-c", _ENTER_ROOT, "sh", str(self.root), str(Path(tempfile.gettempdir()).resolve())]
        return [*private, *enter, "/" + os.path.relpath(path, self.root), *arguments_text]

    def schema(self, database: str) -> Path:
        """The file of a database's schema, as the programs see it.

        Args:
            database: `OVN_Northbound`, `OVN_Southbound` or `Open_vSwitch`.
        """
        name, folders, package = _SCHEMAS[database]
        for folder in folders:
            if ((self.root or Path("/")) / folder / name).is_file():
                return Path("/") / folder / name
        raise MissingProgramError(
            f"not found: {name}; install the Debian package {package} (apt-get install {package})"
        )

    def _find(self, name: str) -> str | None:
        if self.root is None or _PACKAGE_OF[name] not in _OVN_PACKAGES:
            system = os.pathsep.join(f"/{folder}" for folder in _FOLDERS)
            return shutil.which(name, path=os.environ.get("PATH", "") + os.pathsep + system)
        return shutil.which(name, path=os.pathsep.join(str(self.root / folder) for folder in _FOLDERS))


def unused_path() -> Path:
    """Return a path in the temporary folder where nothing is yet.

    A folder whose path is known before it is made can be removed whenever an interrupt comes.
    """
    return Path(tempfile.gettempdir()) / f"ovnqos-{secrets.token_hex(6)}"


def clean_environment(**more: str) -> dict[str, str]:
    """An environment in which OVN's programs see only what the sandbox tells them: no OVN_*, OVS_* of the caller."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OVN_", "OVS_"))}
    return kept | {"LC_ALL": "C.UTF-8"} | more


def dies_with_parent(command: Sequence[str]) -> list[str]:
    """The argument vector that runs a command which the kernel kills when the thread that started it ends.

    By `prctl(2)`, PR_SET_PDEATHSIG, set by util-linux's setpriv so that no Python code runs between fork and exec.
    """
    return [*Programs().command("setpriv", "--pdeathsig", "KILL", "--"), *command]


def run(
    command: Sequence[str],
    *,
    timeout: float = 30,
    text: str | None = None,
    folder: Path | None = None,
    accept: Collection[int] = (0,),
) -> str:
    """Run a program to its end and return its standard output.

    Args:
        command: the argument vector.
        timeout: seconds after which it is killed.
        text: its standard input.
        folder: its working folder; its OVN and Open vSwitch run folders too.
        accept: the exit codes that are no failure.
    """
    more = {"OVN_RUNDIR": str(folder), "OVS_RUNDIR": str(folder)} if folder else {}
    try:
        done = subprocess.run(
            command,
            input=text,
            stdin=subprocess.DEVNULL if text is None else None,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            cwd=folder,
            env=clean_environment(**more),
        )
    except subprocess.TimeoutExpired as expired:
        raise SandboxError(f"`{' '.join(command)}` did not end within {timeout:g} s") from expired
    if done.returncode not in accept:
        shown = " ".join(command)
        shown = shown if len(shown) < 400 else shown[:400] + " …"
        raise SandboxError(f"`{shown}` failed ({done.returncode}): {last_lines(done.stderr or done.stdout)}")
    return done.stdout
