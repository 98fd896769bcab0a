"""Finds the programs of OVN, Open vSwitch and the measuring tools, and names the Debian package of a missing one."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import tempfile
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
_SCHEMAS: Final = {
    "OVN_Northbound": ("ovn-nb.ovsschema", ("usr/share/ovn", "usr/local/share/ovn"), "ovn-common"),
    "OVN_Southbound": ("ovn-sb.ovsschema", ("usr/share/ovn", "usr/local/share/ovn"), "ovn-common"),
    "Open_vSwitch": (
        "vswitch.ovsschema",
        ("usr/share/openvswitch", "usr/local/share/openvswitch"),
        "openvswitch-common",
    ),
}
FOLDERS: Final = ("usr/local/sbin", "usr/local/bin", "usr/sbin", "usr/bin", "sbin", "bin")


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


class Programs:
    """The programs that a sandbox runs: those of this system."""

    def require(self, *names: str) -> None:
        """Return if all of these programs are installed."""
        missing = [name for name in names if self._find(name) is None]
        if missing:
            raise _missing(missing, {_PACKAGE_OF[name] for name in missing})

    def command(self, name: str, *arguments: str | Path) -> list[str]:
        """The argument vector that runs one program."""
        self.require(name)
        return [str(self._find(name)), *map(str, arguments)]

    def schema(self, database: str) -> Path:
        """The file of the schema of `OVN_Northbound`, `OVN_Southbound` or `Open_vSwitch`, as the programs see it."""
        name, folders, package = _SCHEMAS[database]
        for folder in folders:
            if self._has_file(path := Path("/") / folder / name):
                return path
        raise _missing([name], {package})

    def _has_file(self, path: Path) -> bool:
        return path.is_file()

    def _find(self, name: str) -> str | None:
        return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), *map("/{}".format, FOLDERS)]))


def _missing(names: Sequence[str], packages: Collection[str]) -> MissingProgramError:
    needed = sorted(packages)
    return MissingProgramError(
        f"not found: {', '.join(names)}; install the Debian package {', '.join(needed)} "
        f"(apt-get install {' '.join(needed)})"
    )


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
