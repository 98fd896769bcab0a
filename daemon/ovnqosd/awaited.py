"""Ports and switches that are wanted and not in the Northbound yet, and what waits for each."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ovnqos import DatabaseChange, LiveCompilation, Plan


class Awaited:
    """What the plans since the last `clear` could not find."""

    def __init__(self) -> None:
        self._ports: dict[str, set[str]] = defaultdict(set)  # port groups by the port that they lack
        self._switches: dict[str, set[str]] = defaultdict(set)  # rows by switch

    def __len__(self) -> int:
        return len(self._ports) + len(self._switches)

    def clear(self) -> None:
        """Everything is planned anew."""
        self._ports.clear()
        self._switches.clear()

    def note(self, plan: Plan) -> None:
        """Takes what a plan waits for."""
        for one in plan.waiting:
            wanted = self._ports if one.kind == "logical switch port" else self._switches
            wanted[one.name].add(one.wanted_by)

    def touch(self, database: DatabaseChange, live: LiveCompilation) -> None:
        """Has the live compilation look again at what waited for ports and switches that appeared."""
        for name in database.ports & self._ports.keys():
            live.touch(sets={wanted: {name} for wanted in self._ports.pop(name)})
        for name in database.switches & self._switches.keys():
            live.touch(rows=self._switches.pop(name))
