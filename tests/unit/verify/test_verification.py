"""The judgement where no database can bring it about: rows without a switch, answers of ovn-trace, reports."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from ovnqos.diagnostics import Code, Severity
from ovnqos.southbound.contents import Chassis
from ovnqos.southbound.ovn_trace import TraceFailed
from ovnqos.southbound.trace import Meter
from ovnqos.verify import Finding, Realisation, Report, verify_snapshot
from tests.support.verification import (
    DROPPED,
    LATER,
    MATCH,
    NO_HIT,
    OWNER,
    Answers,
    flow,
    hit,
    snapshot,
    southbound,
    stored,
)

if TYPE_CHECKING:
    from ovnqos.verify.proof import Tracer


def judged(tracer: Tracer | None = None, **changes: Any) -> Finding:
    (finding,) = verify_snapshot(snapshot(), southbound(**changes), nb_cfg=3, tracer=tracer).findings
    return finding


def test_a_row_that_no_switch_has_is_unbound() -> None:
    (finding,) = verify_snapshot(snapshot(stored(switches=frozenset())), southbound(), nb_cfg=3).findings
    assert (finding.verdict, finding.switch) == (Realisation.UNBOUND, "")
    assert "run `ovnqos apply`" in finding.hint


def test_a_limit_without_a_meter_on_this_chassis_is_ineffective() -> None:
    limited = snapshot(stored(action={}, bandwidth={"rate": 5}))
    flows = (flow(stage="ls_in_qos_meter", dscp=None, meter=Meter(rate_kbps=5)),)
    contents = southbound(stages=frozenset({"ls_in_qos_meter"}), flows=flows)
    for lost, verdict in (((limited.rows[0].uuid,), Realisation.INEFFECTIVE), ((), Realisation.REALISED)):
        (finding,) = verify_snapshot(limited, contents, nb_cfg=3, without_meter=lost).findings
        assert finding.verdict is verdict


class TestTrace:
    def test_a_packet_that_the_rows_flow_takes_proves_the_row(self) -> None:
        tracer = Answers(hit())
        finding = judged(tracer)
        assert (finding.verdict, finding.sample) == (Realisation.REALISED, tracer.asked[0])
        assert finding.reason == "a to 203.0.113.1, udp port 9: dscp=10"

    def test_one_that_no_row_takes_shows_that_the_row_has_no_effect(self) -> None:
        tracer = Answers(NO_HIT)
        finding = judged(tracer)
        assert finding.verdict is Realisation.INEFFECTIVE
        assert f"ovn-trace lan '{tracer.asked[0]}'" in finding.hint
        assert len(tracer.asked) == 3

    def test_a_mark_that_differs_is_not_the_rows(self) -> None:
        assert judged(Answers(hit(dscp=11))).verdict is Realisation.SHADOWED
        assert judged(Answers(hit(meter=Meter(rate_kbps=1)))).verdict is Realisation.SHADOWED

    def test_a_hit_in_another_stage_is_not_the_rows(self) -> None:
        assert judged(Answers(hit(stage="ls_out_qos_mark"))).verdict is Realisation.INEFFECTIVE

    @pytest.mark.parametrize("text", [DROPPED, "", 'ingress(dp="lan", inport="a")\n-----\n'])
    def test_one_that_never_comes_there_proves_nothing(self, text: str) -> None:
        finding = judged(Answers(replace(NO_HIT, text=text)))
        assert finding.verdict is Realisation.UNPROVEN
        assert finding.reason.startswith("the packet ends before the row, in ")

    def test_what_happens_behind_a_router_does_not_count(self) -> None:
        behind = (
            LATER
            + 'ingress(dp="router", inport="r")\n-----\n 0. lr_in_admission (x): 1, priority 0, uuid 3\n    drop;\n'
        )
        assert judged(Answers(replace(NO_HIT, text=behind))).verdict is Realisation.INEFFECTIVE

    def test_a_trace_that_fails_proves_nothing(self) -> None:
        finding = judged(Answers(TraceFailed("ovn-trace on switch lan: no answer")))
        assert (finding.verdict, finding.reason) == (
            Realisation.UNPROVEN,
            "not traced: ovn-trace on switch lan: no answer",
        )

    def test_a_match_that_does_not_parse_is_broken(self) -> None:
        trace = replace(NO_HIT, faults={MATCH: "Syntax error."})
        finding = judged(Answers(trace))
        assert (finding.verdict, finding.reason.endswith("ignores it: Syntax error")) == (Realisation.BROKEN, True)

    def test_what_is_wrong_in_a_trace_outweighs_a_chassis_that_is_behind(self) -> None:
        late = (Chassis(name="node", hostname="", nb_cfg=2),)
        assert judged(Answers(hit()), chassis=late).verdict is Realisation.BEHIND
        assert judged(Answers(replace(NO_HIT, text="")), chassis=late).verdict is Realisation.BEHIND
        assert judged(Answers(NO_HIT), chassis=late).verdict is Realisation.INEFFECTIVE

    def test_rows_that_fail_earlier_are_not_traced(self) -> None:
        tracer = Answers(hit())
        assert judged(tracer, flows=()).verdict is Realisation.ABSENT
        assert tracer.asked == []


class TestPipelineVersions:
    def test_one_flow_for_mark_and_limit_where_ovn_looks_them_up_together(self) -> None:
        row = stored(bandwidth={"rate": 100, "burst": 200})
        meter = Meter(rate_kbps=100, burst_kbit=200)
        joined = southbound(stages=frozenset({"ls_in_qos"}), flows=(flow(stage="ls_in_qos", meter=meter),))
        assert verify_snapshot(snapshot(row), joined, nb_cfg=3).realised
        apart = replace(joined, flows=(flow(stage="ls_in_qos"),))
        assert not verify_snapshot(snapshot(row), apart, nb_cfg=3).realised

    def test_two_flows_where_it_looks_them_up_apart(self) -> None:
        row = stored(bandwidth={"rate": 100})
        mark, limit = flow(), flow(stage="ls_in_qos_meter", dscp=None, meter=Meter(rate_kbps=100))
        assert verify_snapshot(snapshot(row), southbound(flows=(mark, limit)), nb_cfg=3).realised
        (finding,) = verify_snapshot(snapshot(row), southbound(flows=(limit,)), nb_cfg=3).findings
        assert (finding.verdict, finding.reason) == (
            Realisation.ABSENT,
            "northd still has the logical flows of an earlier version of the row",
        )
        (finding,) = verify_snapshot(snapshot(row), southbound(flows=(replace(mark, row_hint=""),)), nb_cfg=3).findings
        assert finding.reason == "northd has made no logical flow for it in ls_in_qos_meter"

    @pytest.mark.parametrize("stage", ["ls_in_qos", "ls_in_qos_mark"])
    def test_a_row_that_only_marks_inside_ovn_needs_its_flow_and_is_not_proven(self, stage: str) -> None:
        """From OVN 24.03 on; its effect is not among what ovn-trace is read for."""
        row = snapshot(stored(action={"mark": 42}))
        contents = southbound(stages=frozenset({stage}), flows=(flow(stage=stage, dscp=None),))
        (finding,) = verify_snapshot(row, contents, nb_cfg=3, tracer=Answers(NO_HIT)).findings
        assert finding.verdict is Realisation.UNPROVEN
        (finding,) = verify_snapshot(row, replace(contents, flows=()), nb_cfg=3, tracer=Answers(NO_HIT)).findings
        assert finding.verdict is Realisation.ABSENT

    def test_a_flow_of_another_datapath_is_not_the_rows(self) -> None:
        assert judged(flows=(flow(datapaths=frozenset({"other"})),)).verdict is Realisation.ABSENT


class TestReport:
    ROWS = (
        stored(uuid="01234567-1", switches=frozenset({"lan", "two", "three", "four", "five"})),
        stored(uuid="89abcdef-2", priority=1, external_ids=OWNER.stamp("id2", {})),
    )

    def report(self, **changes: Any) -> Report:
        return verify_snapshot(snapshot(*self.ROWS), southbound(**changes), nb_cfg=3)

    def test_rows_that_fail_alike_share_a_diagnostic(self) -> None:
        first, *others = self.report(flows=()).diagnostics()
        assert (first.severity, first.code, first.path) == (Severity.ERROR, Code.ROW_ABSENT, "spec.egress[1]")
        assert str(first.object) == "NetworkQoS shop/gold"
        assert first.text.startswith("from-lport 2000 on five, four, three, two: the Southbound has no switch five")
        assert "ovn-northd" in first.hint
        assert [(str(one.object), one.code, one.path) for one in others] == [
            ("NetworkQoS shop/gold", Code.ROW_ABSENT, "spec.egress[1]"),
            ("QoS row 89abcdef", Code.ROW_ABSENT, ""),
        ]

    def test_rows_of_a_chassis_that_is_behind_share_a_diagnostic(self) -> None:
        report = self.report(
            chassis=(Chassis(name="node", hostname="host", nb_cfg=2),), flows=(flow(), flow(priority=1))
        )
        (behind,) = (one for one in report.diagnostics() if one.code is Code.CHASSIS_BEHIND)
        assert (behind.severity, str(behind.object)) == (Severity.ERROR, "Chassis node (host)")
        assert "2 rows on lan" in behind.text
        assert behind.hint.startswith("on host, ")

    def test_a_chassis_without_rows_that_is_behind_is_a_warning(self) -> None:
        idle = (Chassis(name="node", hostname="", nb_cfg=3), Chassis(name="other", hostname="", nb_cfg=2))
        report = verify_snapshot(snapshot(), southbound(chassis=idle), nb_cfg=3)
        (behind,) = report.diagnostics()
        assert (behind.severity, behind.code, behind.object.name) == (Severity.WARNING, Code.CHASSIS_BEHIND, "other")
        assert report.realised

    def test_a_realised_report_has_no_diagnostics(self) -> None:
        report = verify_snapshot(snapshot(), southbound(), nb_cfg=3)
        assert (report.realised, report.may_pass, list(report.diagnostics())) == (True, False, [])
        assert report.summary() == "1 row on 1 switch: 1 realised"

    def test_each_verdict_that_is_not_good_has_a_code(self) -> None:
        finding = verify_snapshot(snapshot(), southbound(), nb_cfg=3).findings[0]
        faults = [replace(finding, verdict=verdict) for verdict in Realisation if not verdict.is_good]
        report = replace(verify_snapshot(snapshot(), southbound(), nb_cfg=3), findings=tuple(faults))
        assert len({one.code for one in report.diagnostics()}) == len(faults)

    def test_json_has_all_of_it(self) -> None:
        document = json.loads(json.dumps(verify_snapshot(snapshot(), southbound(), nb_cfg=3, asked=True).as_document()))
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
                    "port": None,
                    "uuid": "01234567-0000-0000-0000-000000000000",
                    "match": MATCH,
                    "verdict": "realised",
                    "good": True,
                    "reason": None,
                    "hint": None,
                    "details": [],
                    "sample": None,
                }
            ],
        }

    def test_what_may_pass_is_told_from_what_does_not(self) -> None:
        passing = {Realisation.ABSENT, Realisation.BEHIND, Realisation.INEFFECTIVE}
        assert {verdict for verdict in Realisation if verdict.is_transient} == passing
        assert {verdict for verdict in Realisation if verdict.is_good} == {Realisation.REALISED, Realisation.UNPROVEN}
