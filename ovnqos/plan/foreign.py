"""Foreign rows that conflict with ours: equal priority, and one packet can match both; which wins is undefined."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ovnqos.match import read_match
from ovnqos.match.terms import find_terms
from ovnqos.model.owner import Owner

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovnqos.compile.rows import DesiredState, QosRow
    from ovnqos.match.terms import Terms
    from ovnqos.plan.snapshot import ActualRow, Snapshot

_UPSTREAM = Owner.ovn_kubernetes()


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignConflict:
    """One of our rows, by identity, and the foreign row that it conflicts with on a switch."""

    identity: str
    switch: str
    row: ActualRow


def upstream_rows(snapshot: Snapshot) -> tuple[ActualRow, ...]:
    """The rows of ovn-kubernetes' own NetworkQoS controller: any of them: a second controller is at work."""
    return tuple(row for row in snapshot.foreign_rows if _UPSTREAM.owns(row.content.external_ids))


def find_foreign_conflicts(desired: DesiredState, snapshot: Snapshot) -> tuple[ForeignConflict, ...]:
    """Find the foreign rows that conflict with desired ones; sorted by our row's identity.

    A foreign match that cannot be read counts as one that matches everything.
    """
    ours: dict[tuple[str, str, int], list[QosRow]] = defaultdict(list)
    places = {
        (switch, row.content.direction, row.content.priority)
        for row in snapshot.foreign_rows
        for switch in row.switches
    }
    for row in desired.rows.values():
        for switch in row.switches:
            place = (switch, str(row.direction), row.priority)
            if place in places:
                ours[place].append(row)
    found = _conflicts(ours, desired, snapshot) if ours else ()
    return tuple(sorted(found, key=lambda one: (one.identity, one.switch, one.row.uuid)))


def _conflicts(
    ours: dict[tuple[str, str, int], list[QosRow]], desired: DesiredState, snapshot: Snapshot
) -> Iterator[ForeignConflict]:
    actual = snapshot.named_sets()
    names = replace(
        actual,
        address_sets={**actual.address_sets, **{name: one.addresses for name, one in desired.address_sets.items()}},
        port_groups={**actual.port_groups, **{name: one.ports for name, one in desired.port_groups.items()}},
    )
    for foreign in snapshot.foreign_rows:
        terms: Terms | None = None
        for switch in foreign.switches:
            for row in ours.get((switch, foreign.content.direction, foreign.content.priority), ()):
                if terms is None:
                    terms = find_terms(read_match(foreign.content.match), names)
                if terms.overlap(find_terms(row.match, names)):
                    yield ForeignConflict(identity=row.identity, switch=switch, row=foreign)
