"""NetworkQoS objects as annotations: what becomes which, and what is left as it is, and why."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from netaddr import IPNetwork

from ovnqos import Bandwidth, BandwidthScope, Namespace, PodPeer, PortMatch
from ovnqos.controller import NetworkTopology, parse_pod
from ovnqos.convert import (
    AnnotationConversion,
    annotate_commands,
    annotation_documents,
    to_annotations,
)
from ovnqos.diagnostics import Code, Diagnostic, ObjectRef, Severity
from ovnqos.model.labels import EVERYTHING, LabelSelector
from ovnqos.model.networks import DEFAULT_NETWORK_SELECTOR, NetworkRole, NetworkSelectionType, NetworkSelector
from ovnqos.model.workloads import PodQos
from ovnqos.sources.egress_qos import EgressQoS, EgressQoSRule
from tests.support.cluster import attachment, attachments_selector, block, labels, pod, policy, rule
from tests.support.converting import manifests

if TYPE_CHECKING:
    from ovnqos import NetworkQoS, Pod, Rule

CLUSTER = (IPNetwork("10.0.0.0/8"), IPNetwork("fd00::/8"))
OUTSIDE = (block("0.0.0.0/0", "10.0.0.0/8"), block("::/0", "fd00::/8"))
WEB = labels(app="web")
LIMIT, SLOW = Bandwidth(rate_kbps=10_000), Bandwidth(rate_kbps=5)


def _pod(name: str, qos: PodQos | None = None, **own: str) -> Pod:
    return replace(pod(name, "10.0.0.5", labels=own), qos=qos or PodQos())


def _policy(*rules: Rule, pods: LabelSelector = WEB, **given: Any) -> NetworkQoS:
    return policy(
        *rules, **{"pods": pods, "networks": (DEFAULT_NETWORK_SELECTOR,), "scope": BandwidthScope.POD, **given}
    )


def _converted(*objects: Any, cidrs: tuple[IPNetwork, ...] = CLUSTER) -> AnnotationConversion:
    return to_annotations(
        manifests(*objects),
        cluster_cidrs=cidrs,
    )


def _annotated(made: AnnotationConversion) -> dict[str, PodQos]:
    return {f"{one.object.kind} {one.object.name}": one.qos for one in made.annotated}


def _told(made: AnnotationConversion) -> list[tuple[str, Code, str]]:
    assert {one.severity for one in made.diagnostics} <= {Severity.WARNING}
    return [(str(one.object), one.code, one.path) for one in made.diagnostics]


def _texts(made: AnnotationConversion) -> list[str]:
    return [one.message for one in made.diagnostics]


def _replaced(made: AnnotationConversion) -> dict[str, list[str]]:
    return {str(one.object): [str(by) for by in one.by] for one in made.replacements}


MARK = rule(46, destinations=OUTSIDE)
BOTH = rule(46, rate=10_000)


class TestWhatAnnotationsSay:
    def test_a_mark_for_outside_is_said_exactly(self) -> None:
        made = _converted(_policy(MARK), _pod("web-1", app="web"), _pod("web-2", app="web"), _pod("db", app="db"))
        assert _annotated(made) == {"Pod web-1": PodQos(dscp=46), "Pod web-2": PodQos(dscp=46)}
        assert made.diagnostics == ()
        assert _replaced(made) == {"NetworkQoS shop/gold": ["Pod shop/web-1", "Pod shop/web-2"]}
        assert annotate_commands(made.annotated) == [
            "kubectl annotate --overwrite -n shop pod web-1 web-2 qos.projectcalico.org/dscp=46"
        ]

    def test_a_limit_is_said_and_the_mark_for_outside_with_a_remark(self) -> None:
        made = _converted(_policy(rule(46, rate=10_000, burst=1_500)), _pod("web", app="web"), cidrs=())
        assert _told(made) == [("NetworkQoS shop/gold", Code.EFFECT_DIFFERS, "spec.egress[0].dscp")]
        assert "46" in _texts(made)[0]
        assert annotation_documents(made.annotated) == [
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {
                    "name": "web",
                    "namespace": "shop",
                    "annotations": {
                        "qos.projectcalico.org/egressBandwidth": "10M",
                        "qos.projectcalico.org/egressBurst": "1500k",
                        "qos.projectcalico.org/dscp": "46",
                    },
                },
            }
        ]

    def test_documents_are_what_is_read_as_annotations(self) -> None:
        made = _converted(_policy(rule(46, rate=10_000, burst=1_500)), _pod("web", app="web"))
        (read,) = map(parse_pod, annotation_documents(made.annotated))
        assert (read.qos.egress, read.qos.dscp) == (Bandwidth(rate_kbps=10_000, burst_kbit=1_500), 46)

    def test_a_selector_of_all_pods_is_the_namespaces_default(self) -> None:
        made = _converted(_policy(BOTH, pods=EVERYTHING), _pod("web", app="web"))
        assert _annotated(made) == {"Namespace shop": PodQos(egress=LIMIT, dscp=46)}
        assert annotate_commands(made.annotated) == [
            "kubectl annotate --overwrite namespace shop qos.projectcalico.org/egressBandwidth=10M "
            "qos.projectcalico.org/dscp=46"
        ]
        assert _replaced(made) == {"NetworkQoS shop/gold": ["Namespace shop"]}

    def test_what_wins_over_a_default_is_of_the_pod(self) -> None:
        made = _converted(
            _policy(BOTH, pods=EVERYTHING, name="all", priority=1),
            _policy(rule(46, rate=5), priority=2),
            _pod("web", app="web"),
            _pod("db"),
        )
        assert _annotated(made) == {"Namespace shop": PodQos(egress=LIMIT, dscp=46), "Pod web": PodQos(egress=SLOW)}

    def test_an_object_that_another_hides_goes_too(self) -> None:
        made = _converted(
            _policy(BOTH, pods=EVERYTHING, name="all", priority=2),
            _policy(rule(7, rate=5), priority=1),
            _pod("web", app="web"),
        )
        assert _annotated(made) == {"Namespace shop": PodQos(egress=LIMIT, dscp=46)}
        assert _replaced(made) == {
            "NetworkQoS shop/all": ["Namespace shop"],
            "NetworkQoS shop/gold": ["Namespace shop"],
        }

    def test_a_pods_own_mark_that_the_object_hid_is_overwritten(self) -> None:
        made = _converted(_policy(MARK, pods=EVERYTHING), _pod("web", PodQos(dscp=7), app="web"), _pod("db"))
        assert _annotated(made) == {"Namespace shop": PodQos(dscp=46), "Pod web": PodQos(dscp=46)}

    def test_the_primary_network_is_what_annotations_are_for_where_there_is_one(self) -> None:
        nad = attachment("shop/main", "10.3.0.0/16", role=NetworkRole.PRIMARY)
        primary = NetworkSelector(
            type=NetworkSelectionType.PRIMARY_USER_DEFINED_NETWORKS, namespace_selector=EVERYTHING
        )
        assert _annotated(_converted(nad, _policy(MARK, networks=(primary,)), _pod("web", app="web")))
        made = _converted(nad, _policy(MARK), _pod("web", app="web"))
        assert _told(made) == [("NetworkQoS shop/gold", Code.NOT_CONVERTED, "spec.networkSelectors")]
        assert "primary network" in _texts(made)[0]

    def test_all_networks_are_the_default_one_for_pods_that_have_no_other(self) -> None:
        kube_ovn = replace(_pod("old", app="web"), annotations={"ovn.kubernetes.io/logical_switch": "ovn-default"})
        assert set(_annotated(_converted(_policy(MARK, networks=None), _pod("web", app="web"), kube_ovn))) == {
            "Pod old",
            "Pod web",
        }

    def test_many_pods_are_several_commands(self) -> None:
        made = _converted(_policy(MARK), *(_pod(f"web-{number}", app="web") for number in range(250)))
        commands = annotate_commands(made.annotated)
        assert [command.count("web-") for command in commands] == [100, 100, 50]


OTHER_NETWORK = replace(
    pod("web", networks={"default": ["10.0.0.1"], "shop/blue": ["10.1.0.1"]}), labels={"app": "web"}
)
POD = ObjectRef(kind="Pod", namespace="shop", name="web")
WRONG = PodQos(diagnostics=(Diagnostic.error(POD, Code.INVALID_FIELD, "is wrong", path="metadata.annotations[x]"),))


class TestWhatAnnotationsDoNotSay:
    @pytest.mark.parametrize(
        ("given", "field", "words"),
        [
            (_policy(MARK, BOTH), "spec.egress", "2 rules"),
            (_policy(rule(46, destinations=(block("1.2.3.0/24"),))), "spec.egress[0].classifier", "limit all"),
            (
                _policy(rule(46, destinations=(PodPeer(pod_selector=EVERYTHING),))),
                "spec.egress[0].classifier",
                "limit all",
            ),
            (_policy(rule(46, sources=(block("10.0.0.0/8"),))), "spec.egress[0].classifier", "limit all"),
            (_policy(rule(46, ports=(PortMatch(port=80),))), "spec.egress[0].classifier", "limit all"),
            (
                _policy(rule(46, rate=5, destinations=OUTSIDE)),
                "spec.egress[0].bandwidth",
                "leaves the cluster",
            ),
            (
                _policy(BOTH, scope=BandwidthScope.POLICY),
                "metadata.annotations[ovnqos.io/bandwidth-scope]",
                "share the limit",
            ),
            (_policy(MARK, pods=labels(app="db")), "spec.podSelector", "no pod"),
            (
                _policy(MARK, networks=(attachments_selector(EVERYTHING, EVERYTHING),)),
                "spec.networkSelectors",
                "the default network",
            ),
            (_policy(MARK, networks=None, pods=EVERYTHING), "spec.networkSelectors", "later pods"),
            (_policy(rule(None)), "spec.egress[0]", "neither marks nor limits"),
        ],
    )
    def test_is_told(self, given: NetworkQoS, field: str, words: str) -> None:
        made = _converted(given, _pod("web", app="web"))
        assert (made.annotated, made.replacements) == ((), ())
        assert _told(made) == [("NetworkQoS shop/gold", Code.NOT_CONVERTED, field)]
        assert words in made.diagnostics[0].text

    @pytest.mark.parametrize(
        ("web", "given", "words"),
        [
            (_pod("web", PodQos(egress=SLOW), app="web"), _policy(BOTH), "Pod shop/web already has an egress limit"),
            (_pod("web", WRONG, app="web"), _policy(MARK), "Pod shop/web has an invalid annotation"),
            (OTHER_NETWORK, _policy(MARK, networks=None), "Pod shop/web may be on others"),
            (
                replace(OTHER_NETWORK, annotations={}),
                _policy(MARK, networks=None),
                "Pod shop/web may be on others",
            ),
        ],
    )
    def test_pods_in_the_way_are_named(self, web: Pod, given: NetworkQoS, words: str) -> None:
        made = _converted(given, web)
        assert made.annotated == ()
        assert words in _texts(made)[0]

    def test_without_the_clusters_addresses_no_classifier_is_for_outside(self) -> None:
        made = _converted(_policy(MARK), _pod("web", app="web"), cidrs=())
        assert _told(made) == [("NetworkQoS shop/gold", Code.NOT_CONVERTED, "spec.egress[0].classifier")]
        assert "--cluster-cidr" in made.diagnostics[0].hint

    def test_objects_of_the_same_pods_go_together_or_stay(self) -> None:
        made = _converted(
            _policy(MARK, BOTH, name="lead", pods=labels(tier="front")),
            _policy(MARK, name="silver", pods=labels(app="web")),
            _policy(MARK, name="tin", pods=labels(app="db")),
            _pod("web", app="web", tier="front"),
            _pod("db", app="db"),
        )
        assert _annotated(made) == {"Pod db": PodQos(dscp=46)}
        assert _told(made)[1] == ("NetworkQoS shop/silver", Code.NOT_CONVERTED, "spec.podSelector")
        assert "NetworkQoS shop/lead" in _texts(made)[1]

    def test_a_mark_over_a_limit_of_another_object_is_not_converted(self) -> None:
        made = _converted(_policy(MARK, priority=2), _policy(BOTH, name="low", priority=1), _pod("web", app="web"))
        assert made.annotated == ()
        assert _told(made) == [
            (f"NetworkQoS shop/{name}", Code.NOT_CONVERTED, "spec.podSelector") for name in ("gold", "low")
        ]
        for text, other in zip(_texts(made), ("low", "gold"), strict=True):
            assert f"NetworkQoS shop/{other} applies to Pod shop/web too" in text

    def test_marks_of_an_egress_qos_would_come_back_inside_the_cluster(self) -> None:
        egress_qos = EgressQoS(namespace="shop", name="default", rules=(EgressQoSRule(dscp=1),))
        assert _annotated(_converted(egress_qos, _policy(MARK), _pod("web", app="web")))
        made = _converted(egress_qos, _policy(BOTH), _pod("web", app="web"))
        assert made.annotated == ()
        assert "EgressQoS shop/default" in _texts(made)[0]

    def test_on_a_layer2_network_present_annotations_share_the_stage(self) -> None:
        nad = attachment("shop/main", "10.3.0.0/16", topology=NetworkTopology.LAYER2, role=NetworkRole.PRIMARY)
        primary = NetworkSelector(
            type=NetworkSelectionType.PRIMARY_USER_DEFINED_NETWORKS, namespace_selector=EVERYTHING
        )
        for qos, words in (
            (PodQos(egress=SLOW), "shadows an egress limit"),
            (PodQos(dscp=7), "already has a dscp annotation"),
        ):
            made = _converted(nad, _policy(MARK, networks=(primary,)), _pod("web", qos, app="web"))
            assert made.annotated == ()
            assert words in _texts(made)[0]

    def test_a_namespace_that_limits_already_gets_no_second_limit(self) -> None:
        present = Namespace(name="shop", labels={}, qos=PodQos(egress=SLOW))
        made = _converted(present, _policy(BOTH, pods=EVERYTHING))
        assert made.annotated == ()
        assert "Namespace shop already has an egress limit" in _texts(made)[0]
