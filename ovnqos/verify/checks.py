"""What must be there for a row to be in force: port groups and address sets, logical flows, chassis that caught up."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from ovnqos.explain.pipeline import PipelineVersion
from ovnqos.match import NamedSets, Verbatim, read_match, references
from ovnqos.match.packet import derived_sets
from ovnqos.match.terms import find_terms
from ovnqos.plan.snapshot import SetKind, references_in
from ovnqos.southbound.trace import Meter
from ovnqos.verify.findings import Finding, Realisation, describe_chassis, hint_for_chassis

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from ovnqos.match.terms import Terms
    from ovnqos.plan.snapshot import RowContent, Snapshot
    from ovnqos.southbound.contents import QosFlow, SouthboundContents, SwitchDatapath, SwitchPort

CHECK_NORTHD: Final = "check that ovn-northd runs: `ovn-appctl -t ovn-northd status`, and its log"
_SEE_DIFF: Final = "run `ovnqos diff` to see what is missing"


class RowSets:
    """All sets and groups of a Northbound, of any owner, against those of its Southbound."""

    def __init__(self, snapshot: Snapshot, southbound: SouthboundContents) -> None:
        """Take them from a snapshot, and from a Southbound that was read after it."""
        actual = {**snapshot.foreign_sets, **snapshot.sets}
        self._members = {key: one.content.members for key, one in actual.items()}
        self._derived = derived_sets(name for kind, name in self._members if kind is SetKind.PORT_GROUP)
        self._southbound = southbound
        self.names = NamedSets(address_sets=southbound.address_sets, port_groups=southbound.port_groups)

    def check(self, finding: Finding) -> Finding | None:
        """Find what is wrong with the sets of a row; None if nothing is."""
        named = tuple(_named_sets(finding.match))
        missing = [words for words, name, kind in named if not self._exists(name, kind)]
        if missing:
            return finding.but(
                Realisation.BROKEN,
                f"the Northbound has no {' and no '.join(missing)}, so OVN ignores the row",
                "run `ovnqos apply`, or create what is missing",
            )
        empty = self._empty(finding.match)
        if empty:
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
            for words, name, kind in _named_sets(finding.match)
            if kind is SetKind.PORT_GROUP and self._members[kind, name].isdisjoint(datapath.ports)
        ]
        if not absent:
            return None
        verb = "has" if len(absent) == 1 else "have"
        reason = f"{' and '.join(absent)} {verb} no port on this switch, so OVN ignores the row there"
        return finding.but(Realisation.IDLE, reason, _SEE_DIFF)

    def _exists(self, name: str, kind: SetKind) -> bool:
        return (kind, name) in self._members or (kind is SetKind.ADDRESS_SET and name in self._derived)

    def _empty(self, match: str) -> list[str]:
        """The sets whose emptiness leaves nothing to match; none where an alternative is left."""
        empty = [
            words
            for words, name, kind in _named_sets(match)
            if (kind, name) in self._members and not self._members[kind, name]
        ]
        if not empty:
            return []
        names = NamedSets(address_sets=self._of(SetKind.ADDRESS_SET), port_groups=self._of(SetKind.PORT_GROUP))
        return [] if find_terms(read_match(match), names) else empty

    def _of(self, kind: SetKind) -> dict[str, frozenset[str]]:
        derived = self._southbound.address_sets if kind is SetKind.ADDRESS_SET else {}
        return {**derived, **{name: members for (one, name), members in self._members.items() if one is kind}}

    def _is_stale(self, name: str, kind: SetKind) -> bool:
        known = self._southbound.port_groups if kind is SetKind.PORT_GROUP else self._southbound.address_sets
        if (kind, name) not in self._members:
            return name not in known
        return known.get(name, frozenset()) != self._members[kind, name]


def _named_sets(match: str) -> Iterator[tuple[str, str, SetKind]]:
    """Each set of a match: in words, by name, of which kind."""
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


class _ExpectedFlow(NamedTuple):
    stage: str
    dscp: int | None
    meter: Meter | None


class FlowTable:
    """The logical flows of the QoS stages, by datapath and stage, the highest priority first."""

    def __init__(self, contents: SouthboundContents) -> None:
        """Index the flows of a Southbound."""
        self._is_joined = PipelineVersion.JOINED in contents.pipeline_versions
        self._stages: Mapping[tuple[str, str], list[QosFlow]] = defaultdict(list)
        self._hints: Mapping[str, list[QosFlow]] = defaultdict(list)
        for flow in sorted(contents.flows, key=lambda one: -one.priority):
            self._hints[flow.row_hint].append(flow)
            for datapath in flow.datapaths:
                self._stages[datapath, flow.stage].append(flow)

    def of_row(self, content: RowContent, datapath: str) -> tuple[QosFlow, ...]:
        """The flows of a row on a datapath, as far as northd has made them.

        They are found by their content: rows that are alike on several switches share flows, whose hint names one row.
        """
        found = (self._find(expected, content, datapath) for expected in self._expected(content))
        return tuple(flow for flow in found if flow is not None)

    def above(self, flow: QosFlow, datapath: str) -> Sequence[QosFlow]:
        """The flows that are looked up before another on a datapath; at equal priority the order is undefined."""
        return [
            one
            for one in self._stages.get((datapath, flow.stage), ())
            if one.priority > flow.priority or (one.priority == flow.priority and one.match != flow.match)
        ]

    def check(self, finding: Finding, content: RowContent, datapath: str) -> Finding | None:
        """Find flows of a row that northd has not made on a datapath; None if it has made all."""
        expected = tuple(self._expected(content))
        missing = [one for one in expected if self._find(one, content, datapath) is None]
        if not missing:
            return None
        if any(datapath in flow.datapaths for flow in self._hints.get(finding.uuid[:8], ())):
            reason = "northd still has the logical flows of an earlier version of the row"
        elif len(missing) == len(expected):
            reason = "northd has made no logical flow for it"
        else:
            reason = f"northd has made no logical flow for it in {missing[0].stage}"
        return finding.but(Realisation.ABSENT, reason, CHECK_NORTHD)

    def _expected(self, content: RowContent) -> Iterator[_ExpectedFlow]:
        """The flows of a row: one for the mark and one for the meter, or from OVN 24.09 one for both (seen)."""
        prefix = "ls_in_qos" if content.direction == "from-lport" else "ls_out_qos"
        rate = content.bandwidth.get("rate")
        dscp = content.action.get("dscp")
        meter = None if rate is None else Meter(rate_kbps=rate, burst_kbit=content.bandwidth.get("burst"))
        if self._is_joined:
            yield _ExpectedFlow(prefix, dscp, meter)
            return
        if dscp is not None:
            yield _ExpectedFlow(f"{prefix}_mark", dscp, None)
        if meter is not None:
            yield _ExpectedFlow(f"{prefix}_meter", None, meter)

    def _find(self, expected: _ExpectedFlow, content: RowContent, datapath: str) -> QosFlow | None:
        effect = (content.priority, content.match, expected.dscp, expected.meter)
        flows = self._stages.get((datapath, expected.stage), ())
        return next((one for one in flows if (one.priority, one.match, one.dscp, one.meter) == effect), None)


def check_chassis(
    finding: Finding, datapath: SwitchDatapath, southbound: SouthboundContents, nb_cfg: int, terms: Terms
) -> Finding | None:
    """Find chassis that look a row up and have not caught up; None if there are none."""
    # to-lport runs on the chassis where the packet leaves the switch, which only outport tells
    field = "outport" if finding.direction == "to-lport" else "inport"
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
    return finding.but(finding.verdict, finding.reason, finding.hint, details=("no chassis has a port of it",))


def _ports(allowed: Iterable[frozenset[str] | None], datapath: SwitchDatapath) -> list[SwitchPort]:
    """The ports of a switch that some of the terms allow; None allows all."""
    names: set[str] = set()
    for ports in allowed:
        names |= datapath.ports.keys() if ports is None else ports & datapath.ports.keys()
    return [datapath.ports[name] for name in sorted(names)]
