"""Ports and switches that are wanted and not in the Northbound yet, and what waits for each."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from ovnqos.controller import policy_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ovnqos import Compiler, Plan
    from ovnqos.controller import DatabaseChange


class Awaited:
    """What the plans since the last `clear` could not find."""

    def __init__(self) -> None:
        self._ports: dict[str, set[str]] = defaultdict(set)  # port groups by the port that they lack
        self._switches: dict[str, set[str]] = defaultdict(set)  # rows by switch
        self._rows: dict[str, set[str]] = {}  # switches by row
        self._of_policy: dict[str, dict[str, set[str]]] = defaultdict(dict)  # switches by policy and row

    def __len__(self) -> int:
        return len(self._ports) + len(self._switches)

    def clear(self) -> set[str]:
        """Everything is planned anew. Returns the keys of the policies that waited."""
        policies = set(self._of_policy)
        for kept in (self._ports, self._switches, self._rows, self._of_policy):
            kept.clear()
        return policies

    def note(self, plan: Plan, rows: Iterable[str]) -> set[str]:
        """Takes what a plan for these rows waits for. Returns the keys of the policies that wait, or waited."""
        policies = set()
        for row in rows:
            policies.update(self._forget(row))
        for one in plan.missing:
            if one.kind == "logical switch port":
                self._ports[one.name].add(one.needed_by)
                continue
            self._switches[one.name].add(one.needed_by)
            waiting = self._rows.setdefault(one.needed_by, set())
            waiting.add(one.name)
            if key := policy_of(one.needed_by):
                self._of_policy[key][one.needed_by] = waiting
                policies.add(key)
        return policies

    def switches(self, policy: str) -> list[str]:
        """The switches that a policy's rows wait for, sorted."""
        return sorted({switch for waiting in self._of_policy.get(policy, {}).values() for switch in waiting})

    def touch(self, database: DatabaseChange, live: Compiler) -> None:
        """Has the live compilation look again at what waited for ports and switches that appeared."""
        for name in database.ports & self._ports.keys():
            live.mark_dirty(sets={wanted: {name} for wanted in self._ports.pop(name)})
        for name in database.switches & self._switches.keys():
            live.mark_dirty(rows=self._switches[name])

    def _forget(self, row: str) -> set[str]:
        waited = self._rows.pop(row, None)
        if waited is None:
            return set()
        for switch in waited:
            self._switches[switch].discard(row)
            if not self._switches[switch]:
                del self._switches[switch]
        key = policy_of(row)
        if not key:
            return set()
        self._of_policy[key].pop(row, None)
        if not self._of_policy[key]:
            del self._of_policy[key]
        return {key}
