"""The port groups and address sets that a row's match names: are they there, not empty, and known to OVN?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ovnqos.match import NamedSets, Verbatim, references
from ovnqos.match.parse import read_match
from ovnqos.match.terms import find_terms
from ovnqos.plan.snapshot import SetKind, references_in
from ovnqos.verify.findings import Finding, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovnqos.plan.snapshot import Snapshot
    from ovnqos.southbound.contents import SouthboundContents, SwitchDatapath

# Names of address sets that northd derives from port groups, and of one that it makes by itself
_DERIVED: Final = ("_ip4", "_ip6")
_BUILT_IN: Final = frozenset({"svc_monitor_mac"})


class RowSets:
    """All sets and groups of a Northbound, whoever owns them, and what its Southbound makes of them."""

    def __init__(self, snapshot: Snapshot, southbound: SouthboundContents) -> None:
        """Take them from a snapshot and from what was read after it."""
        stored = {**snapshot.foreign_sets, **snapshot.sets}
        self._members = {key: one.content.members for key, one in stored.items()}
        self._southbound = southbound
        self.names = NamedSets(address_sets=southbound.address_sets, port_groups=southbound.port_groups)

    def judge(self, finding: Finding) -> Finding | None:
        """What is wrong with the sets of a row; None if nothing is."""
        missing = [words for words, name, kind in self._named(finding.match) if not self._is_there(name, kind)]
        if missing:
            return finding.but(
                Verdict.BROKEN,
                f"the Northbound has no {' and no '.join(missing)}, so OVN ignores the row",
                "run `ovnqos apply` again, or make the missing by hand",
            )
        empty = self._empty(finding.match)
        if empty:
            return finding.but(
                Verdict.IDLE,
                f"{' and '.join(empty)} {'is' if len(empty) == 1 else 'are'} empty: it matches nothing now",
                "if there should be members, see what `ovnqos diff` says",
            )
        stale = [words for words, name, kind in self._named(finding.match) if self._is_stale(name, kind)]
        if stale:
            return finding.but(
                Verdict.ABSENT,
                f"the Southbound has other members of {' and '.join(stale)} than the Northbound",
                "see whether ovn-northd runs: `ovn-appctl -t ovn-northd status`, and its log",
            )
        return None

    def judge_on_switch(self, finding: Finding, datapath: SwitchDatapath) -> Finding | None:
        """Whether each port group of a row has a port on a switch; None if each has.

        Where one has none, OVN does not know it, and ignores the whole row there, other ways to match included (seen
        on OVN 23.03 and 25.03).
        """
        absent = [
            words
            for words, name, kind in self._named(finding.match)
            if kind is SetKind.PORT_GROUP and self._members[kind, name].isdisjoint(datapath.ports)
        ]
        if not absent:
            return None
        verb = "has" if len(absent) == 1 else "have"
        return finding.but(
            Verdict.IDLE,
            f"{' and '.join(absent)} {verb} no port on this switch: OVN ignores it here",
            "if one should be here, see what `ovnqos diff` says",
        )

    def _named(self, match: str) -> Iterator[tuple[str, str, SetKind]]:
        """Each set of a match: in words, by name, of which kind."""
        tree = read_match(match)
        if isinstance(tree, Verbatim):
            # what cannot be read as a whole still names its sets
            for name in sorted(references_in(match)):
                kind = SetKind.PORT_GROUP if f"@{name}" in match else SetKind.ADDRESS_SET
                yield f"{kind.words} {name}", name, kind
        found = references(tree)
        for name in sorted(found.port_groups):
            yield f"port group {name}", name, SetKind.PORT_GROUP
        for name in sorted(found.address_sets):
            yield f"address set {name}", name, SetKind.ADDRESS_SET

    def _is_there(self, name: str, kind: SetKind) -> bool:
        return (kind, name) in self._members or (kind is SetKind.ADDRESS_SET and self._is_derived(name))

    def _is_derived(self, name: str) -> bool:
        return name in _BUILT_IN or (name.endswith(_DERIVED) and (SetKind.PORT_GROUP, name[:-4]) in self._members)

    def _empty(self, match: str) -> list[str]:
        """The sets whose emptiness leaves nothing to match; none where an alternative is left."""
        empty = [
            words
            for words, name, kind in self._named(match)
            if (kind, name) in self._members and not self._members[kind, name]
        ]
        if not empty:
            return []
        wanted = NamedSets(address_sets=self._of(SetKind.ADDRESS_SET), port_groups=self._of(SetKind.PORT_GROUP))
        return [] if find_terms(read_match(match), wanted) else empty

    def _of(self, kind: SetKind) -> dict[str, frozenset[str]]:
        derived = self._southbound.address_sets if kind is SetKind.ADDRESS_SET else {}
        return {**derived, **{name: members for (one, name), members in self._members.items() if one is kind}}

    def _is_stale(self, name: str, kind: SetKind) -> bool:
        known = self._southbound.port_groups if kind is SetKind.PORT_GROUP else self._southbound.address_sets
        if (kind, name) not in self._members:
            return name not in known
        return known.get(name, frozenset()) != self._members[kind, name]
