"""Selections of pods, kept up to date with what each stands for: source ports, or destination addresses.

A pod that changes costs the selections that it is in, and no others.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from ovnqos.model.labels import EVERYTHING, LabelSelector, SelectorIndex

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Set

    from ovnqos.compile.inventory import Inventory, PodRecord
    from ovnqos.model.policy import NetworkQoS, PodPeer
    from ovnqos.model.workloads import Pod


class PodSelection(NamedTuple):
    """Which pods: those matching `pods`, in one namespace (a name) or in the namespaces that a selector matches."""

    namespaces: str | LabelSelector
    pods: LabelSelector

    @classmethod
    def of_sources(cls, policy: NetworkQoS) -> PodSelection:
        """The pods whose traffic a policy takes."""
        return cls(policy.namespace, policy.pod_selector)

    @classmethod
    def of_peer(cls, peer: PodPeer, own_namespace: str) -> PodSelection | None:
        """The pods that a destination means; None when it selects nothing because neither selector is given."""
        if peer.namespace_selector is not None:
            return cls(peer.namespace_selector, peer.pod_selector or EVERYTHING)
        return None if peer.pod_selector is None else cls(own_namespace, peer.pod_selector)

    def __str__(self) -> str:
        """In unambiguous words: part of the identity of what is made of it."""
        where = f"namespaces {self.namespaces}" if isinstance(self.namespaces, LabelSelector) else self.namespaces
        return f"pods {self.pods} in {where}"


class SourceMembers:
    """The interfaces of selected pods of this zone: by attachment their ports, each with its location.

    Attributes:
        ports: by attachment and port, the location (see `PodInterface`).
        locations: by attachment, how many ports each location has.
    """

    __slots__ = ("_further_holders", "_pods", "locations", "ports")

    def __init__(self) -> None:
        self.ports: dict[str, dict[str, str]] = {}
        self.locations: dict[str, Counter[str]] = {}
        self._further_holders: Counter[tuple[str, str]] = Counter()  # of a port, while a virtual machine migrates
        self._pods: Counter[tuple[str, ...]] = Counter()  # by their attachments, of which there are few combinations

    def add(self, record: PodRecord) -> None:
        """Add a pod's interfaces."""
        self._pods[tuple([interface.attachment for interface in record.interfaces])] += 1
        for interface in record.interfaces:
            attachment, port = interface.attachment, interface.port
            ports = self.ports.get(attachment)
            if ports is None:
                ports = self.ports[attachment] = {}
                self.locations[attachment] = Counter()
            if port in ports:
                self._further_holders[attachment, port] += 1
            ports[port] = interface.location
            self.locations[attachment][interface.location] += 1

    def extend(self, records: Iterable[PodRecord]) -> None:
        """Add many pods to none."""
        for record in records:
            self.add(record)

    def discard(self, record: PodRecord) -> None:
        """Remove the interfaces of a pod that was added."""
        attachments = tuple(interface.attachment for interface in record.interfaces)
        self._pods[attachments] -= 1
        if not self._pods[attachments]:
            del self._pods[attachments]
        for interface in record.interfaces:
            ports, locations = self.ports[interface.attachment], self.locations[interface.attachment]
            holders = self._further_holders.pop((interface.attachment, interface.port), 0)
            if holders > 1:
                self._further_holders[interface.attachment, interface.port] = holders - 1
            elif not holders:
                ports.pop(interface.port, None)
            locations[interface.location] -= 1
            if not locations[interface.location]:
                del locations[interface.location]
            if not ports:
                del self.ports[interface.attachment], self.locations[interface.attachment]

    def pods_with(self, attachments: Set[str]) -> int:
        """How many of the pods have an interface by one of these attachments."""
        return sum(number for found, number in self._pods.items() if not attachments.isdisjoint(found))

    @staticmethod
    def parts(record: PodRecord) -> Iterator[str]:
        """The ports that a pod contributes."""
        return (interface.port for interface in record.interfaces)

    def attachments(self) -> Iterable[str]:
        """The attachments that it has ports of."""
        return self.locations.keys()

    def locations_of(self, attachment: str) -> frozenset[str] | None:
        """The locations that have ports of an attachment: they decide which switches rows are on."""
        return frozenset(self.locations[attachment]) if attachment in self.locations else None


