"""What the table of objects reports: each thing once, and only what is this daemon's to say."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from ovnqos import (
    Bandwidth,
    Code,
    Compiler,
    Diagnostic,
    InvalidObject,
    KubeOvnTopology,
    Namespace,
    NetworkAttachmentDefinition,
    NetworkQoS,
    ObjectRef,
    OutcomeUnknown,
    OvnKubernetesTopology,
    OvnQosError,
    Pod,
    PodQos,
    TransactionRefused,
)
from ovnqos.controller import NO_POD_QOS, NorthboundUnavailable, parse_namespace
from ovnqos.kubernetes import Changes, Metadata, ObservedObject
from ovnqosd.loop.object_table import ObjectTable
from ovnqosd.loop.outcomes import AnnotationProblem, ObjectUpdate, PassRecord, Trigger
from ovnqosd.status.condition import condition_of
from ovnqosd.status.events import events_of_report
from ovnqosd.status.policy_outcome import ComparisonFinding, PolicyOutcome, Reason
from tests.support import kube_ovn
from tests.support.cluster import pod, policy, rule
from tests.support.outcomes import cause

if TYPE_CHECKING:
    from ovnqos.compile.topology import Topology

WEB = ObjectRef(kind="Pod", namespace="shop", name="web")
GOLD = ObjectRef(kind="NetworkQoS", namespace="shop", name="gold")
WRONG = Diagnostic.error(WEB, Code.INVALID_FIELD, '"10Q" is not a rate', path="metadata.annotations[x]")
ODD = Diagnostic.warning(WEB, Code.UNSUPPORTED_ANNOTATION, "OVN limits bits", path="metadata.annotations[y]")
UNKNOWN = Diagnostic.warning(GOLD, Code.UNKNOWN_FIELD, "unknown field", path="spec.colour")
SHADOWED = Diagnostic.warning(GOLD, Code.SHADOWED_LIMIT, "shadowed by another row")
BROKEN = PodQos(diagnostics=(WRONG, ODD), ingress=Bandwidth(rate_kbps=5_000))
FINE = PodQos(ingress=Bandwidth(rate_kbps=5_000))


class Zone:
    """The compiler of one zone and the table beside it, given objects as the reconcile loop is."""

    def __init__(self, *, elected: bool = True, topology: Topology | None = None) -> None:
        self.compiler = Compiler(topology or OvnKubernetesTopology(zone_nodes=["node1"]))
        self.elected = elected
        self.table = ObjectTable(self.compiler, is_elected=lambda: self.elected)

    def apply(self, one: Any, uid: str = "u", generation: int = 1) -> None:
        ref = one.object if isinstance(one, InvalidObject) else one
        kind = one.object.kind if isinstance(one, InvalidObject) else type(one).__name__
        metadata = Metadata(
            namespace=getattr(ref, "namespace", ""), name=ref.name, uid=uid, generation=generation, resource_version="1"
        )
        self.table.apply([Changes(kind=kind, updated=(ObservedObject(metadata=metadata, object=one),))])

    def delete(self, kind: str, key: str) -> None:
        self.table.apply([Changes(kind=kind, deleted=(key,))])

    def write(self, *objects: str) -> tuple[ObjectUpdate, ...]:
        """What a pass reports that writes the rows of these objects."""
        return self.table.report(PassRecord(objects=set(objects), pods=set(self.compiler.drain().pods)))[1]

    def report(
        self, *, error: OvnQosError | None = None, refused: dict[str, OvnQosError] | None = None, full: bool = False
    ) -> tuple[dict[str, PolicyOutcome], tuple[ObjectUpdate, ...]]:
        """What a pass reports that compiles what is dirty."""
        delta = self.compiler.drain()
        record = PassRecord(
            trigger=Trigger.FULL if full else Trigger.CHANGE,
            policies=set(delta.policies),
            pods=set(delta.pods),
            refused={("NetworkQoS", key): error for key, error in (refused or {}).items()},
            error=error,
        )
        return self.table.report(record)

    def tell(self, one: Pod | Namespace | NetworkQoS, uid: str = "u") -> tuple[ObjectUpdate, ...]:
        self.apply(one, uid)
        return self.report()[1]

    def outcome(self, **options: Any) -> PolicyOutcome:
        return self.report(**options)[0]["shop/gold"]


@pytest.fixture
def zone() -> Zone:
    return Zone()


def _pod(qos: PodQos, node: str = "node1") -> Pod:
    return replace(pod("web", "10.0.0.1", node=node), qos=qos)


# Pods and namespaces


def test_all_that_is_wrong_with_a_pod_is_reported_once(zone: Zone) -> None:
    assert zone.tell(_pod(BROKEN)) == (ObjectUpdate(object=WEB, uid="u", diagnostics=(WRONG, ODD)),)
    assert zone.tell(replace(_pod(BROKEN), labels={"x": "y"})) == ()
    assert +zone.table.annotation_problems == {AnnotationProblem.INVALID: 1, AnnotationProblem.INEXPRESSIBLE: 1}


def test_a_pod_of_the_same_name_is_reported_anew(zone: Zone) -> None:
    zone.tell(_pod(BROKEN))
    assert len(zone.tell(replace(_pod(BROKEN), labels={"x": "y"}), uid="u2")) == 1
    assert sum(zone.table.annotation_problems.values()) == 2


def test_what_is_wrong_again_after_it_was_right_is_reported_again(zone: Zone) -> None:
    zone.tell(_pod(BROKEN))
    assert zone.tell(_pod(FINE)) == ()
    assert not sum(zone.table.annotation_problems.values())
    assert len(zone.tell(_pod(BROKEN))) == 1


def test_pods_of_other_zones_are_for_others_to_report(zone: Zone) -> None:
    assert zone.tell(_pod(BROKEN, node="node2")) == ()
    assert not sum(zone.table.annotation_problems.values())


def test_a_namespace_is_reported_by_the_elected_daemon_also_if_it_is_elected_later() -> None:
    shop = Namespace(name="shop", labels={}, qos=PodQos(diagnostics=(WRONG,)))
    zone = Zone(elected=False)
    assert zone.tell(shop) == ()
    zone.elected = True
    (report,) = zone.report()[1]
    assert (report.object, report.uid) == (ObjectRef(kind="Namespace", name="shop"), "u")
    assert report.diagnostics == (WRONG,)
    assert zone.report()[1] == ()


def test_a_namespaces_burst_is_advised_on(zone: Zone) -> None:
    key = "qos.projectcalico.org/egress"
    annotations = {f"{key}Bandwidth": "10M", f"{key}Burst": "100k"}
    (report,) = zone.tell(parse_namespace({"metadata": {"name": "shop", "annotations": annotations}}))
    assert [(one.code, one.path) for one in report.diagnostics] == [
        (Code.BURST_LIMITS_TCP, f"metadata.annotations[{key}Burst]")
    ]


def test_a_pod_that_is_gone_counts_no_more(zone: Zone) -> None:
    zone.tell(_pod(BROKEN))
    zone.delete("Pod", "shop/web")
    assert not sum(zone.table.annotation_problems.values())
    assert zone.report()[1] == ()


def test_a_limit_that_comes_to_be_shadowed_is_reported(zone: Zone) -> None:
    zone.tell(_pod(FINE))
    zone.table.replace(ComparisonFinding.SHADOWED_LIMIT, {("Pod", "shop/web"): (SHADOWED,)})
    assert [one.diagnostics for one in zone.report()[1]] == [(SHADOWED,)]
    zone.table.replace(ComparisonFinding.SHADOWED_LIMIT, {("Pod", "shop/web"): (SHADOWED,)})
    assert zone.report()[1] == ()
    zone.table.replace(ComparisonFinding.SHADOWED_LIMIT, {})
    assert zone.report()[1] == ()


def test_a_pod_whose_networks_cannot_be_read_is_reported_without_annotations_too(zone: Zone) -> None:
    odd = replace(pod("web", "10.0.0.1"), annotations={"k8s.ovn.org/pod-networks": "{"})
    (report,) = zone.tell(odd)
    assert (report.object, report.uid) == (WEB, "u")
    assert zone.tell(replace(odd, labels={"x": "y"})) == ()


@pytest.mark.parametrize(("qos", "count"), [(NO_POD_QOS, 0), (FINE, 1)], ids=["no annotation", "a limit"])
def test_only_a_limit_or_mark_of_a_pod_whose_networks_cannot_be_read_is_counted(
    zone: Zone, qos: PodQos, count: int
) -> None:
    zone.tell(replace(pod("web", "10.0.0.1"), annotations={"k8s.ovn.org/pod-networks": "{"}, qos=qos))
    assert sum(zone.table.annotation_problems.values()) == count


def test_a_limit_whose_port_another_pod_holds_is_counted() -> None:
    zone = Zone(topology=KubeOvnTopology(zone_nodes=["node1"]))
    for name, rate in (("web", 1_000), ("twin", 5_000)):
        launcher = kube_ovn.pod(name, kube_ovn.interface("10.16.0.5", machine="vm"))
        zone.apply(replace(launcher, qos=PodQos(egress=Bandwidth(rate_kbps=rate))))
    (report,) = zone.report()[1]
    assert [one.code for one in report.diagnostics] == [Code.PORT_CLAIMED]
    assert +zone.table.annotation_problems == {AnnotationProblem.PORT_CLAIMED: 1}


def test_the_event_is_of_the_pod_and_names_key_and_value(zone: Zone) -> None:
    (report,) = zone.tell(_pod(BROKEN))
    (event,) = events_of_report(report)
    assert (event.kind, event.key, event.uid, event.type) == ("Pod", "shop/web", "u", "Warning")
    assert event.message == f"{WRONG.message}; {ODD.message}"


def test_what_comes_in_force_is_an_event_on_the_pod_once_a_change(zone: Zone) -> None:
    zone.apply(_pod(FINE))
    (report,) = zone.write("Pod/shop/web")
    assert (report.object, report.uid, report.diagnostics) == (WEB, "u", ())
    assert report.in_force == "ingress 5000 kbps"
    (event,) = events_of_report(report)
    assert (event.type, event.reason, event.message) == ("Normal", "QosApplied", "in force: ingress 5000 kbps")
    assert zone.write("Pod/shop/web") == ()  # another writer changed it, and that was repaired
    zone.apply(_pod(replace(FINE, egress=Bandwidth(rate_kbps=7, burst_kbit=9))))
    (report,) = zone.write("Pod/shop/web")
    assert report.in_force == "egress 7 kbps, burst 9 kbit; ingress 5000 kbps"
    zone.apply(_pod(PodQos()))
    (report,) = zone.write("Pod/shop/web")
    assert report.in_force == ""
    assert [one.reason for one in events_of_report(report)] == ["QosRemoved"]


def test_what_is_in_force_already_when_the_daemon_starts_is_no_event(zone: Zone) -> None:
    assert zone.tell(_pod(FINE)) == ()
    assert zone.write() == ()


def test_what_comes_in_force_is_told_after_a_failed_pass_too(zone: Zone) -> None:
    zone.apply(_pod(FINE))
    zone.compiler.drain()
    failed = PassRecord(objects={"Pod/shop/web"}, error=NorthboundUnavailable("gone"))
    assert zone.table.report(failed)[1] == ()
    assert [one.in_force for one in zone.write()] == ["ingress 5000 kbps"]


def test_a_pod_that_only_has_the_defaults_of_its_namespace_gets_no_event(zone: Zone) -> None:
    zone.apply(Namespace(name="shop", labels={}, qos=FINE))
    zone.apply(_pod(NO_POD_QOS))
    assert zone.write("Pod/shop/web") == ()


@pytest.mark.parametrize(
    ("one", "problem", "is_told"),
    [
        (replace(pod("web", host_network=True), qos=FINE), AnnotationProblem.NO_INTERFACE, True),
        (replace(pod("web"), annotations={}, qos=FINE), AnnotationProblem.NO_INTERFACE, False),
        (replace(pod("web", networks={"shop/x": ["10.1.0.1"]}), qos=FINE), AnnotationProblem.NO_INTERFACE, True),
        (replace(pod("web", "10.0.0.1"), qos=PodQos(dscp=46)), AnnotationProblem.NO_CLUSTER_CIDRS, True),
    ],
    ids=["host network", "not wired yet", "no default interface", "no cluster CIDRs"],
)
def test_all_annotations_that_are_not_in_force_are_counted(
    zone: Zone, one: Pod, problem: AnnotationProblem, is_told: bool
) -> None:
    assert bool(zone.tell(one)) is is_told
    assert +zone.table.annotation_problems == {problem: 1}
    zone.tell(_pod(FINE))
    assert not sum(zone.table.annotation_problems.values())


@pytest.mark.parametrize(
    ("finding", "code", "problem"),
    [
        (ComparisonFinding.SHADOWED_LIMIT, Code.SHADOWED_LIMIT, AnnotationProblem.SHADOWED),
        (ComparisonFinding.MISSING_SWITCH, Code.MISSING_SWITCH, AnnotationProblem.NORTHBOUND),
        (ComparisonFinding.FOREIGN_CONFLICT, Code.FOREIGN_CONFLICT, AnnotationProblem.CONFLICT),
    ],
)
def test_annotations_that_the_northbound_keeps_from_being_in_force_are_counted(
    zone: Zone, finding: ComparisonFinding, code: Code, problem: AnnotationProblem
) -> None:
    zone.tell(_pod(FINE))
    zone.table.replace(finding, {("Pod", "shop/web"): (Diagnostic.warning(WEB, code, "x"),)})
    zone.report()
    assert +zone.table.annotation_problems == {problem: 1}
    zone.table.replace(finding, {})
    zone.report()
    assert not sum(zone.table.annotation_problems.values())


def test_a_pods_row_that_the_server_refuses_is_told_and_counted(zone: Zone) -> None:
    zone.tell(_pod(FINE))
    refused: dict[tuple[str, str], OvnQosError] = {("Pod", "shop/web"): TransactionRefused("no such column")}
    (report,) = zone.table.report(PassRecord(refused=refused))[1]
    assert [one.code for one in report.diagnostics] == [Code.NORTHBOUND_UNAVAILABLE]
    assert +zone.table.annotation_problems == {AnnotationProblem.NORTHBOUND: 1}
    zone.table.report(PassRecord(pods={"shop/web"}))
    assert not sum(zone.table.annotation_problems.values())


# Policies


def test_a_policys_warnings_are_in_its_outcome_and_reported_once_by_the_elected_daemon() -> None:
    zone = Zone(elected=False)
    gold = replace(policy(rule(dscp=20)), diagnostics=(UNKNOWN,))
    zone.apply(gold)
    outcomes, reports = zone.report()
    assert UNKNOWN in outcomes["shop/gold"].warnings
    assert reports == ()
    zone.elected = True
    reports = zone.report()[1]
    assert reports[0] == ObjectUpdate(object=GOLD, uid="u", diagnostics=(UNKNOWN,))
    assert [[one.code for one in report.diagnostics] for report in reports[1:]] == [[Code.NO_POD_MATCHES]]
    zone.apply(gold, generation=2)
    assert zone.report()[1] == ()


def test_an_outcome_is_of_the_generation_that_was_applied(zone: Zone) -> None:
    zone.apply(_source())
    zone.apply(policy(rule(dscp=20)), generation=7)
    outcome = zone.outcome()
    assert (outcome.key, outcome.uid, outcome.generation, outcome.reason) == ("shop/gold", "u", 7, Reason.SUCCESS)
    assert zone.report()[0] == {}


def test_an_invalid_version_is_reported_with_its_errors_and_that_the_last_valid_one_stays(zone: Zone) -> None:
    invalid = InvalidObject(GOLD, [cause("too high", path="spec.priority")])
    with capture_logs() as logs:
        zone.apply(invalid)
    assert [line["log_level"] for line in logs] == ["warning"]
    outcome = zone.outcome()
    assert outcome.reason is Reason.INVALID
    assert [(one.code, one.path) for one in outcome.causes] == [(Code.INVALID_FIELD, "spec.priority")]
    zone.apply(policy(rule(dscp=20)))
    zone.report()
    zone.apply(invalid, generation=2)
    outcome = zone.outcome()
    assert [one.code for one in outcome.causes] == [Code.INVALID_FIELD, Code.LAST_VALID_VERSION]
    assert outcome.generation == 2


def test_a_misspelt_field_that_explains_an_error_is_in_the_condition_and_in_an_event(zone: Zone) -> None:
    zone.apply(_source())
    zone.apply(replace(policy(rule(dscp=20)), diagnostics=(UNKNOWN,)))
    zone.report()
    misspelt = Diagnostic.warning(GOLD, Code.UNKNOWN_FIELD, "unknown field", path="spec.prioritty")
    zone.apply(InvalidObject(GOLD, [cause("missing", path="spec.priority"), misspelt, UNKNOWN]), generation=2)
    for error in (NorthboundUnavailable("gone"), None):
        outcomes, reports = zone.report(error=error)
        outcome = outcomes["shop/gold"]
        assert (outcome.reason, outcome.warnings) == (Reason.INVALID, (misspelt, UNKNOWN))
        assert "spec.prioritty" in condition_of(outcome, "a", previous=None, now=datetime.now(UTC)).message
    (event,) = events_of_report(reports[0])
    assert (event.key, event.reason) == ("shop/gold", "UnknownField")
    assert misspelt.message in event.message
    assert zone.report()[1] == ()


# Invalid objects of the other kinds

NAD = ObjectRef(kind="NetworkAttachmentDefinition", namespace="shop", name="blue")
SHOP = ObjectRef(kind="Namespace", name="shop")


def _invalid(ref: ObjectRef) -> InvalidObject:
    said = (Diagnostic.warning(ref, Code.UNKNOWN_FIELD, "unknown field", path="spec.x"), cause("is wrong", path="spec"))
    return InvalidObject(ref, said)


@pytest.mark.parametrize("ref", [NAD, SHOP, WEB], ids=lambda ref: ref.kind)
def test_an_invalid_object_of_no_known_zone_is_reported_once_by_the_elected_daemon(ref: ObjectRef) -> None:
    zone, invalid = Zone(elected=False), _invalid(ref)
    zone.apply(invalid)
    assert zone.report()[1] == ()
    zone.elected = True
    (report,) = zone.report()[1]
    assert (report.object, report.uid) == (ref, "u")
    assert report.diagnostics == (*invalid.diagnostics, *invalid.warnings)
    assert {one.reason for one in events_of_report(report)} == {"InvalidField", "UnknownField"}
    zone.apply(invalid)
    assert zone.report()[1] == ()
    assert not sum(zone.table.annotation_problems.values())


@pytest.mark.parametrize("node", ["node1", "node2"])
def test_an_invalid_version_of_a_pod_is_for_its_zone_to_report(zone: Zone, node: str) -> None:
    zone.tell(_pod(FINE, node=node))
    zone.apply(_invalid(WEB))
    reports = zone.report()[1]
    assert [(one.object, one.uid) for one in reports] == ([(WEB, "u")] if node == "node1" else [])
    assert not sum(zone.table.annotation_problems.values())
    assert zone.tell(_pod(FINE, node=node)) == ()


BLUE = NetworkAttachmentDefinition(namespace="shop", name="blue", labels={}, plugin="bridge", ovn=None)


@pytest.mark.parametrize(
    ("one", "is_told"),
    [
        (BLUE, True),
        (Namespace(name="shop", labels={}), True),
        (pod("web", "10.0.0.1", node="node1"), True),
        (pod("web", "10.0.0.1", node="node2"), False),
    ],
    ids=["network", "namespace", "pod", "pod of another zone"],
)
def test_an_object_that_does_not_compile_is_reported_by_one_daemon(
    zone: Zone, one: Any, is_told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise RuntimeError("trips")

    monkeypatch.setattr(zone.compiler.inventory, "apply", fail)
    with capture_logs():
        zone.apply(one)
    found = [(report.uid, [one.code for one in report.diagnostics]) for report in zone.report()[1]]
    assert found == ([("u", [Code.COMPILE_FAILED])] if is_told else [])


@pytest.mark.parametrize("ref", [NAD, SHOP], ids=lambda ref: ref.kind)
def test_an_invalid_object_that_is_corrected_or_deleted_is_reported_no_more(zone: Zone, ref: ObjectRef) -> None:
    zone.apply(_invalid(ref))
    zone.delete(ref.kind, ref.key)
    assert zone.report()[1] == ()
    zone.apply(_invalid(ref))
    zone.apply(BLUE if ref == NAD else Namespace(name="shop", labels={}))
    assert zone.report()[1] == ()


def test_what_the_database_says_decides_the_reason_in_this_order(zone: Zone) -> None:
    zone.apply(_source())
    zone.apply(policy(rule(dscp=20)))
    key = ("NetworkQoS", "shop/gold")
    one = (cause("x"),)
    zone.table.replace(ComparisonFinding.SHADOWED_LIMIT, {key: (SHADOWED,)})
    outcome = zone.outcome()
    assert (outcome.reason, outcome.warnings) == (Reason.SUCCESS, (SHADOWED,))
    zone.table.replace(ComparisonFinding.MISSING_SWITCH, {key: one})
    assert zone.outcome().reason is Reason.WAITING
    zone.table.replace(ComparisonFinding.FOREIGN_CONFLICT, {key: one})
    assert zone.outcome().reason is Reason.CONFLICT
    outcome = zone.outcome(refused={"shop/gold": TransactionRefused("no such priority")})
    assert outcome.reason is Reason.NORTHBOUND_UNAVAILABLE
    assert "no such priority" in outcome.message
    zone.table.replace(ComparisonFinding.FOREIGN_CONFLICT, {})
    zone.table.replace(ComparisonFinding.MISSING_SWITCH, {})
    outcome = zone.outcome(full=True)
    assert (outcome.reason, outcome.warnings) == (Reason.SUCCESS, (SHADOWED,))


def test_two_policies_of_one_priority_conflict(zone: Zone) -> None:
    zone.apply(_source())
    zone.apply(policy(rule(dscp=20)))
    zone.apply(replace(policy(rule(dscp=30)), name="silver"))
    outcomes, _ = zone.report()
    assert {one.reason for one in outcomes.values()} == {Reason.CONFLICT}
    assert "shop/silver" in outcomes["shop/gold"].message


def _source() -> Pod:
    return pod("web", "10.0.0.1", labels={"app": "web"})


def test_a_failed_pass_is_told_of_what_was_to_be_reported_and_the_next_one_reports_it_again(zone: Zone) -> None:
    zone.apply(_pod(BROKEN))
    zone.apply(policy(rule(dscp=20)))
    outcomes, reports = zone.report(error=NorthboundUnavailable("no server\nanswers"))
    assert outcomes["shop/gold"].reason is Reason.NORTHBOUND_UNAVAILABLE
    assert outcomes["shop/gold"].message == "no server answers"
    assert reports == ()
    outcomes, reports = zone.report()
    assert outcomes["shop/gold"].reason is Reason.SUCCESS
    assert [one.object for one in reports] == [WEB]


def test_a_pass_whose_outcome_is_unknown_reports_nothing_yet(zone: Zone) -> None:
    zone.apply(_source())
    zone.apply(policy(rule(dscp=20)))
    assert zone.report(error=OutcomeUnknown("no reply")) == ({}, ())
    assert zone.outcome().reason is Reason.SUCCESS


def test_a_standby_has_every_outcome_reported_again_when_it_takes_over(zone: Zone) -> None:
    zone.apply(_source())
    zone.apply(policy(rule(dscp=20)))
    zone.report()
    zone.table.mark_all_dirty()
    assert zone.outcome().reason is Reason.SUCCESS


def test_policies_are_counted_by_their_last_reason(zone: Zone) -> None:
    zone.apply(_source())
    zone.apply(policy(rule(dscp=20)))
    zone.apply(InvalidObject(ObjectRef(kind="NetworkQoS", namespace="shop", name="tin"), [cause("x")]))
    zone.report()
    assert +zone.table.policy_counts == {Reason.SUCCESS: 1, Reason.INVALID: 1}
    zone.apply(replace(policy(rule(dscp=20)), name="tin", priority=3))
    zone.report()
    assert +zone.table.policy_counts == {Reason.SUCCESS: 2}
    zone.delete("NetworkQoS", "shop/tin")
    zone.delete("NetworkQoS", "shop/unknown")
    assert +zone.table.policy_counts == {Reason.SUCCESS: 1}
    zone.apply(policy(rule(dscp=20)), uid="u2")  # the same name, another object
    zone.report()
    assert +zone.table.policy_counts == {Reason.SUCCESS: 1}


def test_a_deleted_policy_is_reported_no_more(zone: Zone) -> None:
    zone.apply(replace(policy(rule(dscp=20)), diagnostics=(UNKNOWN,)))
    zone.delete("NetworkQoS", "shop/gold")
    zone.table.update(ComparisonFinding.FOREIGN_CONFLICT, {("NetworkQoS", "shop/gold"): (cause("x"),)})
    assert zone.report() == ({}, ())


@pytest.mark.parametrize("finding", [ComparisonFinding.FOREIGN_CONFLICT, ComparisonFinding.MISSING_SWITCH])
def test_what_a_condition_says_alone_is_logged_once(zone: Zone, finding: ComparisonFinding) -> None:
    zone.apply(_source())
    zone.apply(policy(rule(dscp=20)))
    zone.report()
    found: list[ObjectUpdate] = []
    for _ in range(3):
        zone.table.replace(finding, {("NetworkQoS", "shop/gold"): (cause("x"),)})
        zone.table.mark_all_dirty()
        found.extend(zone.report()[1])
    assert found == [ObjectUpdate(object=GOLD, uid="u", logged=(cause("x"),))]
    assert events_of_report(found[0]) == []


@pytest.mark.parametrize("finding", [ComparisonFinding.MISSING_PORT, ComparisonFinding.SHADOWED_LIMIT])
def test_a_warning_of_the_northbound_leaves_a_policy_in_force_and_is_an_event_once(
    zone: Zone, finding: ComparisonFinding
) -> None:
    zone.apply(_source())
    zone.apply(policy(rule(dscp=20)))
    zone.report()
    zone.table.replace(finding, {("NetworkQoS", "shop/gold"): (SHADOWED,)})
    outcomes, reports = zone.report()
    assert (outcomes["shop/gold"].reason, outcomes["shop/gold"].warnings) == (Reason.SUCCESS, (SHADOWED,))
    assert [(one.type, one.reason) for report in reports for one in events_of_report(report)] == [
        ("Warning", "ShadowedLimit")
    ]
    assert zone.table.said[SHADOWED.code, SHADOWED.severity] == 1
    zone.table.mark_all_dirty()
    assert zone.report()[1] == ()
    zone.table.replace(finding, {})
    assert zone.report()[1] == ()
    assert zone.table.said[SHADOWED.code, SHADOWED.severity] == 0


@pytest.mark.parametrize("elected", [True, False])
def test_why_a_policy_selects_nothing_is_an_event_of_the_zone_that_writes_its_condition(elected: bool) -> None:
    zone = Zone(elected=elected)
    zone.apply(policy(rule(dscp=20)))
    reports = zone.report()[1]
    events = [one.reason for report in reports for one in events_of_report(report)]
    assert events == (["NoPodMatches"] if elected else [])


def test_an_invalid_object_has_no_last_valid_version_of_a_dead_one(zone: Zone) -> None:
    zone.apply(pod("web", "10.0.0.1"))
    zone.apply(policy(), uid="u1")
    assert zone.outcome().reason is Reason.SUCCESS
    zone.apply(InvalidObject(GOLD, [Diagnostic.error(GOLD, Code.INVALID_FIELD, "is wrong", path="spec")]), uid="u2")
    told = zone.outcome()
    assert (told.uid, told.reason) == ("u2", Reason.INVALID)
    assert {one.code for one in told.causes} == {Code.INVALID_FIELD}
    assert zone.compiler.desired().rows == {}


def test_an_object_that_replaces_another_keeps_its_rows(zone: Zone) -> None:
    zone.apply(pod("web", "10.0.0.1"))
    zone.apply(policy(), uid="u1")
    zone.report()
    zone.apply(policy(), uid="u2")
    assert zone.compiler.drain().compiled_rows == frozenset()
    assert len(zone.compiler.desired().rows) == 1


@pytest.mark.parametrize("is_deleted", [True, False], ids=["deleted", "recreated unseen"])
def test_what_was_found_of_a_dead_object_is_not_said_of_its_successor(zone: Zone, is_deleted: bool) -> None:
    zone.apply(pod("web", "10.0.0.1"))
    zone.apply(policy(), uid="u1")
    zone.table.replace(ComparisonFinding.FOREIGN_CONFLICT, {("NetworkQoS", "shop/gold"): (SHADOWED,)})
    assert zone.outcome().reason is Reason.CONFLICT
    if is_deleted:
        zone.delete("NetworkQoS", "shop/gold")
    zone.apply(policy(), uid="u2")
    assert zone.outcome().reason is Reason.SUCCESS


def test_an_outcome_names_the_nodes_of_all_zones_with_source_pods_and_a_full_pass_follows_them(zone: Zone) -> None:
    zone.apply(policy(rule(dscp=20)))
    zone.apply(_source())
    zone.apply(pod("far", "10.0.0.2", node="node2"))
    assert zone.outcome().nodes == {"node1", "node2"}
    zone.apply(pod("farther", "10.0.0.3", node="node3"))
    assert zone.report()[0] == {}  # what happens in other zones costs nothing
    assert zone.outcome(full=True).nodes == {"node1", "node2", "node3"}
    assert zone.report(full=True)[0] == {}
    zone.delete("Pod", "shop/farther")
    zone.apply(policy(rule(dscp=21)), generation=2)
    assert zone.outcome().nodes == {"node1", "node2"}
