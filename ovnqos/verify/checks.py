"""What must be there for a row to be in force: port groups and address sets, logical flows, chassis that caught up."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from ovnqos.compile.rows import Direction
from ovnqos.explain.candidates import name_row
from ovnqos.explain.pipeline import QOS_STAGES, PipelineVersion, direction_of_stage
from ovnqos.match import NamedSets, Verbatim, read_match, references
from ovnqos.match.terms import find_terms
from ovnqos.model.owner import JOINED_KEY
from ovnqos.plan.snapshot import SetKind, references_in
from ovnqos.southbound.trace import FlowEffect, Meter
from ovnqos.verify.findings import Finding, Realisation, describe_chassis, hint_for_chassis

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from ovnqos.explain.candidates import RowName
    from ovnqos.match.terms import Terms
    from ovnqos.plan.snapshot import ActualRow, RowContent, Snapshot
    from ovnqos.southbound.contents import QosFlow, SouthboundContents, SwitchDatapath, SwitchPort

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


class FlowTable:
    """The logical flows of the QoS stages, by datapath and stage, the highest priority first."""

    def __init__(self, contents: SouthboundContents) -> None:
        """Index the flows of a Southbound."""
        self._is_joined = PipelineVersion.JOINED in contents.pipeline_versions
        self._flows: dict[tuple[str, FlowEffect], QosFlow] = {}
        self._stages: Mapping[tuple[str, str], list[QosFlow]] = defaultdict(list)
        self._hints: Mapping[str, list[QosFlow]] = defaultdict(list)
        for flow in sorted(contents.flows, key=lambda one: -one.effect.priority):
            self._hints[flow.row_hint].append(flow)
            for datapath in flow.datapaths:
                self._flows[datapath, flow.effect] = flow
                self._stages[datapath, flow.effect.stage].append(flow)

    def of_row(self, content: RowContent, datapath: str) -> tuple[QosFlow, ...]:
        """The flows of a row on a datapath, as far as northd has made them.

        They are found by their content: rows that are alike on several switches share flows, whose hint names one row.
        """
        found = (self._flows.get((datapath, effect)) for effect in self._expected(content))
        return tuple(flow for flow in found if flow is not None)

    def above(self, flow: QosFlow, datapath: str) -> Sequence[QosFlow]:
        """The flows that are looked up before another on a datapath."""
        return [one for one in self._beside(flow, datapath) if one.effect.priority > flow.effect.priority]

    def equal(self, flow: QosFlow, datapath: str) -> Sequence[QosFlow]:
        """The flows of equal priority that do something else than another on a datapath."""
        done = flow.effect.priority, flow.effect.dscp, flow.effect.meter
        return [
            one
            for one in self._beside(flow, datapath)
            if one.effect.priority == done[0] and (one.effect.priority, one.effect.dscp, one.effect.meter) != done
        ]

    def later(self, flow: QosFlow, datapath: str) -> Sequence[QosFlow]:
        """The flows of to-lport that set another mark than one of from-lport on a datapath."""
        if flow.effect.direction is Direction.TO_LPORT or flow.effect.dscp is None:
            return ()
        stages = (stage for stage in QOS_STAGES if direction_of_stage(stage) is Direction.TO_LPORT)
        return [
            one
            for stage in stages
            for one in self._stages.get((datapath, stage), ())
            if one.effect.dscp not in {None, flow.effect.dscp}
        ]

    def _beside(self, flow: QosFlow, datapath: str) -> Sequence[QosFlow]:
        return self._stages.get((datapath, flow.effect.stage), ())

    def check(self, finding: Finding, datapath: str) -> Finding | None:
        """Find flows of a row that northd has not made on a datapath; None if it has made all."""
        expected = tuple(self._expected(finding.row.content))
        missing = [effect for effect in expected if (datapath, effect) not in self._flows]
        if not missing:
            return None
        if any(datapath in flow.datapaths for flow in self._hints.get(finding.row.uuid[:8], ())):
            reason = "northd still has the logical flows of an earlier version of the row"
        elif len(missing) == len(expected):
            reason = "northd has made no logical flow for it"
        else:
            reason = f"northd has made no logical flow for it in {missing[0].stage}"
        return finding.but(Realisation.ABSENT, reason, CHECK_NORTHD)

    def _expected(self, content: RowContent) -> Iterator[FlowEffect]:
        """The flows of a row: one for the mark and one for the meter, or from OVN 24.09 one for both (seen)."""
        prefix = "ls_in_qos" if content.direction == "from-lport" else "ls_out_qos"
        rate, dscp = content.bandwidth.get("rate"), content.action.get("dscp")
        meter = None if rate is None else Meter(rate_kbps=rate, burst_kbit=content.bandwidth.get("burst"))
        flow = FlowEffect(stage=prefix, match=content.match, priority=content.priority, dscp=dscp, meter=meter)
        if self._is_joined:
            yield flow
            return
        if content.action:
            yield replace(flow, stage=f"{prefix}_mark", meter=None)
        if meter is not None:
            yield replace(flow, stage=f"{prefix}_meter", dscp=None)


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
