"""Selections that are kept up to date: a pod that changes costs the selections that it is in, and no others."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from ovnqos.compile.selections import find_peer_members, find_source_members
from ovnqos.compile.selector_index import SelectorIndex
from ovnqos.model.labels import LabelSelector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from ovnqos.compile.inventory import Inventory, PodRecord
    from ovnqos.compile.selections import PeerMembers, PodSelection, SourceMembers


class Members(Protocol):
    """What a selection holds of its pods."""

    def add(self, record: PodRecord) -> None:
        """Take in a pod."""

    def discard(self, record: PodRecord) -> None:
        """Take out a pod that was added."""

    def attachments(self) -> Iterable[str]:
        """The attachments that it has anything of."""

    def shape(self, attachment: str) -> frozenset[str] | None:
        """What decides rows, not only members, about an attachment; None when there is none of it."""


_M = TypeVar("_M", bound=Members)


@dataclass(slots=True, eq=False)
class LiveSelection(Generic[_M]):
    """A selection with its members. Sets of it go by what it is, not by what it says, which is ten times as fast.

    Attributes:
        selection: which pods.
        members: what it holds of them.
    """

    selection: PodSelection
    members: _M


@dataclass(slots=True, eq=False)
class _Namespaces(Generic[_M]):
    """The selections in the namespaces that one selector matches."""

    index: SelectorIndex[LiveSelection[_M]] = field(default_factory=SelectorIndex)
    filed: set[LiveSelection[_M]] = field(default_factory=set)


class LiveSelections(Generic[_M]):
    """The selections of one use (sources, or peers), each with its members at all times."""

    def __init__(self, inventory: Inventory, query: Callable[[Inventory, PodSelection], _M]) -> None:
        """No selection is registered.

        Args:
            inventory: where a new selection's members are asked for.
            query: asks for them.
        """
        self._inventory = inventory
        self._query = query
        self._kept: dict[PodSelection, LiveSelection[_M]] = {}
        self._of_namespace: dict[str, SelectorIndex[LiveSelection[_M]]] = defaultdict(SelectorIndex)
        self._of_namespaces: dict[LabelSelector, _Namespaces[_M]] = {}
        self._namespace_selectors: SelectorIndex[_Namespaces[_M]] = SelectorIndex()
        self._by_attachment: dict[str, set[PodSelection]] = defaultdict(set)
        self._declared_by: dict[str, set[str]] = defaultdict(set)  # NAD's key -> attachments with a selection

    def members(self, selection: PodSelection) -> _M:
        """The selection's members; it is registered from now on."""
        kept = self._kept.get(selection)
        if kept is None:
            kept = self._kept[selection] = LiveSelection(selection, self._query(self._inventory, selection))
            self._file(kept)
            for attachment in kept.members.attachments():
                self._add_attachment(attachment, selection)
        return kept.members

    def forget(self, selection: PodSelection) -> None:
        """Stop keeping a selection, if it is kept."""
        kept = self._kept.pop(selection, None)
        if kept is None:
            return
        for attachment in kept.members.attachments():
            self._drop_attachment(attachment, selection)
        where = selection.namespaces
        if isinstance(where, LabelSelector):
            namespaces = self._of_namespaces[where]
            namespaces.index.discard(selection.pods, kept)
            namespaces.filed.discard(kept)
            if not namespaces.filed:
                del self._of_namespaces[where]
                self._namespace_selectors.discard(where, namespaces)
        else:
            self._of_namespace[where].discard(selection.pods, kept)
            if not self._of_namespace[where]:
                del self._of_namespace[where]

    def with_attachment(self, attachment: str) -> frozenset[PodSelection]:
        """The selections with members on this attachment, or on another one that this NAD declares."""
        attachments = {attachment, *self._declared_by.get(attachment, ())}
        return frozenset().union(*(self._by_attachment.get(one, ()) for one in attachments))

    def selecting(self, record: PodRecord) -> set[LiveSelection[_M]]:
        """The registered selections that a pod is in, by its labels and its namespace's."""
        if not self._kept:  # as while a cluster is taken in before its policies
            return set()
        pod = record.pod
        places = SelectorIndex.places_of(pod.labels)
        index = self._of_namespace.get(pod.namespace)
        found = index.matching(pod.labels, places) if index is not None else set()
        if self._namespace_selectors:
            for namespaces in self._namespace_selectors.matching(self._inventory.namespace_labels(pod.namespace)):
                found |= namespaces.index.matching(pod.labels, places)
        return found

    def replace(self, kept: LiveSelection[_M], old: PodRecord | None, new: PodRecord | None) -> dict[str, bool]:
        """Exchange a pod in a selection.

        Returns the attachments whose shape changed, each with whether it has come or gone altogether.
        """
        members = kept.members
        attachments = {
            interface.attachment for record in (old, new) if record is not None for interface in record.interfaces
        }
        before = {attachment: members.shape(attachment) for attachment in attachments}
        if old is not None:
            members.discard(old)
        if new is not None:
            members.add(new)
        changed = {}
        for attachment in attachments:
            shape, known = members.shape(attachment), before[attachment]
            if shape != known:
                changed[attachment] = shape is None or known is None
            if shape is None:
                self._drop_attachment(attachment, kept.selection)
            elif known is None:
                self._add_attachment(attachment, kept.selection)
        return changed

    def moved_by_namespace(
        self, before: Mapping[str, str], after: Mapping[str, str]
    ) -> Iterator[tuple[LiveSelection[_M], bool]]:
        """The selections that a namespace leaves (False) or joins (True) when its labels change."""
        left = self._namespace_selectors.matching(before)
        joined = self._namespace_selectors.matching(after)
        for namespaces in left ^ joined:
            for kept in namespaces.filed:
                yield kept, namespaces in joined

    def _file(self, kept: LiveSelection[_M]) -> None:
        where, pods = kept.selection
        if not isinstance(where, LabelSelector):
            self._of_namespace[where].add(pods, kept)
            return
        namespaces = self._of_namespaces.get(where)
        if namespaces is None:
            namespaces = self._of_namespaces[where] = _Namespaces()
            self._namespace_selectors.add(where, namespaces)
        namespaces.index.add(pods, kept)
        namespaces.filed.add(kept)

    def _add_attachment(self, attachment: str, selection: PodSelection) -> None:
        self._by_attachment[attachment].add(selection)
        self._declared_by[self._inventory.topology.definition_key(attachment)].add(attachment)

    def _drop_attachment(self, attachment: str, selection: PodSelection) -> None:
        selections = self._by_attachment.get(attachment)
        if selections is not None:
            selections.discard(selection)
            if not selections:
                del self._by_attachment[attachment]
                declared_by = self._inventory.topology.definition_key(attachment)
                self._declared_by[declared_by].discard(attachment)
                if not self._declared_by[declared_by]:
                    del self._declared_by[declared_by]


class BothSelections:
    """Both uses of selections, as compilers ask for them."""

    def __init__(self, inventory: Inventory) -> None:
        """No selection is registered."""
        self.of_sources: LiveSelections[SourceMembers] = LiveSelections(inventory, find_source_members)
        self.of_peers: LiveSelections[PeerMembers] = LiveSelections(inventory, find_peer_members)

    def sources(self, selection: PodSelection) -> SourceMembers:
        """The interfaces of the selected pods of this zone."""
        return self.of_sources.members(selection)

    def peers(self, selection: PodSelection) -> PeerMembers:
        """The addresses of the selected pods of the cluster."""
        return self.of_peers.members(selection)
