"""OVN's programs of another Debian system than this one, and which release they are."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ovnqos.sandbox import MissingProgramError, Programs, SandboxError
from ovnqos.sandbox.programs import FOLDERS, PACKAGES, last_lines, run

if TYPE_CHECKING:
    from ovnqos.sandbox import Central

_OVN: Final = frozenset(
    program
    for package, programs in PACKAGES.items()
    if package.startswith(("openvswitch-", "ovn-"))
    for program in programs
)
_ENTER_ROOT: Final = """
set -e
root=$1 shared=$2
shift 2
mount -t tmpfs tmpfs "$root/tmp"
mkdir -p "$root$shared"
for folder in /proc /sys /dev "$shared"; do mount --rbind "$folder" "$root$folder"; done
exec chroot "$root" "$@"
"""


class ProgramsOfRoot(Programs):
    """OVN's and Open vSwitch's programs of another Debian system; all others are this system's. It needs root.

    Each runs by chroot in a mount namespace of its own, where the folder has this system's /proc, /sys and /dev and the
    temporary folder at its own path: nothing else sees these mounts, and they end with the program.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    @classmethod
    def of_debian(cls, suite: str) -> ProgramsOfRoot:
        """OVN as a Debian release has it, from the folder that `scripts/make-ovn-root <suite>` makes."""
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        root = cache / "ovnqos/ovn-roots" / suite
        if not root.is_dir():
            raise MissingProgramError(f"not found: {root}; scripts/make-ovn-root {suite} makes it")
        return cls(root)

    def command(self, name: str, *arguments: str | Path) -> list[str]:
        path, *words = super().command(name, *arguments)
        if name not in _OVN:
            return [path, *words]
        private = super().command("unshare", "--mount", "--propagation", "private", "--")
        enter = ["sh", "-c", _ENTER_ROOT, "sh", str(self.root), str(Path(tempfile.gettempdir()).resolve())]
        return [*private, *enter, "/" + os.path.relpath(path, self.root), *words]

    def _has_file(self, path: Path) -> bool:
        return (self.root / path.relative_to("/")).is_file()

    def _find(self, name: str) -> str | None:
        if name not in _OVN:
            return super()._find(name)
        return shutil.which(name, path=os.pathsep.join(str(self.root / folder) for folder in FOLDERS))


def ovn_version(programs: Programs | None = None) -> str:
    """OVN's release, year and month, e.g. `23.03`; of this system's where no programs are given."""
    said = run((programs or Programs()).command("ovn-northd", "--version"))
    if not (found := re.search(r"^ovn-northd (\d+\.\d+)", said)):
        raise SandboxError(f"`ovn-northd --version` was not understood: {last_lines(said)}")
    return found[1]


def trace(central: Central, datapath: str, flow: str, *options: str) -> str:
    """Run `ovn-trace` on a Southbound, with the packet as an expression of `field == value`; return what it prints."""
    database = f"--db={central.southbound.remote}"
    return run(central.programs.command("ovn-trace", database, *options, datapath, flow), folder=central.folder)
