"""A real OVN through whose logical flows packets are traced: switches, rows, and what ovn-trace says of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, Self

from ovnqos.sandbox import Central, Programs
from ovnqos.southbound.ovn_trace import OvnTrace

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_BATCH: Final = 40


class TracedOvn:
    """Northbound, Southbound, northd, and an ovn-trace; a context manager. It needs no root.

    Attributes:
        central: the servers.
    """

    def __init__(self, programs: Programs | None = None) -> None:
        self._programs = programs or Programs()
        self.central = Central(programs=self._programs)

    def __enter__(self) -> Self:
        self._programs.require("ovn-trace")
        self.central.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.central.close()

    def tracer(self) -> OvnTrace:
        """An ovn-trace on the Southbound as it is when northd has caught up."""
        self.central.nbctl("--wait=sb", "sync")
        return OvnTrace(self.central.southbound.remote, program=self._programs.command("ovn-trace"))

    def run(self, commands: Iterable[Sequence[str]]) -> None:
        """Run ovn-nbctl's commands, some at a time."""
        waiting = list(commands)
        for start in range(0, len(waiting), _BATCH):
            words = [word for one in waiting[start : start + _BATCH] for word in ("--", *one)]
            self.central.nbctl(*words[1:])

    def add_switch(self, name: str, ports: Mapping[str, str]) -> None:
        """Add a logical switch with ports, whose Ethernet addresses are given."""
        self.run(
            [
                ["ls-add", name],
                *(["lsp-add", name, port, "--", "lsp-set-addresses", port, mac] for port, mac in ports.items()),
            ]
        )

    def add_row(self, switch: str, direction: str, priority: int, match: str, *settings: str) -> None:
        """Add a row as `ovn-nbctl qos-add` does; more than one may have one priority and match."""
        columns = (f"direction={direction}", f"priority={priority}", f"match={json.dumps(match)}", *settings)
        bind = ("add", "Logical_Switch", switch, "qos_rules", "@row")
        self.central.nbctl("--id=@row", "create", "QoS", *columns, "--", *bind)

    def add_sets(self, address_sets: Mapping[str, Iterable[str]], port_groups: Mapping[str, Iterable[str]]) -> None:
        """Add address sets and port groups by name."""
        for name, members in address_sets.items():
            given = [f"addresses={json.dumps(sorted(members))}"] if members else []
            self.central.nbctl("create", "Address_Set", f"name={name}", *given)
        self.run(["pg-add", name, *sorted(ports)] for name, ports in port_groups.items())
