"""A network namespace without a name, held by a child process: it and all its interfaces vanish with that process."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from ovnqos.sandbox.process import Process
from ovnqos.sandbox.programs import Programs, require_root, run

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_SETTINGS: Final = {
    "ipv6/conf/default/disable_ipv6": "0",
    "ipv6/conf/all/disable_ipv6": "0",
    "ipv6/conf/default/accept_dad": "0",  # an address is usable at once
    "ipv6/conf/default/router_solicitations": "0",
    # localnet networks share a wire: an interface does not answer for another's address
    "ipv4/conf/all/arp_ignore": "1",
    "ipv4/conf/all/arp_announce": "2",
}


class Namespace:
    """A network namespace; a context manager. It needs root.

    It has no entry under /run/netns, so nothing clashes and nothing stays, even if this process is killed. To look
    inside: `nsenter --net=/proc/<pid>/ns/net`.

    Attributes:
        name: as it stands in error messages.
    """

    def __init__(self, name: str, *, folder: Path) -> None:
        """Describes it; entering it makes it.

        Args:
            name: a file name's worth of text, unique in `folder`.
            folder: takes the holder's log.
        """
        self.name = name
        self._programs = Programs()
        command = self._programs.command("unshare", "--net", "--", "sleep", "infinity")
        self._holder = Process(command, name=f"namespace {name}", log=folder / f"{name}.namespace.log")

    def __enter__(self) -> Self:
        require_root()
        self._programs.require("nsenter", "ip")
        own = Path("/proc/self/ns/net").readlink()
        self._holder.start(lambda: self._made(own))
        settings = "; ".join(f"echo {value} > /proc/sys/net/{key}" for key, value in _SETTINGS.items())
        run(self.command(["sh", "-c", settings]))
        self.ip("link set lo up")
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Lets go of the namespace; it ends with the last process in it."""
        self._holder.kill()

    @property
    def pid(self) -> int:
        """The process that holds the namespace, as `ip link … netns <pid>` takes it."""
        return self._holder.pid

    def command(self, command: Sequence[str]) -> list[str]:
        """The argument vector that runs a command inside."""
        return [*self._programs.command("nsenter", f"--net=/proc/{self.pid}/ns/net", "--"), *command]

    def ip(self, *lines: str) -> None:
        """Runs lines of `ip -batch` inside, e.g. `link set eth0 up`.

        Raises:
            SandboxError: one failed; the rest was not run.
        """
        run(self.command(self._programs.command("ip", "-batch", "-")), text="\n".join(lines) + "\n")

    def offloads_off(self, interfaces: Iterable[str]) -> None:
        """Turns segmentation and checksum offloads off.

        A userspace datapath gets packets without checksums otherwise: TCP and UDP fail while ping works (measured on
        OVS 3.1).
        """
        for interface in interfaces:
            features = (word for name in ("tx", "tso", "gso", "gro") for word in (name, "off"))
            run(self.command(self._programs.command("ethtool", "-K", interface, *features)))

    def _made(self, own: Path) -> bool:
        # setpriv and unshare have been replaced by sleep, in a namespace that isn't ours
        holder = Path(f"/proc/{self.pid}")
        return (holder / "comm").read_text() == "sleep\n" and (holder / "ns/net").readlink() != own
