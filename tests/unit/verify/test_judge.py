"""The judgement where no database can bring it about: rows without a switch, answers of ovn-trace, reports."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import pytest

from ovnqos import Owner, Snapshot
from ovnqos.controller import ActualRow, RowContent
from ovnqos.southbound.contents import Chassis, QosFlow, SouthboundContents, SwitchDatapath, SwitchPort
from ovnqos.southbound.ovn_trace import TraceFailed
from ovnqos.southbound.trace import Hit, Meter, Trace
from ovnqos.verify.findings import Finding, Report, Verdict
from ovnqos.verify.judge import judge
from ovnqos.verify.render import as_json, chassis_warning, failures

if TYPE_CHECKING:
    from ovnqos.verify.proof import Tracer

OWNER: Final = Owner()
MATCH: Final = 'inport == "a" && ip4.dst == 203.0.113.0/24'
INGRESS: Final = 'ingress(dp="lan", inport="a")\n------\n 9. ls_in_qos_mark (x): y, priority 0, uuid 1\n    next;\n'
LATER: Final = f"{INGRESS}25. ls_in_l2_lkup (x): 1, priority 0, uuid 2\n    output;\n"
DROPPED: Final = 'ingress(dp="lan", inport="a")\n------\n 8. ls_in_acl (x): ip4, priority 2000, uuid 1\n    drop;\n'
NO_HIT: Final = Trace(dscp=None, meter=None, faults=(), text=LATER)


def stored(**changes: Any) -> ActualRow:
    """A row that marks, of the object shop/gold."""
    known = OWNER.stamp("id", {"ovnqos.io/object": "NetworkQoS/shop/gold", "ovnqos.io/rule": "1"})
    content: dict[str, Any] = {
        "direction": "from-lport",
        "priority": 2000,
        "match": MATCH,
        "action": {"dscp": 10},
        "bandwidth": {},
        "external_ids": known,
        **{name: value for name, value in changes.items() if name not in {"uuid", "switches"}},
    }
    return ActualRow(
        uuid=changes.get("uuid", "01234567-0000-0000-0000-000000000000"),
        content=RowContent(**content),
        switches=changes.get("switches", frozenset({"lan"})),
    )


def flow(**changes: Any) -> QosFlow:
    """The flow that northd makes of it."""
    given: dict[str, Any] = {
        "uuid": "f",
        "stage": "ls_in_qos_mark",
        "table": 9,
        "priority": 2000,
        "match": MATCH,
        "dscp": 10,
        "meter": None,
        "datapaths": frozenset({"dp"}),
        "row_hint": "01234567",
        **changes,
    }
    return QosFlow(**given)


def snapshot(*rows: ActualRow) -> Snapshot:
    return Snapshot(owner=OWNER, rows=rows or (stored(),), switches={"lan": "nb-lan"}, ports={"a": "nb-a"})


def southbound(**changes: Any) -> SouthboundContents:
    """A Southbound in which the row is in force."""
    ports = {name: SwitchPort(name=name, mac=f"02:00:00:00:00:0{name}", chassis="node") for name in ("a", "b")}
    given: dict[str, Any] = {
        "nb_cfg": 3,
        "stages": frozenset({"ls_in_qos_mark"}),
        "flows": (flow(),),
        "switches": {"nb-lan": SwitchDatapath(uuid="dp", tunnel_key=1, ports=ports)},
        "chassis": (Chassis(name="node", hostname="node.example.com", nb_cfg=3),),
        "address_sets": {},
        "port_groups": {},
        **changes,
    }
    return SouthboundContents(**given)


class Answers:
    """Stands for ovn-trace: gives the same answer for each packet."""

    def __init__(self, answer: Trace | TraceFailed) -> None:
        self._answer = answer
        self.asked: list[str] = []

    def run(self, switch: str, microflow: str) -> Trace:
        self.asked.append(microflow)
        if isinstance(self._answer, TraceFailed):
            raise self._answer
        return self._answer


def hit(**changes: Any) -> Trace:
    given: dict[str, Any] = {"stage": "ls_in_qos_mark", "match": MATCH, "priority": 2000, "dscp": 10, "meter": None}
    return Trace(dscp=10, meter=None, faults=(), text=LATER, hits=(Hit(**{**given, **changes}),))


def judged(tracer: Tracer | None = None, **changes: Any) -> Finding:
    (finding,) = judge(snapshot(), southbound(**changes), nb_cfg=3, tracer=tracer).findings
    return finding


def test_a_row_that_no_switch_has_is_unbound() -> None:
    (finding,) = judge(snapshot(stored(switches=frozenset())), southbound(), nb_cfg=3).findings
    assert (finding.verdict, finding.switch) == (Verdict.UNBOUND, "")
    assert "run `ovnqos apply` again" in finding.advice


class TestTrace:
    def test_a_packet_that_the_rows_flow_takes_proves_the_row(self) -> None:
        tracer = Answers(hit())
        finding = judged(tracer)
        assert (finding.verdict, finding.sample) == (Verdict.REALISED, tracer.asked[0])
        assert finding.reason == "a to 203.0.113.1, udp port 9: dscp=10"

    def test_one_that_nobody_takes_says_that_ovn_does_something_else(self) -> None:
        tracer = Answers(NO_HIT)
        finding = judged(tracer)
        assert finding.verdict is Verdict.INEFFECTIVE
        assert f"ovn-trace lan '{tracer.asked[0]}'" in finding.advice
        assert len(tracer.asked) == 3

    def test_a_mark_that_differs_is_not_the_rows(self) -> None:
        assert judged(Answers(hit(dscp=11))).verdict is Verdict.HIDDEN
        assert judged(Answers(hit(meter=Meter(rate_kbps=1)))).verdict is Verdict.HIDDEN

    def test_a_hit_in_another_stage_is_not_the_rows(self) -> None:
        assert judged(Answers(hit(stage="ls_out_qos_mark"))).verdict is Verdict.INEFFECTIVE

    @pytest.mark.parametrize("text", [DROPPED, "", 'ingress(dp="lan", inport="a")\n-----\n'])
    def test_one_that_never_comes_there_proves_nothing(self, text: str) -> None:
        finding = judged(Answers(replace(NO_HIT, text=text)))
        assert finding.verdict is Verdict.UNPROVEN
        assert "before it comes to the row" in finding.reason

    def test_what_happens_behind_a_router_does_not_count(self) -> None:
        behind = (
            LATER
            + 'ingress(dp="router", inport="r")\n-----\n 0. lr_in_admission (x): 1, priority 0, uuid 3\n    drop;\n'
        )
        assert judged(Answers(replace(NO_HIT, text=behind))).verdict is Verdict.INEFFECTIVE

    def test_a_trace_that_fails_proves_nothing(self) -> None:
        finding = judged(Answers(TraceFailed("ovn-trace on switch lan: no answer")))
        assert (finding.verdict, finding.reason) == (Verdict.UNPROVEN, "not traced: ovn-trace on switch lan: no answer")

    def test_a_match_that_does_not_parse_is_told(self) -> None:
        trace = replace(NO_HIT, faults=(MATCH,), reasons={MATCH: "Syntax error."})
        finding = judged(Answers(trace))
        assert (finding.verdict, finding.reason.endswith("ignores it: Syntax error")) == (Verdict.BROKEN, True)

    def test_what_is_wrong_in_a_trace_outweighs_a_chassis_that_is_behind(self) -> None:
        late = (Chassis(name="node", hostname="", nb_cfg=2),)
        assert judged(Answers(hit()), chassis=late).verdict is Verdict.BEHIND
        assert judged(Answers(replace(NO_HIT, text="")), chassis=late).verdict is Verdict.BEHIND
        assert judged(Answers(NO_HIT), chassis=late).verdict is Verdict.INEFFECTIVE

    def test_rows_that_fail_earlier_are_not_traced(self) -> None:
        tracer = Answers(hit())
        assert judged(tracer, flows=()).verdict is Verdict.ABSENT
        assert tracer.asked == []


class TestGenerations:
    def test_one_flow_for_mark_and_limit_where_ovn_looks_them_up_together(self) -> None:
        row = stored(bandwidth={"rate": 100, "burst": 200})
        meter = Meter(rate_kbps=100, burst_kbit=200)
        joined = southbound(stages=frozenset({"ls_in_qos"}), flows=(flow(stage="ls_in_qos", meter=meter),))
        assert judge(snapshot(row), joined, nb_cfg=3).realised
        apart = replace(joined, flows=(flow(stage="ls_in_qos"),))
        assert not judge(snapshot(row), apart, nb_cfg=3).realised

    def test_two_flows_where_it_looks_them_up_apart(self) -> None:
        row = stored(bandwidth={"rate": 100})
        mark, limit = flow(), flow(stage="ls_in_qos_meter", dscp=None, meter=Meter(rate_kbps=100))
        assert judge(snapshot(row), southbound(flows=(mark, limit)), nb_cfg=3).realised
        (finding,) = judge(snapshot(row), southbound(flows=(limit,)), nb_cfg=3).findings
        assert (finding.verdict, finding.reason) == (
            Verdict.ABSENT,
            "northd still has the logical flows of what the row was before",
        )
        (finding,) = judge(snapshot(row), southbound(flows=(replace(mark, row_hint=""),)), nb_cfg=3).findings
        assert finding.reason == "northd has made no logical flow of it in ls_in_qos_meter"

    def test_a_flow_of_another_datapath_is_not_the_rows(self) -> None:
        assert judged(flows=(flow(datapaths=frozenset({"other"})),)).verdict is Verdict.ABSENT


class TestReport:
    ROWS = (
        stored(uuid="01234567-1", switches=frozenset({"lan", "two", "three", "four", "five"})),
        stored(uuid="89abcdef-2", priority=1, external_ids=OWNER.stamp("id2", {})),
    )

    def report(self, **changes: Any) -> Report:
        return judge(snapshot(*self.ROWS), southbound(**changes), nb_cfg=3)

    def test_rows_that_fail_alike_share_a_line(self) -> None:
        lines = list(failures(self.report(flows=())))
        row = "NetworkQoS/shop/gold rule 1, from-lport 2000"
        assert lines[0].startswith(f"{row} on five, four, three and 1 more: northd has not made the switch five; see")
        assert any(
            line.startswith("row 89abcdef, from-lport 1 on lan: northd has made no logical flow") for line in lines
        )
        assert len(lines) == 3

    def test_rows_of_a_chassis_that_is_behind_share_a_line(self) -> None:
        report = self.report(
            chassis=(Chassis(name="node", hostname="host", nb_cfg=2),), flows=(flow(), flow(uuid="g", priority=1))
        )
        lines = [line for line in failures(report) if "chassis" in line]
        assert len(lines) == 1
        assert lines[0].startswith("2 rows on lan: chassis node (host) has not caught up; on host, see whether")
        assert chassis_warning(report) == ""

    def test_a_realised_report_has_no_failures(self) -> None:
        report = judge(snapshot(), southbound(), nb_cfg=3)
        assert (report.realised, report.may_pass, list(failures(report))) == (True, False, [])
        assert report.summary() == "1 row on 1 switch: 1 realised"

    def test_json_has_all_of_it(self) -> None:
        document = json.loads(as_json(judge(snapshot(), southbound(), nb_cfg=3, asked=True)))
        assert document == {
            "format": "ovnqos.io/verify/v1",
            "owner": "ovnqos",
            "realised": True,
            "asked": True,
            "nb_cfg": 3,
            "northd": {"nb_cfg": 3, "caught_up": True},
            "chassis": [{"name": "node", "hostname": "node.example.com", "nb_cfg": 3, "caught_up": True}],
            "rows": [
                {
                    "switch": "lan",
                    "direction": "from-lport",
                    "priority": 2000,
                    "object": "NetworkQoS/shop/gold",
                    "rule": "1",
                    "port": "",
                    "uuid": "01234567-0000-0000-0000-000000000000",
                    "match": MATCH,
                    "verdict": "realised",
                    "good": True,
                    "reason": "",
                    "advice": "",
                    "remarks": [],
                    "sample": "",
                }
            ],
        }

    def test_what_may_pass_is_told_from_what_does_not(self) -> None:
        passing = {Verdict.ABSENT, Verdict.BEHIND, Verdict.INEFFECTIVE}
        assert {verdict for verdict in Verdict if verdict.may_pass} == passing
        assert {verdict for verdict in Verdict if verdict.good} == {Verdict.REALISED, Verdict.UNPROVEN}
