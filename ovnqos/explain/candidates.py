"""The candidate rows of a switch: those that objects compile to, or those that a Northbound has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from ovnqos.compile.rows import Direction
from ovnqos.explain.explanation import CandidateRow
from ovnqos.match import NamedSets, read_match
from ovnqos.model.owner import PORT_KEY, RULE_KEY, UPSTREAM_NAME_KEY, UPSTREAM_TYPE, UPSTREAM_TYPE_KEY
from ovnqos.plan.snapshot import RowContent

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from ovnqos.compile.rows import DesiredState
    from ovnqos.match import Match
    from ovnqos.model.owner import Owner
    from ovnqos.plan.snapshot import ActualRow, Snapshot

_UPSTREAM_RULE_KEY = "rule-index"


class RowName(NamedTuple):
    """What a row is called, by its external_ids; a field is empty where it is not known.

    Attributes:
        object: `NetworkQoS/<namespace>/<name>`, or the like, that it was made for.
        rule: which of the object's rules.
        port: the logical port, where each port has a row of its own.
        text: all of it, for people.
    """

    object: str
    rule: str
    port: str
    text: str

    def __str__(self) -> str:
        return self.text

    @property
    def shows_port(self) -> bool:
        """Whether the port tells rows of one rule apart."""
        return bool(self.port) and self.object.startswith("NetworkQoS/")


def name_row(external_ids: Mapping[str, str], owner: Owner, fallback: str) -> RowName:
    """Name a row, as an owner sees it; `fallback` is the text for a row of which nothing is known."""
    made_for = owner.object_of(external_ids)
    rule = external_ids.get(RULE_KEY, external_ids.get(_UPSTREAM_RULE_KEY, ""))
    port = external_ids.get(PORT_KEY, "")
    if made_for:
        row = RowName(made_for, rule, port, "")
        words = [made_for, *([f"rule {rule}"] if rule else []), *([f"port {port}"] if row.shows_port else [])]
        return row._replace(text=" ".join(words))
    kind, name = external_ids.get(UPSTREAM_TYPE_KEY), external_ids.get(UPSTREAM_NAME_KEY, "")
    neutron = next((f"{key}={value}" for key, value in sorted(external_ids.items()) if key.startswith("neutron:")), "")
    known = f"{kind} {name}".rstrip() if kind else neutron
    of_object = f"NetworkQoS/{name.replace(':', '/', 1)}" if kind == UPSTREAM_TYPE and name else ""
    return RowName(of_object, rule, port, f"{known} ({fallback})" if known else fallback)


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateRows:
    """The candidate rows of one switch, and the members of the sets that their matches name."""

    rows: tuple[CandidateRow, ...]
    names: NamedSets


def candidates_of_desired(desired: DesiredState, switch: str, owner: Owner) -> CandidateRows:
    """The rows that objects compile to, on one switch."""
    return CandidateRows(
        rows=tuple(
            _candidate(RowContent.desired(row, owner), row.match, owner, identity=row.identity, fallback=row.identity)
            for row in desired.rows.values()
            if switch in row.switches
        ),
        names=NamedSets(
            address_sets={name: one.addresses for name, one in desired.address_sets.items()},
            port_groups={name: one.ports for name, one in desired.port_groups.items()},
            meanings={
                **{name: one.identity for name, one in desired.address_sets.items()},
                **{name: one.identity for name, one in desired.port_groups.items()},
            },
        ),
    )


def candidates_of_snapshot(
    snapshot: Snapshot, switch: str, address_sets: Mapping[str, Collection[str]] | None = None
) -> CandidateRows:
    """The rows that a Northbound has on one switch, of all owners.

    Args:
        snapshot: the Northbound.
        switch: name of the switch.
        address_sets: those of the Southbound, among them those that northd derives; None where it is not known.
    """
    rows = (row for row in (*snapshot.rows, *snapshot.foreign_rows) if switch in row.switches)
    return CandidateRows(
        rows=tuple(candidate_of_row(row, snapshot.owner) for row in rows), names=snapshot.named_sets(address_sets)
    )


def candidate_of_row(row: ActualRow, owner: Owner) -> CandidateRow:
    """A row of a Northbound, named as an owner sees it."""
    match = read_match(row.content.match)
    return _candidate(row.content, match, owner, identity=row.uuid, fallback=f"row {row.uuid[:8]}")


def _candidate(content: RowContent, match: Match, owner: Owner, *, identity: str, fallback: str) -> CandidateRow:
    name = name_row(content.external_ids, owner, fallback)
    return CandidateRow(
        name=name.text,
        object=name.object,
        rule=name.rule,
        direction=Direction(content.direction),
        priority=content.priority,
        match=match,
        dscp=content.action.get("dscp"),
        rate_kbps=content.bandwidth.get("rate"),
        burst_kbit=content.bandwidth.get("burst"),
        acts=bool(content.action),
        identity=identity,
    )
