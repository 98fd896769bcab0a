"""What the Northbound has of pods whose networks could not be read since this process started: it stays.

While a process runs, such a pod keeps the interfaces that were read last. One that starts has only the Northbound to
tell it which groups and sets a pod was in, and which rows held for it.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING

from ovnqos.controller import PORT_KEY, RULE_KEY, SetKind, references_in

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from collections.abc import Set as AbstractSet

    from ovnqos import Compiler, DesiredState, NetworkQoS, Pod, Snapshot
    from ovnqos.controller import ActualRow, Delta

_POLICY = "NetworkQoS/"


class UnreadablePods:
    """Remember what a Northbound had of such pods when they were first seen, and desire it as long as they are such."""

    def __init__(self, compiler: Compiler) -> None:
        """Start with none; `compiler` knows the pods and what is desired."""
        self._compiler = compiler
        self._known: AbstractSet[str] = frozenset()  # pods that were looked for
        self._kept: set[str] = set()  # of them those of which something is kept
        self._members: dict[str, dict[str, str]] = {}  # by set, its members with their pods
        self._rows: dict[str, tuple[str, NetworkQoS]] = {}  # by identity, those that nothing else desires
        self._switches: dict[str, tuple[str, frozenset[str]]] = {}  # by identity, where a desired row has to stay

    def update(
        self, desired: DesiredState, snapshot: Snapshot, read_addresses: Callable[[], Mapping[str, Collection[str]]]
    ) -> None:
        """Look for what there is of pods that are new among them, and forget those that are not among them any more.

        Args:
            desired: all that is desired without them.
            snapshot: the whole Northbound.
            read_addresses: reads the ports of each address in it; raises NorthboundUnavailable.
        """
        pods = self._compiler.never_read_pods
        new = [pod for key in sorted(pods - self._known) if (pod := self._compiler.inventory.find_pod(key))]
        self._known = pods
        self._forget(pods)
        if new:
            self._find_ports(new, desired, snapshot)
            self._find_addresses(new, desired, snapshot, read_addresses)
        kept = chain.from_iterable(found.values() for found in self._members.values())
        self._kept = {*kept, *(pod for pod, _ in (*self._rows.values(), *self._switches.values()))}

    def is_over(self, delta: Delta) -> bool:
        """Whether something that is kept is not to be kept any more, so that everything is to be compared."""
        if not self._kept:
            return False
        return not self._kept <= self._compiler.never_read_pods or any(
            policy.key in delta.policies and not self._is_asked_for(policy) for _, policy in self._rows.values()
        )

    def extend(self, desired: DesiredState, sets: Mapping[str, frozenset[str] | None] | None = None) -> DesiredState:
        """Add what is kept to what is desired.

        Args:
            desired: all that is desired, or a part of it.
            sets: the sets of the part, with the members concerned or None for all of them.
        """
        if not self._kept:
            return desired
        groups, addresses = dict(desired.port_groups), dict(desired.address_sets)
        for name, members in self._members.items():
            among = None if sets is None else sets.get(name)
            found = frozenset(members) if among is None else among & members.keys()
            if name in groups:
                groups[name] = replace(groups[name], ports=groups[name].ports | found)
            elif name in addresses:
                addresses[name] = replace(addresses[name], addresses=addresses[name].addresses | found)
        rows = dict(desired.rows)
        for identity in self._switches.keys() & rows.keys():
            row = rows[identity]
            rows[identity] = replace(row, switches=row.switches | self._switches[identity][1])
        return replace(
            desired,
            rows=rows,
            port_groups=groups,
            address_sets=addresses,
            retained=desired.retained | (self._rows.keys() - rows.keys()),
        )

    def _forget(self, pods: AbstractSet[str]) -> None:
        self._members = {
            name: left
            for name, members in self._members.items()
            if (left := {member: pod for member, pod in members.items() if pod in pods})
        }
        rows = self._rows.items()
        self._rows = {name: one for name, one in rows if one[0] in pods and self._is_asked_for(one[1])}
        self._switches = {name: one for name, one in self._switches.items() if one[0] in pods}

    def _is_asked_for(self, policy: NetworkQoS) -> bool:
        return self._compiler.policies.get(policy.key) == policy

    def _find_ports(self, pods: Collection[Pod], desired: DesiredState, snapshot: Snapshot) -> None:
        holders: dict[str, str] = {}  # by group, a pod whose port it has, of those that nothing desires as well
        for (kind, name), actual in snapshot.sets.items():
            if kind is not SetKind.PORT_GROUP:
                continue
            wanted = desired.port_groups.get(name)
            for port in actual.content.members - (wanted.ports if wanted is not None else frozenset()):
                if (pod := self._owner(port, pods)) is None:
                    continue
                if wanted is None or self._compiler.may_be_of(name, pod):
                    holders[name] = pod.key
                if wanted is not None and name in holders:
                    self._members.setdefault(name, {})[port] = pod.key
        for row in snapshot.rows:
            self._find_row(row, holders, pods, desired, snapshot)

    def _find_row(
        self,
        row: ActualRow,
        holders: Mapping[str, str],
        pods: Collection[Pod],
        desired: DesiredState,
        snapshot: Snapshot,
    ) -> None:
        ids, identity = row.content.external_ids, snapshot.owner.identity(row.content.external_ids)
        names = references_in(row.content.match)
        if identity in desired.rows:  # it may have been another's rule
            names &= references_in(str(desired.rows[identity].match))
        holder = next((holders[name] for name in sorted(names) if name in holders), None)
        if PORT_KEY in ids:
            owner = self._owner(ids[PORT_KEY], pods)
            holder = owner.key if owner is not None else None
        if holder is None:
            return
        if identity in desired.rows:
            if further := row.switches - desired.rows[identity].switches:
                self._switches[identity] = holder, further
            return
        name, rule = snapshot.owner.object_of(ids), ids.get(RULE_KEY, "")
        policy = self._compiler.policies.get(name.removeprefix(_POLICY)) if name.startswith(_POLICY) else None
        pod = self._compiler.inventory.find_pod(holder)
        if policy is None or pod is None or not policy.pod_selector.matches(pod.labels):
            return
        if pod.namespace == policy.namespace and rule.isdecimal() and int(rule) < len(policy.rules):
            self._rows[identity] = holder, policy

    def _find_addresses(
        self,
        pods: Collection[Pod],
        desired: DesiredState,
        snapshot: Snapshot,
        read_addresses: Callable[[], Mapping[str, Collection[str]]],
    ) -> None:
        leaving: dict[str, frozenset[str]] = defaultdict(frozenset)
        for (_, name), actual in snapshot.sets.items():
            if (wanted := desired.address_sets.get(name)) is not None:
                leaving[name] = actual.content.members - wanted.addresses
        ports = read_addresses() if any(leaving.values()) else {}
        for name, addresses in leaving.items():
            for address in addresses:
                owners = (self._owner(port, pods) for port in sorted(ports.get(address, ())))
                pod = next((one for one in owners if one is not None and self._compiler.may_be_of(name, one)), None)
                if pod is not None:
                    self._members.setdefault(name, {})[address] = pod.key

    def _owner(self, port: str, pods: Collection[Pod]) -> Pod | None:
        topology = self._compiler.inventory.topology
        return next((one for one in pods if topology.may_own(one, port)), None)
