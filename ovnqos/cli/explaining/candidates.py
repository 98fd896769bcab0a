"""The rows that are explained: those that the files compile to, or those that are in the database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ovnqos.compile.rows import Direction
from ovnqos.errors import InvalidRow
from ovnqos.explain.explanation import Candidate
from ovnqos.match import Verbatim, parse
from ovnqos.match.packet import NamedSets
from ovnqos.model.owner import PORT_KEY, RULE_KEY, UPSTREAM_NAME_KEY, UPSTREAM_TYPE_KEY
from ovnqos.plan.changes import RowDelete, RowInsert, RowUpdate
from ovnqos.plan.snapshot import SetKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ovnqos.compile.rows import DesiredState, QosRow
    from ovnqos.match import Match
    from ovnqos.model.owner import Owner
    from ovnqos.plan.plan import Plan
    from ovnqos.plan.snapshot import ActualRow, Snapshot
    from ovnqos.southbound.contents import SouthboundContents

_REFERENCE_RULE_KEY: Final = "rule-index"
_OF_NORTHD: Final = ("_ip4", "_ip6")
"""Endings of the address sets that northd derives from port groups (ovn-nb(5), Port_Group, name)."""
_SERVICE_MONITOR: Final = "svc_monitor_mac"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """The rows of one switch, and what the names in their matches stand for."""

    candidates: tuple[Candidate, ...]
    names: NamedSets


def compiled_rows(desired: DesiredState, switch: str, owner: Owner) -> Rows:
    """What the files compile to, for one switch."""
    return Rows(
        candidates=tuple(_of_row(row, owner) for row in desired.rows.values() if switch in row.switches),
        names=NamedSets(
            address_sets={name: one.addresses for name, one in desired.address_sets.items()},
            port_groups={name: one.ports for name, one in desired.port_groups.items()},
            meanings={
                **{name: one.identity for name, one in desired.address_sets.items()},
                **{name: one.identity for name, one in desired.port_groups.items()},
            },
        ),
    )


def stored_rows(snapshot: Snapshot, switch: str, southbound: SouthboundContents | None) -> Rows:
    """What is in the Northbound, ours and others', for one switch; the Southbound knows the sets that northd makes."""
    sets = {**snapshot.sets, **snapshot.foreign_sets}
    groups = {name: one.content.members for (kind, name), one in sets.items() if kind is SetKind.PORT_GROUP}
    addresses = {name: one.content.members for (kind, name), one in sets.items() if kind is SetKind.ADDRESS_SET}
    derived = {f"{name}{ending}" for name in groups for ending in _OF_NORTHD} | {_SERVICE_MONITOR}
    if southbound is not None:
        addresses = {name: one for name, one in southbound.address_sets.items() if name in derived} | addresses
    found = (*snapshot.rows, *snapshot.foreign_rows)
    return Rows(
        candidates=tuple(_of_stored(row, snapshot.owner) for row in found if switch in row.switches),
        names=NamedSets(address_sets=addresses, port_groups=groups, unknown_sets=frozenset(derived - addresses.keys())),
    )


def differences_on(plan: Plan, switch: str) -> str:
    """How many rows of one switch, and how many sets, a plan changes, in words; empty for none."""
    rows = sum(
        switch in change.switches or (isinstance(change, RowUpdate) and switch in change.bind)
        for change in plan.changes
        if isinstance(change, RowInsert | RowUpdate | RowDelete)
    )
    sets = len(plan.changes) - plan.count(RowInsert, RowUpdate, RowDelete)
    counts = ((rows, f"row{'s' * (rows != 1)} of switch {switch}"), (sets, f"set{'s' * (sets != 1)}"))
    return " and ".join(f"{number} {noun}" for number, noun in counts if number)


def _of_row(row: QosRow, owner: Owner) -> Candidate:
    return Candidate(
        name=_row_name(row.external_ids, owner, row.identity),
        direction=row.direction,
        priority=row.priority,
        match=row.match,
        dscp=row.dscp,
        rate_kbps=row.rate_kbps,
        burst_kbit=row.burst_kbit,
        acts=bool(row.action),
        identity=row.identity,
    )


def _of_stored(row: ActualRow, owner: Owner) -> Candidate:
    content = row.content
    return Candidate(
        name=_row_name(content.external_ids, owner, f"row {row.uuid[:8]}"),
        direction=Direction(content.direction),
        priority=content.priority,
        match=_read(content.match),
        dscp=content.action.get("dscp"),
        rate_kbps=content.bandwidth.get("rate"),
        burst_kbit=content.bandwidth.get("burst"),
        acts=bool(content.action),
        identity=row.uuid,
    )


def _read(text: str) -> Match:
    try:
        return parse(text)
    except InvalidRow:
        return Verbatim(text)


def _row_name(external_ids: Mapping[str, str], owner: Owner, otherwise: str) -> str:
    """Whose a row is: the object and its rule, or what a foreign row says of itself."""
    if made_for := owner.object_of(external_ids):
        rule = external_ids.get(RULE_KEY, external_ids.get(_REFERENCE_RULE_KEY, ""))
        port = external_ids.get(PORT_KEY, "") if made_for.startswith("NetworkQoS/") else ""
        return " ".join([made_for, *([f"rule {rule}"] if rule else []), *([f"port {port}"] if port else [])])
    kind, name = external_ids.get(UPSTREAM_TYPE_KEY), external_ids.get(UPSTREAM_NAME_KEY, "")
    if kind:
        return f"{kind} {name} ({otherwise})" if name else f"{kind} ({otherwise})"
    neutron = next((f"{key}={value}" for key, value in sorted(external_ids.items()) if key.startswith("neutron:")), "")
    return f"{neutron} ({otherwise})" if neutron else otherwise