class PeerMembers:
    """The addresses of selected pods, cluster-wide: by attachment and IP version, each with how many pods have it."""

    __slots__ = ("addresses",)

    def __init__(self) -> None:
        self.addresses: dict[str, dict[int, dict[str, int]]] = {}

    def add(self, record: PodRecord) -> None:
        """Add a pod's addresses."""
        for interface in record.interfaces:
            for address in interface.addresses:
                versions = self.addresses.get(interface.attachment)
                if versions is None:
                    versions = self.addresses[interface.attachment] = {4: {}, 6: {}}
                counts = versions[6 if ":" in address else 4]
                counts[address] = counts.get(address, 0) + 1

    def extend(self, records: Iterable[PodRecord]) -> None:
        """Add many pods to none, faster than one by one."""
        interfaces = [interface for record in records for interface in record.interfaces]
        for attachment in {interface.attachment for interface in interfaces}:
            addresses = [one for each in interfaces if each.attachment == attachment for one in each.addresses]
            if not addresses:
                continue
            later = [one for one in addresses if ":" in one] if ":" in "".join(addresses) else []
            earlier = [one for one in addresses if ":" not in one] if later else addresses
            self.addresses[attachment] = {4: _count(earlier), 6: _count(later)}

    def discard(self, record: PodRecord) -> None:
        """Remove the addresses of a pod that was added."""
        for interface in record.interfaces:
            versions = self.addresses.get(interface.attachment)
            if versions is None:
                continue  # a pod without addresses, on a network without IPAM
            for address in interface.addresses:
                counts = versions[6 if ":" in address else 4]
                left = counts[address] - 1
                if left:
                    counts[address] = left
                else:
                    counts.pop(address)
            if not versions[4] and not versions[6]:
                del self.addresses[interface.attachment]

    @staticmethod
    def parts(record: PodRecord) -> Iterator[str]:
        """The addresses that a pod contributes."""
        return (address for interface in record.interfaces for address in interface.addresses)

    def attachments(self) -> Iterable[str]:
        """The attachments that it has addresses of."""
        return self.addresses.keys()

    def locations_of(self, attachment: str) -> frozenset[str] | None:
        """Empty: no row depends on where destinations are."""
        return frozenset() if attachment in self.addresses else None


def _count(addresses: list[str]) -> dict[str, int]:
    """How often each is there; most often each is once, which is found faster than by counting."""
    once = dict.fromkeys(addresses, 1)
    return once if len(once) == len(addresses) else Counter(addresses)


_M = TypeVar("_M", SourceMembers, PeerMembers)


@dataclass(slots=True, eq=False)
class Selection(Generic[_M]):
    """A selection with its members, and what depends on it. Compared by what it is, which is ten times as fast.

    Attributes:
        key: which pods.
        members: what it holds of them; nothing until they are asked for.
        is_filled: whether they were.
        policies: keys of the policies whose sources it is.
        sets: names of the port groups or address sets that have its members.
    """

    key: PodSelection
    members: _M
    is_filled: bool = False
    policies: set[str] = field(default_factory=set)
    sets: set[str] = field(default_factory=set)


@dataclass(slots=True, eq=False)
class _Namespaces(Generic[_M]):
    """The selections in the namespaces that one selector matches."""

    index: SelectorIndex[Selection[_M]] = field(default_factory=SelectorIndex)
    selections: set[Selection[_M]] = field(default_factory=set)


