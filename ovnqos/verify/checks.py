"""What must be there for a row to be in force: port groups and address sets, logical flows, chassis that caught up."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from ovnqos.explain.candidates import name_row
from ovnqos.match import NamedSets, Verbatim, read_match, references
from ovnqos.match.terms import find_terms
from ovnqos.model.owner import JOINED_KEY
from ovnqos.plan.snapshot import SetKind, references_in
from ovnqos.verify.findings import Finding, Realisation, describe_chassis, hint_for_chassis

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from ovnqos.explain.candidates import RowName
    from ovnqos.match.terms import Terms
    from ovnqos.plan.snapshot import ActualRow, RowContent, Snapshot
    from ovnqos.southbound.contents import SouthboundContents, SwitchDatapath, SwitchPort
    from ovnqos.southbound.flow_table import FlowTable
    from ovnqos.southbound.trace import FlowEffect

CHECK_NORTHD: Final = "check that ovn-northd runs: `ovn-appctl -t ovn-northd status`, and its log"
_SEE_DIFF: Final = "run `ovnqos diff` to see what is missing"


class RowSets:
    """All sets and groups of a Northbound, of any owner, against those of its Southbound."""

    def __init__(self, snapshot: Snapshot, southbound: SouthboundContents) -> None:
        """Take them from a snapshot, and from a Southbound that was read after it."""
        self._northbound = snapshot.named_sets(southbound.address_sets)
        self.names = NamedSets(address_sets=southbound.address_sets, port_groups=southbound.port_groups)

    def check(self, finding: Finding) -> Finding | None:
        """Find what is wrong with the sets of a row; None if nothing is."""
        named = tuple(_named_sets(finding.row.content.match))
        missing = [words for words, name, kind in named if not self._exists(name, kind)]
        if missing:
            return finding.but(
                Realisation.BROKEN,
                f"the Northbound has no {' and no '.join(missing)}, so OVN ignores the row",
                "run `ovnqos apply`, or create what is missing",
            )
        empty = [words for words, name, kind in named if self._members(name, kind) == frozenset()]
        if empty and not find_terms(read_match(finding.row.content.match), self._northbound):
            verb = "is" if len(empty) == 1 else "are"
            return finding.but(
                Realisation.IDLE, f"{' and '.join(empty)} {verb} empty: the row matches no packet", _SEE_DIFF
            )
        stale = [words for words, name, kind in named if self._is_stale(name, kind)]
        if stale:
            return finding.but(
                Realisation.ABSENT,
                f"the Southbound has other members of {' and '.join(stale)} than the Northbound",
                CHECK_NORTHD,
            )
        return None

    def check_on_switch(self, finding: Finding, datapath: SwitchDatapath) -> Finding | None:
        """Find a port group of a row without a port on a switch; None if there is none.

        OVN does not know such a group there, and ignores the whole row, other alternatives included (seen on OVN 23.03
        and 25.03).
        """
        absent = [
            words
            for words, name, kind in _named_sets(finding.row.content.match)
            if kind is SetKind.PORT_GROUP and not datapath.ports.keys() & self._northbound.port_groups[name]
        ]
        if not absent:
            return None
        verb = "has" if len(absent) == 1 else "have"
        reason = f"{' and '.join(absent)} {verb} no port on this switch, so OVN ignores the row there"
        return finding.but(Realisation.IDLE, reason, _SEE_DIFF)

    def _exists(self, name: str, kind: SetKind) -> bool:
        return self._members(name, kind) is not None or (
            kind is SetKind.ADDRESS_SET and name in self._northbound.unknown_sets
        )

    def _members(self, name: str, kind: SetKind) -> Collection[str] | None:
        return _sets_of(self._northbound, kind).get(name)

    def _is_stale(self, name: str, kind: SetKind) -> bool:
        return _sets_of(self.names, kind).get(name, frozenset()) != self._members(name, kind)


def _sets_of(names: NamedSets, kind: SetKind) -> Mapping[str, Collection[str]]:
    return names.port_groups if kind is SetKind.PORT_GROUP else names.address_sets


def _named_sets(match: str) -> Iterator[tuple[str, str, SetKind]]:
    """Each set of a match: its description, name and kind."""
    tree = read_match(match)
    if isinstance(tree, Verbatim):
        # what cannot be parsed as a whole still names its sets
        for name in sorted(references_in(match)):
            kind = SetKind.PORT_GROUP if f"@{name}" in match else SetKind.ADDRESS_SET
            yield f"{kind.words} {name}", name, kind
    found = references(tree)
    for name in sorted(found.port_groups):
        yield f"port group {name}", name, SetKind.PORT_GROUP
    for name in sorted(found.address_sets):
        yield f"address set {name}", name, SetKind.ADDRESS_SET


def check_flows(finding: Finding, flows: FlowTable, datapath: str) -> Finding | None:
    """Find flows of a row that northd has not made on a datapath; None if it has made all."""
    content = finding.row.content
    missing = flows.missing(content, datapath)
    if not missing:
        return None
    if flows.has_hint(finding.row.uuid, datapath):
        reason = "northd still has the logical flows of an earlier version of the row"
    elif not flows.of_row(content, datapath):
        reason = "northd has made no logical flow for it"
    else:
        reason = f"northd has made no logical flow for it in {missing[0].stage}"
    return finding.but(Realisation.ABSENT, reason, CHECK_NORTHD)


class RowsOfFlows:
    """The rows of a Northbound, found by the flows that northd makes of them."""

    def __init__(self, snapshot: Snapshot) -> None:
        """Index rows of all owners."""
        self._owner = snapshot.owner
        self._rows: Mapping[tuple[str, str, int, str], list[ActualRow]] = defaultdict(list)
        for row in (*snapshot.rows, *snapshot.foreign_rows):
            for switch in row.switches:
                self._rows[switch, row.content.direction, row.content.priority, row.content.match].append(row)

    def name(self, row: ActualRow) -> RowName:
        """What a row is called."""
        known = row.content.external_ids
        name = name_row(known, self._owner, f"row {row.uuid[:8]}")
        return name if self._owner.owns(known) else name._replace(text=f"{name.text} of another owner")

    def name_flow(self, switch: str, flow: FlowEffect) -> str:
        """Name the row that a flow on a switch was made for, with its priority."""
        row = self._row_of(switch, flow)
        return f"{self.name(row).text if row is not None else 'a deleted row'} (priority {flow.priority})"

    def has_joined(self, finding: Finding, flow: FlowEffect) -> bool:
        """Whether the row of a flow says that it does what a finding's row does, beside a limit of its own."""
        row = self._row_of(finding.switch, flow)
        joined = row.content.external_ids.get(JOINED_KEY, "") if row is not None else ""
        return bool(joined) and joined == f"{finding.name.object}/{finding.name.rule}"

    def _row_of(self, switch: str, flow: FlowEffect) -> ActualRow | None:
        """The row that a flow was made for; of several that do the same, one of the owner's."""
        rows = self._rows.get((switch, str(flow.direction), flow.priority, flow.match), ())
        of_flow = (row for row in rows if _is_of_row(flow, row.content))
        return next(of_flow, None) or next(iter(rows), None)


