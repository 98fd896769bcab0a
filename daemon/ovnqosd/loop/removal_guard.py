"""Holds removals back: a pass does not end many limits of pods because objects are missing that nobody deleted."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Final

import structlog

from ovnqos import Code, Diagnostic, InvalidObject, NetworkQoS, Pod
from ovnqos.controller import (
    DEFAULT_NETWORK,
    NETWORK_KEY,
    PORT_KEY,
    Delta,
    KnownRemovals,
    SetDelete,
    SetKind,
    count_desired_limits,
    count_limits,
    find_removals,
    listed,
    references_in,
)
from ovnqos.kubernetes import Emptied
from ovnqosd.status.policy_outcome import object_ref

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from collections.abc import Set as AbstractSet

    from ovnqos import Compiler, DesiredState, Northbound, Plan
    from ovnqos.controller import EndedLimitsMaximum, Removals
    from ovnqos.kubernetes import Changes, Clock

_log = structlog.get_logger()
_FEW_LIMITS: Final = 10
"""Where there are fewer, a share of them says nothing: one policy may be a third."""
_RULES_MAXIMUM: Final = 20
"""A port that leaves a group ends at most so many limits: a policy has no more rules."""
_POLICY: Final = "NetworkQoS/"
_MISSING_EVENT: Final = "removals held: objects are missing that nobody deleted"
_CHANGED_EVENT: Final = "removals held: many pods would lose limits that are still there"
_REMEMBERED_S: Final = 600.0
"""For so long a pod that was deleted is remembered where it could not be removed: its ports go soon."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _GonePod:
    at: float
    ports: frozenset[str]
    addresses: frozenset[str]


