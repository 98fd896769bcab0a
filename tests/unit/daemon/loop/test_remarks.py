"""What is said of QoS annotations that are not in force: each thing once, and of pods of this zone only."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ovnqos import Bandwidth, Compiler, Namespace, Pod, PodQos, Topology
from ovnqos.controller import parse_namespace
from ovnqos.diagnostics import Code, Diagnostic, ObjectRef
from ovnqos.kubernetes import Metadata
from ovnqosd.loop.outcomes import AnnotationProblem, Drift, DriftKind, ObjectRemark
from ovnqosd.loop.remarks import Remarks
from ovnqosd.status.events import event_of_remark, events_of_drift
from tests.support.cluster import pod

WEB = ObjectRef(kind="Pod", namespace="shop", name="web")
WRONG = Diagnostic.error(WEB, Code.INVALID_FIELD, '"10Q" is not a rate', path="metadata.annotations[x]")
ODD = Diagnostic.warning(WEB, Code.UNSUPPORTED_ANNOTATION, "OVN limits bits", path="metadata.annotations[y]")
BROKEN = PodQos(diagnostics=(WRONG, ODD), ingress=Bandwidth(rate_kbps=5_000))


class Zone:
    """The compiler of one zone and the remarks beside it, told of objects as the reconcile loop is."""

    def __init__(self, *, elected: bool = True) -> None:
        self.live = Compiler(Topology.ovn_kubernetes(zone_nodes=["node1"]))
        self.elected = elected
        self.remarks = Remarks(self.live, tells_of_namespaces=lambda: self.elected)

    def tell(self, one: Pod | Namespace, uid: str = "u") -> tuple[ObjectRemark, ...]:
        namespace = one.namespace if isinstance(one, Pod) else ""
        metadata = Metadata(namespace=namespace, name=one.name, uid=uid, generation=1, resource_version="1")
        self.live.apply(one)
        self.remarks.note(metadata, one)
        self.remarks.compiled(self.live.drain().pods)
        return self.remarks.settle()


@pytest.fixture
def zone() -> Zone:
    return Zone()


def _pod(qos: PodQos, node: str = "node1") -> Pod:
    return replace(pod("web", "10.0.0.1", node=node), qos=qos)


def test_all_that_is_wrong_with_a_pod_is_said_once(zone: Zone) -> None:
    expected = ObjectRemark(kind="Pod", key="shop/web", uid="u", notes=(WRONG.message, ODD.message))
    assert zone.tell(_pod(BROKEN)) == (expected,)
    assert zone.tell(replace(_pod(BROKEN), labels={"x": "y"})) == ()
    assert zone.remarks.problems() == {AnnotationProblem.INVALID: 1, AnnotationProblem.INEXPRESSIBLE: 1}


def test_what_is_wrong_again_after_it_was_right_is_said_again(zone: Zone) -> None:
    zone.tell(_pod(BROKEN))
    assert zone.tell(_pod(PodQos(ingress=Bandwidth(rate_kbps=5_000)))) == ()
    assert set(zone.remarks.problems().values()) == {0}
    assert len(zone.tell(_pod(BROKEN))) == 1


def test_pods_of_other_zones_are_for_others_to_tell_of(zone: Zone) -> None:
    assert zone.tell(_pod(BROKEN, node="node2")) == ()
    assert set(zone.remarks.problems().values()) == {0}


def test_a_namespace_is_told_of_by_the_one_that_is_elected() -> None:
    shop = Namespace(name="shop", labels={}, qos=PodQos(diagnostics=(WRONG,)))
    assert Zone(elected=False).tell(shop) == ()
    assert Zone().tell(shop) == (ObjectRemark(kind="Namespace", key="shop", uid="u", notes=(WRONG.message,)),)


def test_a_namespaces_burst_is_advised_on(zone: Zone) -> None:
    key = "qos.projectcalico.org/egress"
    annotations = {f"{key}Bandwidth": "10M", f"{key}Burst": "100k"}
    (remark,) = zone.tell(parse_namespace({"metadata": {"name": "shop", "annotations": annotations}}))
    assert remark.notes[0].startswith(f"metadata.annotations[{key}Burst]: burst 100 kbit")


def test_a_pod_that_is_gone_counts_no_more(zone: Zone) -> None:
    zone.tell(_pod(BROKEN))
    zone.remarks.forget("Pod", "shop/web")
    assert set(zone.remarks.problems().values()) == {0}


def test_a_limit_that_comes_to_be_hidden_is_said(zone: Zone) -> None:
    zone.tell(_pod(PodQos(ingress=Bandwidth(rate_kbps=5_000))))
    zone.remarks.meet_hidden({"shop/web": ("the limit does not hold",)})
    assert [one.notes for one in zone.remarks.settle()] == [("the limit does not hold",)]
    zone.remarks.meet_hidden({"shop/web": ("the limit does not hold",)})
    assert zone.remarks.settle() == ()


def test_the_event_is_of_the_pod_and_names_key_and_value(zone: Zone) -> None:
    (remark,) = zone.tell(_pod(BROKEN))
    event = event_of_remark(remark)
    assert (event.kind, event.key, event.uid, event.type) == ("Pod", "shop/web", "u", "Warning")
    assert event.message == f"{WRONG.message}; {ODD.message}"


def test_drift_of_a_pods_row_is_told_of_the_pod() -> None:
    drift = Drift(kind=DriftKind.ROW_EDITED, what="Pod/shop/web/egress", policy="", found="a row")
    (event,) = events_of_drift([drift], lambda key: "")
    assert (event.kind, event.key) == ("Pod", "shop/web")