def _is_of_row(flow: FlowEffect, content: RowContent) -> bool:
    """Whether a flow does what a row of its match and priority says."""
    rate = content.bandwidth.get("rate")
    return flow.dscp in {None, content.action.get("dscp")} and (flow.meter is None or flow.meter.rate_kbps == rate)


def check_chassis(
    finding: Finding, datapath: SwitchDatapath, southbound: SouthboundContents, nb_cfg: int, terms: Terms
) -> Finding | None:
    """Find chassis that look a row up and have not caught up; None if there are none."""
    # to-lport runs on the chassis where the packet leaves the switch, which only outport restricts
    field = "outport" if finding.row.content.direction == "to-lport" else "inport"
    bound = {port.chassis for port in _ports((term.ports(field) for term in terms.items), datapath)}
    behind = tuple(one for one in southbound.chassis if one.name in bound and one.nb_cfg < nb_cfg)
    if not behind:
        return None
    reason = f"not caught up: chassis {describe_chassis(behind)}"
    return replace(finding.but(Realisation.BEHIND, reason, hint_for_chassis(behind)), behind=behind)


def add_unbound_ports(finding: Finding, datapath: SwitchDatapath, terms: Terms) -> Finding:
    """The finding with a detail where no chassis has a port whose packets the row could take."""
    allowed = (term.ports("outport") if term.ports("inport") is None else term.ports("inport") for term in terms.items)
    pods = [port for port in _ports(allowed, datapath) if not port.kind]
    if not pods or any(port.chassis for port in pods):
        return finding
    return finding.but(
        finding.verdict, finding.reason, finding.hint, details=("no chassis has a port that it matches",)
    )


def _ports(allowed: Iterable[frozenset[str] | None], datapath: SwitchDatapath) -> list[SwitchPort]:
    """The ports of a switch that some of the terms allow; None allows all."""
    names: set[str] = set()
    for ports in allowed:
        names |= datapath.ports.keys() if ports is None else ports & datapath.ports.keys()
    return [datapath.ports[name] for name in sorted(names)]