class RemovalGuard:
    """Decide which removals of a plan are carried out. Not thread-safe.

    Removals are explained by pods and policies that were seen to be deleted, policies that were changed, and ports that
    are gone. If the others would end more limits than allowed, or any since a kind has no object left, all of them are
    held back, as long as one of those is left that began it: they come to an end by the objects' coming back, or by
    delete events. A process that starts has seen nothing: a kind without any object counts as one that has none left.

    Attributes:
        in_doubt: whether objects are missing from a list, so that everything is to be compared.
        held: how many limits are held, by object (`<kind>/<namespace>/<name>`); none if nothing is held back.
    """

    def __init__(self, maximum: EndedLimitsMaximum, compiler: Compiler, clock: Clock) -> None:
        """Start with nothing held back.

        Args:
            maximum: how many limits may end in one pass without a known reason.
            compiler: knows the objects as they were.
            clock: the time.
        """
        self.in_doubt = False
        self._is_started = False  # whether everything was compared once
        self._are_missing = True  # objects, by which limits would end that are held; else the pods changed
        self.held: Mapping[str, int] = {}
        self._maximum = maximum
        self._compiler = compiler
        self._clock = clock
        self._pods: dict[str, _GonePod] = {}  # that went, by key, in that order
        self._policies: set[str] = set()  # that went or were changed
        self._held_keys: frozenset[tuple[str, str]] = frozenset()  # more than may end
        self._emptied: dict[tuple[str, Emptied], set[str]] = {}  # what is not back yet, by kind
        self._is_new_emptied = False  # since the last comparison of everything
        self._emptied_keys: frozenset[tuple[str, str]] = frozenset()  # that would end by that, however few
        self._limits = 0  # that are desired, as of the last comparison of everything

    def observe(self, batches: Iterable[Changes]) -> None:
        """Take note of what goes by these changes, before the compiler has them."""
        now = self._clock.monotonic()
        for changes in batches:
            self.in_doubt |= changes.listed and bool(changes.deleted)
            self._observe_emptied(changes)
            if changes.kind == "Pod":
                for key in () if changes.listed else changes.deleted:
                    self._note_pod(key, now)
                for one in changes.updated:
                    if isinstance(one.object, Pod) and not one.object.has_own_addresses:
                        self._note_pod(one.object.key, now)  # it has ended
            elif changes.kind == "NetworkQoS":
                for key in () if changes.listed else changes.deleted:
                    self._policies.add(key)
                for one in changes.updated:
                    new = one.object
                    if isinstance(new, NetworkQoS) and self._is_changed(new):
                        self._policies.add(new.key)

    def _observe_emptied(self, changes: Changes) -> None:
        if changes.emptied is not None:
            self._emptied.setdefault((changes.kind, changes.emptied), set()).update(changes.deleted)
            self._is_new_emptied = True
        elif self._emptied:
            back = {one.metadata.key for one in changes.updated if not isinstance(one.object, InvalidObject)}
            for (kind, _), missing in self._emptied.items():
                if kind == changes.kind:
                    missing.difference_update(back)

    def _is_changed(self, new: NetworkQoS) -> bool:
        """Whether it says something else than what its rows are of; at the start that is not known."""
        return new.key in self._compiler.invalid or self._compiler.policies.get(new.key, new) != new

    def forget(self) -> None:
        """Forget what went, since it was removed."""
        self._pods.clear()
        self._policies.clear()

    def stand_by(self) -> None:
        """Hold nothing, since another process writes."""
        self.held = {}
        self.forget_old_pods()

    def forget_old_pods(self) -> None:
        """Forget the pods that went long ago, whose ports are gone by now: there is no end of them."""
        first = self._clock.monotonic() - _REMEMBERED_S
        while self._pods and next(iter(self._pods.values())).at < first:
            del self._pods[next(iter(self._pods))]

    def check_all(self, plan: Plan, desired: DesiredState, northbound: Northbound, *, is_drift: bool) -> Plan:
        """Return what of a plan for the whole database is to be carried out.

        Args:
            plan: the plan.
            desired: what it is for.
            northbound: is asked for the addresses of ports, where they are evidence.
            is_drift: whether all differences were made by another writer.

        Raises:
            NorthboundUnavailable: the addresses cannot be read.
        """
        self.in_doubt = False
        self._limits = count_desired_limits(desired)
        if self._is_off or (is_drift and not self.held):
            self._release()
            return plan
        removals = find_removals(plan, self._known())
        inventory = self._compiler.inventory
        is_central = inventory.topology.zone_nodes is None  # it has the ports of all pods
        if is_central and any(kind is SetKind.ADDRESS_SET for kind, _name in removals.members):
            addresses = dict(northbound.snapshot(addresses=True).addresses or {})
            for record in inventory.all_pods():
                addresses.update((one, ()) for each in record.interfaces for one in each.addresses)
            plan = replace(plan, snapshot=replace(plan.snapshot, addresses=addresses))
            removals = find_removals(plan, self._known())
        is_start, self._is_started = not self._is_started, True
        if is_start and removals:
            self._find_emptied(removals)
        if not removals or not self._is_held(removals):
            if is_start and (ended := removals.ended):
                objects, limits = listed(ended), sum(ended.values())
                _log.warning("limits end: the API does not have what they are of", objects=objects, limits=limits)
            self._release()
            return plan
        return removals.rest

    def _find_emptied(self, removals: Removals) -> None:
        """At the start: see which kinds have no object at all, so that what would end by that is not known to be gone.

        A single object that a list of others lacks was deleted while no daemon ran.
        """
        compiler, inventory = self._compiler, self._compiler.inventory
        ended = set(removals.ended)
        policies = {name.removeprefix(_POLICY) for name in ended if name.startswith(_POLICY)}
        emptied: dict[str, set[str]] = {}
        if policies and not compiler.policies and not compiler.invalid:
            emptied["NetworkQoS"] = policies
        if ended and not any(True for _ in chain(inventory.all_pods(), inventory.pods_without_interfaces())):
            emptied["Pod"] = ended  # whose pods are not known: it is over when nothing would end any more
        if not any(True for _ in inventory.attachments()):
            snapshot, owner = removals.plan.snapshot, removals.plan.snapshot.owner
            secondary = {
                owner.object_of(row.content.external_ids)
                for row in snapshot.rows
                if owner.identity(row.content.external_ids) in removals.rows
                and row.content.external_ids.get(NETWORK_KEY, DEFAULT_NETWORK) != DEFAULT_NETWORK
            }
            if present := {name for name in secondary & ended if self._is_there(name)}:
                emptied["NetworkAttachmentDefinition"] = present
        for kind, missing in emptied.items():
            self._emptied[kind, Emptied.EMPTY] = missing
            self._is_new_emptied = True

    def _is_there(self, name: str) -> bool:
        kind, _, key = name.partition("/")
        return key in self._compiler.policies if kind == "NetworkQoS" else kind == "Pod"

    def check_part(
        self,
        plan: Plan,
        northbound: Northbound,
        rows: AbstractSet[str],
        members: Mapping[str, AbstractSet[str] | None],
    ) -> Plan | None:
        """Return what of a plan for a part of the database is to be carried out; None: compare everything first.

        Args:
            plan: the plan.
            northbound: the database.
            rows: identities of rows that another writer changed.
            members: likewise of sets, with the members concerned.
        """
        if self._is_off:
            return plan
        if self.held:  # rows that are not desired, and what they use, are among what another writer may have changed
            rest = find_removals(plan, self._known(), is_part=True).rest
            return replace(rest, changes=tuple(one for one in rest.changes if not isinstance(one, SetDelete)))
        known = replace(self._known(), rows=rows, members=members)
        removals = find_removals(plan, known, is_part=True)
        return plan if not removals or self._are_few(removals, northbound) else None

    def diagnostics(self) -> dict[tuple[str, str], tuple[Diagnostic, ...]]:
        """Say of each object, by kind and key, what of it is held."""
        found: dict[tuple[str, str], tuple[Diagnostic, ...]] = {}
        for name, number in self.held.items():
            kind, _, key = name.partition("/")
            found[kind, key] = (removal_held(kind, key, number, are_missing=self._are_missing),)
        return found

    @property
    def _is_off(self) -> bool:
        return self._maximum.share == 1.0

    def _known(self) -> KnownRemovals:
        pods = self._pods.values()
        return KnownRemovals(
            objects={*map("Pod/{}".format, self._pods), *map("NetworkQoS/{}".format, self._policies)},
            ports=frozenset().union(*(one.ports for one in pods)),
            addresses=frozenset().union(*(one.addresses for one in pods)),
        )

    def _note_pod(self, key: str, now: float) -> None:
        record = self._compiler.inventory.record(*key.split("/", 1))
        interfaces = record.interfaces if record is not None else ()
        self._pods.pop(key, None)
        self._pods[key] = _GonePod(
            at=now,
            ports=frozenset(one.port for one in interfaces),
            addresses=frozenset(address for one in interfaces for address in one.addresses),
        )

    def _are_few(self, removals: Removals, northbound: Northbound) -> bool:
        """Whether these removals are within what may end, at the cost of what they name: never true if they are not.

        Where each set loses at most a share of its members, so do the limits of the rows that use it.
        """
        if removals.sources is None or not self._limits:
            return False
        share = self._maximum.share if self._maximum.share is not None else (self._maximum.count or 0) / self._limits
        ended = removals.sources
        for (kind, name), members in removals.members.items():
            if kind is SetKind.PORT_GROUP:
                ended += len(members) * _RULES_MAXIMUM
                continue
            whole = northbound.part(Delta(rows=frozenset(), sets={name: None})).sets.get((kind, name))
            if whole is None or len(members) > share * len(whole.content.members):
                return False
        return ended <= share * self._limits

    def _is_held(self, removals: Removals) -> bool:
        ended, limits = removals.ended, count_limits(removals.plan.snapshot)
        number = sum(ended.values())
        is_enough = self._maximum.count is not None or limits >= _FEW_LIMITS
        self._held_keys &= removals.keys  # what ends meanwhile does not prolong it
        if not self._held_keys and is_enough and not self._maximum.allows(number, limits):
            self._held_keys = removals.keys
        self._emptied_keys &= removals.keys
        if self._is_new_emptied and number:
            self._emptied_keys = removals.keys
        self._is_new_emptied = False
        if not any(self._emptied.values()):
            self._emptied_keys = frozenset()  # all are back: what is left of it is within the share, or is not
        is_held = bool(self._held_keys or self._emptied_keys)
        if is_held:
            self._are_missing = bool(self._emptied_keys) or self._lacks_objects(removals)
        if is_held and not self.held:
            emptied = [f"{kind} ({why.value})" for (kind, why), missing in self._emptied.items() if missing]
            _log.warning(
                _MISSING_EVENT if self._are_missing else _CHANGED_EVENT,
                limits=number,
                of=limits,
                maximum=str(self._maximum),
                objects=listed(ended),
                emptied=listed(emptied) if self._emptied_keys else "",
            )
        if not self._emptied_keys:
            self._emptied.clear()
        if is_held:
            self.held = ended
        return is_held

    def _lacks_objects(self, removals: Removals) -> bool:
        """Whether a pod, policy or network is missing of any removal; else labels or annotations of pods changed."""
        inventory, snapshot = self._compiler.inventory, removals.plan.snapshot
        known: set[str] = set()
        for record in inventory.all_pods():
            for interface in record.interfaces:
                known.update((interface.port, *interface.addresses))
        networks = {one.name for key in inventory.used_attachments() if (one := inventory.network_of(key)) is not None}
        networks.add(DEFAULT_NETWORK)
        policies = {f"{_POLICY}{key}" for key in self._compiler.policies}
        for key, left in removals.members.items():
            content = snapshot.sets[key].content
            exist = left & snapshot.ports.keys() if content.kind is SetKind.PORT_GROUP else left
            if not exist <= known or content.external_ids.get(NETWORK_KEY, DEFAULT_NETWORK) not in networks:
                return True
        rows = (row.content for row in snapshot.rows)
        for row in (row for row in rows if snapshot.owner.identity(row.external_ids) in removals.rows):
            name, ids = snapshot.owner.object_of(row.external_ids), row.external_ids
            groups = [snapshot.sets.get((SetKind.PORT_GROUP, name)) for name in references_in(row.match)]
            ports = {ids.get(PORT_KEY), *(port for one in groups if one is not None for port in one.content.members)}
            if not ports & snapshot.ports.keys() <= known or ids.get(NETWORK_KEY, DEFAULT_NETWORK) not in networks:
                return True
            if name.startswith(_POLICY) and name not in policies:
                return True
        return False

    def _release(self) -> None:
        if self.held or self._held_keys:
            _log.info("removals no longer held")
        self.held, self._held_keys = {}, frozenset()
        self._emptied_keys, self._is_new_emptied = frozenset(), False
        self._emptied.clear()


def removal_held(kind: str, key: str, limits: int, *, are_missing: bool) -> Diagnostic:
    """Say of an object that limits of so many pods are kept.

    Args:
        kind: the object's.
        key: the object's.
        limits: how many limits and marks.
        are_missing: whether objects are missing; else the pods are there, and nothing gives them the limits any more.
    """
    why, what = "objects are missing that were not seen to be deleted", "them"
    if not are_missing:
        why, what = "many pods would lose them at once that are still there", "labels and annotations of the pods"
    text = f"{limits} limits and marks of pods are kept, since {why}"
    hint = f"restore {what}, or restart ovnqosd with --max-deletes 100% to let the limits end"
    return Diagnostic.warning(object_ref(kind, key), Code.REMOVAL_HELD, text, hint=hint)