class Exchange(NamedTuple, Generic[_M]):
    """A pod that was exchanged in a selection: its old record in it, its new one, or None.

    `parts` are what it adds or takes: ports, or addresses. `attachments` are those with other locations now, each with
    whether it came or went altogether.
    """

    selection: Selection[_M]
    old: PodRecord | None
    new: PodRecord | None
    parts: frozenset[str]
    attachments: Mapping[str, bool]


class Selections(Generic[_M]):
    """The selections of one use, sources or peers, each with its members at all times."""

    def __init__(self, inventory: Inventory, members: type[_M], *, of_zone: bool) -> None:
        """Start with no selection.

        Args:
            inventory: where a new selection's members are looked up.
            members: what a selection holds of its pods.
            of_zone: whether only pods on nodes of this zone count.
        """
        self._inventory = inventory
        self._members: type[_M] = members
        self._of_zone = of_zone
        self._selections: dict[PodSelection, Selection[_M]] = {}
        self._of_namespace: dict[str, SelectorIndex[Selection[_M]]] = defaultdict(SelectorIndex)
        self._of_namespaces: dict[LabelSelector, _Namespaces[_M]] = {}
        self._namespace_selectors: SelectorIndex[_Namespaces[_M]] = SelectorIndex()
        self._by_attachment: dict[str, set[Selection[_M]]] = defaultdict(set)
        self._declared_by: dict[str, set[str]] = defaultdict(set)  # NAD's key -> attachments with a selection

    def __bool__(self) -> bool:
        """Whether there is a selection."""
        return bool(self._selections)

    def get(self, key: PodSelection) -> Selection[_M]:
        """The selection; it is kept until it is released."""
        selection = self._selections.get(key)
        if selection is None:
            selection = self._selections[key] = Selection(key, self._members())
            self._file(selection)
        return selection

    def members(self, key: PodSelection) -> _M:
        """The members of a selection; they are kept up to date from now on."""
        selection = self.get(key)
        if not selection.is_filled:
            selection.is_filled = True
            records = self._inventory.pods(key.pods, key.namespaces)
            selection.members.extend(filter(self._counts, records) if self._of_zone else records)
            for attachment in selection.members.attachments():
                self._add_attachment(attachment, selection)
        return selection.members

    def release(self, selection: Selection[_M]) -> None:
        """Drop a selection, unless something depends on it."""
        if selection.policies or selection.sets or self._selections.pop(selection.key, None) is None:
            return
        for attachment in selection.members.attachments():
            self._drop_attachment(attachment, selection)
        where, pods = selection.key
        if isinstance(where, LabelSelector):
            namespaces = self._of_namespaces[where]
            namespaces.index.discard(pods, selection)
            namespaces.selections.discard(selection)
            if not namespaces.selections:
                del self._of_namespaces[where]
                self._namespace_selectors.discard(where, namespaces)
        else:
            self._of_namespace[where].discard(pods, selection)
            if not self._of_namespace[where]:
                del self._of_namespace[where]

    def with_attachment(self, attachment: str) -> frozenset[Selection[_M]]:
        """The selections with members on this attachment, or on another one that this NAD declares."""
        attachments = {attachment, *self._declared_by.get(attachment, ())}
        return frozenset().union(*(self._by_attachment.get(one, ()) for one in attachments))

    def replace_pod(self, old: PodRecord | None, new: PodRecord | None) -> Iterable[Exchange[_M]]:
        """Exchange a pod's record in the selections that it is in. Yields each of them, when it is done there."""
        return self._replace_pod(old, new) if self._selections else ()

    def _replace_pod(self, old: PodRecord | None, new: PodRecord | None) -> Iterator[Exchange[_M]]:
        old = old if old is not None and self._counts(old) else None
        new = new if new is not None and self._counts(new) else None
        left = self.selecting(old.pod) if old is not None else set()
        if old is not None and new is not None and old.pod.labels == new.pod.labels:
            joined = left  # most pods that change keep their labels
        else:
            joined = self.selecting(new.pod) if new is not None else set()
        if old is None or new is None or old.interfaces != new.interfaces:
            yield from self._exchange(left & joined, old, new)
        yield from self._exchange(left - joined, old, None)
        yield from self._exchange(joined - left, None, new)

    def move_namespace(self, name: str, before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[Exchange[_M]]:
        """Move the pods of a namespace whose labels changed. Yields as `replace_pod`."""
        if not self._selections:
            return
        left = self._namespace_selectors.matching(before)
        joined = self._namespace_selectors.matching(after)
        for namespaces in left ^ joined:
            joins = namespaces in joined
            for selection in namespaces.selections:
                for record in self._inventory.pods(selection.key.pods, name):
                    if self._counts(record):
                        yield from self._exchange((selection,), None if joins else record, record if joins else None)

    def without_members(self, pod: Pod) -> Iterator[Selection[_M]]:
        """The selections that a pod is in which is no member of them, and that have no member at all."""
        if self:
            yield from (one for one in self.selecting(pod) if one.is_filled and not one.members.attachments())

    def _counts(self, record: PodRecord) -> bool:
        return not self._of_zone or self._inventory.topology.in_zone(record.pod.node)

    def selecting(self, pod: Pod) -> set[Selection[_M]]:
        """The selections that a pod is in, by its labels and its namespace's."""
        buckets = SelectorIndex.buckets_of(pod.labels)
        index = self._of_namespace.get(pod.namespace)
        found = index.matching(pod.labels, buckets) if index is not None else set()
        if self._namespace_selectors:
            for namespaces in self._namespace_selectors.matching(self._inventory.namespace_labels(pod.namespace)):
                found |= namespaces.index.matching(pod.labels, buckets)
        return found

    def _exchange(
        self, selections: Iterable[Selection[_M]], old: PodRecord | None, new: PodRecord | None
    ) -> Iterator[Exchange[_M]]:
        if not selections:
            return
        records = [record for record in (old, new) if record is not None]
        attachments = {interface.attachment for record in records for interface in record.interfaces}
        parts = frozenset(part for record in records for part in self._members.parts(record))
        for selection in selections:
            if not selection.is_filled:
                continue  # nothing was made of its members yet
            members = selection.members
            before = [(attachment, members.locations_of(attachment)) for attachment in attachments]
            if old is not None:
                members.discard(old)
            if new is not None:
                members.add(new)
            changed = {}
            for attachment, known in before:
                now = members.locations_of(attachment)
                if now != known:
                    changed[attachment] = now is None or known is None
                if now is None:
                    self._drop_attachment(attachment, selection)
                elif known is None:
                    self._add_attachment(attachment, selection)
            yield Exchange(selection, old, new, parts, changed)

    def _file(self, selection: Selection[_M]) -> None:
        where, pods = selection.key
        if not isinstance(where, LabelSelector):
            self._of_namespace[where].add(pods, selection)
            return
        namespaces = self._of_namespaces.get(where)
        if namespaces is None:
            namespaces = self._of_namespaces[where] = _Namespaces()
            self._namespace_selectors.add(where, namespaces)
        namespaces.index.add(pods, selection)
        namespaces.selections.add(selection)

    def _add_attachment(self, attachment: str, selection: Selection[_M]) -> None:
        self._by_attachment[attachment].add(selection)
        self._declared_by[self._inventory.topology.definition_key(attachment)].add(attachment)

    def _drop_attachment(self, attachment: str, selection: Selection[_M]) -> None:
        selections = self._by_attachment.get(attachment)
        if selections is None:
            return
        selections.discard(selection)
        if not selections:
            del self._by_attachment[attachment]
            declared_by = self._inventory.topology.definition_key(attachment)
            self._declared_by[declared_by].discard(attachment)
            if not self._declared_by[declared_by]:
                del self._declared_by[declared_by]
