"""Annotations and EgressQoS objects as NetworkQoS objects: what is said how, and what is left as it is, and why."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from netaddr import IPNetwork

from ovnqos import Bandwidth, BandwidthScope, Namespace, PortMatch
from ovnqos.controller import NetworkTopology
from ovnqos.convert import NetworkQoSConversion, Part, network_qos_document, to_network_qos
from ovnqos.diagnostics import Code, Diagnostic, ObjectRef
from ovnqos.model.labels import EVERYTHING
from ovnqos.model.networks import NetworkRole
from ovnqos.model.workloads import PodQos
from ovnqos.sources.egress_qos import EgressQoS, EgressQoSRule
from tests.support.cluster import attachment, block, labels, pod, policy, rule
from tests.support.converting import manifests

if TYPE_CHECKING:
    from ovnqos import LabelSelector, NetworkQoS, Pod

ANNOTATIONS = "metadata.annotations"
CLUSTER = (IPNetwork("10.0.0.0/8"), IPNetwork("fd00::/8"))
SLOW, FAST = Bandwidth(rate_kbps=10_000, burst_kbit=400), Bandwidth(rate_kbps=50_000)
OUTSIDE = [
    {"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]}},
    {"ipBlock": {"cidr": "::/0", "except": ["fd00::/8"]}},
]


def _pod(name: str, qos: PodQos | None = None, own: dict[str, str] | None = None, **more: str) -> Pod:
    return replace(pod(name, "10.0.0.5", labels={**(own or {}), **more}), qos=qos or PodQos())


def _defaults(qos: PodQos) -> Namespace:
    return Namespace(name="shop", labels={}, qos=qos)


def _egress_qos(*rules: EgressQoSRule) -> EgressQoS:
    return EgressQoS(namespace="shop", name="default", rules=rules)


def _mark(dscp: int, destination: str = "", pods: LabelSelector = EVERYTHING) -> EgressQoSRule:
    return EgressQoSRule(dscp=dscp, destination=IPNetwork(destination) if destination else None, pod_selector=pods)


def _converted(*objects: Any, mark: int | None = None, cidrs: tuple[IPNetwork, ...] = CLUSTER) -> NetworkQoSConversion:
    return to_network_qos(
        manifests(*objects),
        cluster_cidrs=cidrs,
        mark=mark,
    )


def _told(made: NetworkQoSConversion) -> list[tuple[str, Code, str]]:
    return [(str(one.object), one.code, one.path) for one in made.diagnostics]


def _kept(*names: str) -> list[tuple[str, Code, str]]:
    """Annotations of pods that are not converted."""
    return [(f"Pod shop/{name}", Code.NOT_CONVERTED, ANNOTATIONS) for name in names]


def _says(made: NetworkQoSConversion, index: int, *words: str) -> None:
    for word in words:
        assert word in made.diagnostics[index].message


def _replaced(made: NetworkQoSConversion) -> dict[str, tuple[set[Part], tuple[str, ...]]]:
    return {str(one.object): (set(one.parts), tuple(map(str, one.by))) for one in made.replacements}


def _summary(policies: tuple[NetworkQoS, ...]) -> list[tuple[str, int, str, list[int | None]]]:
    return [(one.name, one.priority, str(one.pod_selector), [rule.dscp for rule in one.rules]) for one in policies]


class TestPods:
    def test_a_mark_is_for_what_leaves_the_cluster(self) -> None:
        made = _converted(_pod("web", PodQos(dscp=46), app="web"), _pod("db", app="db"))
        (found,) = made.policies
        assert network_qos_document(found) == {
            "apiVersion": "k8s.ovn.org/v1alpha1",
            "kind": "NetworkQoS",
            "metadata": {"name": "pod-qos-app-web", "namespace": "shop"},
            "spec": {
                "priority": 0,
                "podSelector": {"matchLabels": {"app": "web"}},
                "networkSelectors": [{"networkSelectionType": "DefaultNetwork"}],
                "egress": [{"dscp": 46, "classifier": {"to": OUTSIDE}}],
            },
        }
        assert made.diagnostics == ()
        assert _replaced(made) == {"Pod shop/web": ({Part.MARK}, ("NetworkQoS shop/pod-qos-app-web",))}

    def test_a_limit_is_one_meter_a_pod_and_takes_the_mark_that_is_given(self) -> None:
        made = _converted(_pod("web", PodQos(egress=SLOW), app="web"), mark=0)
        (found,) = made.policies
        assert network_qos_document(found)["metadata"]["annotations"] == {"ovnqos.io/bandwidth-scope": "pod"}
        assert network_qos_document(found)["spec"]["egress"] == [
            {"dscp": 0, "bandwidth": {"rate": 10_000, "burst": 400}}
        ]
        assert made.diagnostics == ()

    def test_a_limit_without_a_mark_leaves_marks_alone(self) -> None:
        made = _converted(_pod("db", PodQos(egress=FAST), app="db"))
        (found,) = made.policies
        assert network_qos_document(found)["spec"]["egress"] == [{"bandwidth": {"rate": 50_000}}]
        assert made.diagnostics == ()

    def test_without_a_mark_for_the_inside_a_limit_beside_a_mark_stays_and_the_mark_goes(self) -> None:
        made = _converted(_pod("web", PodQos(egress=SLOW, dscp=46), app="web"))
        assert _summary(made.policies) == [("pod-qos-app-web", 0, "app=web", [46])]
        assert made.policies[0].rules[0].bandwidth is None
        assert _told(made) == _kept("web")
        _says(made, 0, "egress limit of 10000 kbps", "inside the cluster", "--dscp")
        assert _replaced(made) == {"Pod shop/web": ({Part.MARK}, ("NetworkQoS shop/pod-qos-app-web",))}

    def test_limit_and_mark_of_a_pod_become_one_rule(self) -> None:
        made = _converted(_pod("web", PodQos(egress=SLOW, dscp=46), app="web"), mark=0, cidrs=())
        (found,) = made.policies
        assert found.rules == (rule(46, rate=10_000, burst=400),)
        assert _told(made) == [("Pod shop/web", Code.EFFECT_DIFFERS, ANNOTATIONS)]
        _says(made, 0, "dscp 46", "inside the cluster")

    def test_pods_alike_share_an_object(self) -> None:
        made = _converted(
            _pod("web-1", PodQos(dscp=46), app="web", hash="a"),
            _pod("web-2", PodQos(dscp=46), app="web", hash="b"),
            _pod("mail", PodQos(dscp=10), app="mail"),
        )
        assert _summary(made.policies) == [
            ("pod-qos-app-mail", 0, "app=mail", [10]),
            ("pod-qos-app-web", 0, "app=web", [46]),
        ]

    @pytest.mark.parametrize(
        ("others", "selector"),
        [
            ([{"app": "mail"}], "app=web,tier=front"),
            ([{"app": "web"}, {"tier": "front"}], "app=web,tier=front"),
            ([{"app": "web", "tier": "front", "canary": "yes"}], "!canary,app=web,tier=front"),
            ([{"app": "web", "tier": "front", "pod-template-hash": "2"}], "app=web,pod-template-hash=1,tier=front"),
        ],
    )
    def test_a_selector_takes_no_other_pod(self, others: list[dict[str, str]], selector: str) -> None:
        own = {"app": "web", "tier": "front", "pod-template-hash": "1"}
        made = _converted(
            _pod("web", PodQos(dscp=46), own),
            *(_pod(f"other-{number}", None, one) for number, one in enumerate(others)),
        )
        assert [str(one.pod_selector) for one in made.policies] == [selector]

    def test_a_selector_by_a_label_that_does_not_last_is_told(self) -> None:
        made = _converted(
            _pod("old", PodQos(dscp=46), {"pod-template-hash": "1"}), _pod("new", None, {"pod-template-hash": "2"})
        )
        assert _told(made) == [
            ("NetworkQoS shop/pod-qos-pod-template-hash-1", Code.TRANSIENT_LABELS, "spec.podSelector")
        ]
        _says(made, 0, "pod-template-hash=1")

    @pytest.mark.parametrize("own", [{"app": "web"}, {}])
    def test_pods_that_no_selector_tells_apart_keep_their_annotations(self, own: dict[str, str]) -> None:
        made = _converted(_pod("a", PodQos(dscp=46), own), _pod("b", None, own))
        assert made.policies == ()
        assert _told(made) == _kept("a")
        _says(made, 0, "dscp 46", "no label selector")

    def test_an_only_pod_without_labels_is_not_selected_by_all(self) -> None:
        assert _converted(_pod("a", PodQos(dscp=46))).policies == ()

    def test_finished_pods_and_those_of_the_host_do_not_matter(self) -> None:
        finished = replace(_pod("job", PodQos(dscp=10), app="web"), phase="Succeeded")
        host = replace(_pod("agent", PodQos(dscp=20), app="web"), host_network=True)
        made = _converted(_pod("web", PodQos(dscp=46), app="web"), finished, host)
        assert _summary(made.policies) == [("pod-qos-app-web", 0, "app=web", [46])]
        assert _told(made) == [("Pod shop/agent", Code.NOT_CONVERTED, "spec.hostNetwork")]

    @pytest.mark.parametrize(
        ("cidrs", "words"),
        [((), "--cluster-cidr"), ((IPNetwork("0.0.0.0/0"), IPNetwork("::/0")), "all addresses")],
    )
    def test_without_an_outside_a_mark_stays(self, cidrs: tuple[IPNetwork, ...], words: str) -> None:
        made = _converted(_pod("web", PodQos(dscp=46), app="web"), cidrs=cidrs)
        assert (made.policies, _told(made)) == ((), _kept("web"))
        _says(made, 0, "dscp 46", words)

    def test_ingress_and_what_is_wrong_or_has_no_effect_is_told(self) -> None:
        wrong = Diagnostic.error(
            ObjectRef(kind="Pod", namespace="shop", name="web"),
            Code.INVALID_FIELD,
            '"10Q" is not a rate',
            path="metadata.annotations[kubernetes.io/egress-bandwidth]",
        )
        odd = Diagnostic.warning(
            ObjectRef(kind="Namespace", name="shop"),
            Code.UNSUPPORTED_ANNOTATION,
            "has no effect",
            path="metadata.annotations[qos.projectcalico.org/ingressPacketRate]",
        )
        made = _converted(
            _defaults(PodQos(ingress=FAST, diagnostics=(odd,))), _pod("web", PodQos(ingress=SLOW, diagnostics=(wrong,)))
        )
        assert made.policies == ()
        assert [made.diagnostics[0], made.diagnostics[2]] == [odd, wrong]
        assert [_told(made)[1], _told(made)[3]] == [("Namespace shop", Code.NOT_CONVERTED, ANNOTATIONS), *_kept("web")]
        _says(made, 1, "ingress limit", "50000 kbps")
        _says(made, 3, "ingress limit", "10000 kbps")


class TestDefaults:
    def test_defaults_are_for_all_pods_below_those_of_single_pods(self) -> None:
        made = _converted(
            _defaults(PodQos(egress=FAST)), _pod("web", PodQos(egress=SLOW), app="web"), _pod("db", app="db"), mark=8
        )
        assert _summary(made.policies) == [("pod-qos-app-web", 1, "app=web", [8]), ("pod-qos-defaults", 0, "{}", [8])]
        assert {one.bandwidth_scope for one in made.policies} == {BandwidthScope.POD}
        assert _replaced(made) == {
            "Namespace shop": ({Part.LIMIT}, ("NetworkQoS shop/pod-qos-defaults",)),
            "Pod shop/web": ({Part.LIMIT}, ("NetworkQoS shop/pod-qos-app-web",)),
        }

    def test_a_pods_object_says_what_the_default_would_add(self) -> None:
        made = _converted(_defaults(PodQos(egress=FAST)), _pod("web", PodQos(dscp=46), app="web"), mark=0)
        assert made.policies[0].rules == (rule(46, rate=50_000),)

    def test_a_pod_that_repeats_the_default_needs_no_object(self) -> None:
        made = _converted(_defaults(PodQos(egress=FAST)), _pod("web", PodQos(egress=FAST), app="web"), mark=0)
        assert [one.name for one in made.policies] == ["pod-qos-defaults"]
        assert _replaced(made)["Pod shop/web"] == ({Part.LIMIT}, ("NetworkQoS shop/pod-qos-defaults",))

    def test_a_default_stays_where_an_exception_must_stay(self) -> None:
        made = _converted(
            _defaults(PodQos(egress=FAST)),
            _pod("a", PodQos(egress=SLOW), app="web"),
            _pod("b", app="web"),
            _pod("c", PodQos(egress=SLOW, dscp=46), app="c"),
            mark=0,
        )
        assert _summary(made.policies) == [("pod-qos-app-c", 0, "app=c", [46])]
        assert made.policies[0].rules[0].bandwidth is None
        index = _told(made).index(("Namespace shop", Code.NOT_CONVERTED, ANNOTATIONS))
        _says(made, index, "egress limit of 50000 kbps", "Pod shop/a")


class TestBesideOthers:
    def test_a_limit_stays_beside_a_policy_that_takes_the_same_packets(self) -> None:
        made = _converted(_pod("web", PodQos(egress=SLOW), app="web"), policy(pods=labels(app="web")), mark=0)
        assert made.policies == ()
        assert _told(made) == _kept("web")
        _says(made, 0, "egress limit of 10000 kbps", "NetworkQoS shop/gold")

    def test_a_policy_of_other_pods_or_networks_is_not_in_the_way(self) -> None:
        wanted = _pod("web", PodQos(egress=SLOW), app="web")
        assert len(_converted(wanted, policy(pods=labels(app="db")), mark=0).policies) == 1
        assert len(_converted(wanted, policy(networks=()), mark=0).policies) == 1

    def test_a_mark_stays_below_the_policies_there_are(self) -> None:
        web = _pod("web", PodQos(dscp=46), app="web")
        assert [one.priority for one in _converted(web, policy(priority=1)).policies] == [0]
        made = _converted(web, policy(priority=0))
        assert made.policies == ()
        assert _told(made) == _kept("web")
        _says(made, 0, "dscp 46", "a priority below 0", "NetworkQoS shop/gold")

    def test_names_that_are_taken_get_a_number(self) -> None:
        taken = policy(name="pod-qos-app-web", pods=labels(app="other"))
        made = _converted(_pod("web", PodQos(dscp=46), app="web"), taken)
        assert [one.name for one in made.policies] == ["pod-qos-app-web-2"]

    def test_a_primary_network_is_selected_where_the_namespace_has_one(self) -> None:
        nad = attachment("shop/main", "10.3.0.0/16", topology=NetworkTopology.LAYER2, role=NetworkRole.PRIMARY)
        made = _converted(nad, _pod("web", PodQos(dscp=46), app="web"))
        assert network_qos_document(made.policies[0])["spec"]["networkSelectors"] == [
            {
                "networkSelectionType": "PrimaryUserDefinedNetworks",
                "primaryUserDefinedNetworkSelector": {
                    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "shop"}}
                },
            }
        ]

    def test_on_a_layer2_network_a_mark_would_hide_the_limit_that_stays(self) -> None:
        nad = attachment("shop/main", "10.3.0.0/16", topology=NetworkTopology.LAYER2, role=NetworkRole.PRIMARY)
        made = _converted(nad, _pod("web", PodQos(egress=SLOW, dscp=46), app="web"))
        assert made.policies == ()
        assert _told(made) == _kept("web", "web")
        _says(made, 1, "dscp 46", "layer2")

    def test_with_two_primary_networks_nothing_is_guessed(self) -> None:
        nads = [attachment(f"shop/{name}", "10.3.0.0/16", role=NetworkRole.PRIMARY) for name in ("one", "two")]
        made = _converted(*nads, _pod("web", PodQos(dscp=46), app="web"))
        assert made.policies == ()
        assert "several primary networks" in made.diagnostics[0].text


class TestEgressQoS:
    def test_the_first_rule_that_matches_wins_there_and_the_last_here(self) -> None:
        made = _converted(_egress_qos(_mark(46, "203.0.113.0/24"), _mark(30, "2001:db8::/32"), _mark(0)))
        (found,) = made.policies
        assert network_qos_document(found)["spec"] == {
            "priority": 0,
            "podSelector": {},
            "networkSelectors": [{"networkSelectionType": "DefaultNetwork"}],
            "egress": [
                {"dscp": 0},
                {"dscp": 30, "classifier": {"to": [{"ipBlock": {"cidr": "2001:db8::/32"}}]}},
                {"dscp": 46, "classifier": {"to": [{"ipBlock": {"cidr": "203.0.113.0/24"}}]}},
            ],
        }
        assert (found.name, made.diagnostics) == ("egress-qos", ())
        assert _replaced(made) == {"EgressQoS shop/default": (set(), ("NetworkQoS shop/egress-qos",))}

    def test_selectors_of_rules_become_objects_of_falling_priority(self) -> None:
        web = labels(app="web")
        made = _converted(_egress_qos(_mark(1), _mark(2, pods=web), _mark(3, "1.0.0.0/8", pods=web), _mark(4)))
        assert _summary(made.policies) == [
            ("egress-qos-1", 2, "{}", [1]),
            ("egress-qos-2", 1, "app=web", [3, 2]),
            ("egress-qos-3", 0, "{}", [4]),
        ]

    def test_an_object_holds_twenty_rules(self) -> None:
        made = _converted(_egress_qos(*(_mark(number) for number in range(45))))
        assert [(one.priority, one.rules[0].dscp, one.rules[-1].dscp) for one in made.policies] == [
            (2, 19, 0),
            (1, 39, 20),
            (0, 44, 40),
        ]

    def test_more_runs_than_priorities_are_not_converted(self) -> None:
        rules = [_mark(1, pods=labels(app="web") if number % 2 else EVERYTHING) for number in range(102)]
        made = _converted(_egress_qos(*rules))
        assert (made.policies, made.replacements) == ((), ())
        assert _told(made) == [("EgressQoS shop/default", Code.NOT_CONVERTED, "spec.egress")]
        _says(made, 0, "102 priorities", "101")
        assert len(_converted(_egress_qos(*rules[:101])).policies) == 101

    def test_other_policies_stay_above(self) -> None:
        assert [one.priority for one in _converted(_egress_qos(_mark(1)), policy(priority=1)).policies] == [0]
        made = _converted(_egress_qos(_mark(1)), policy(priority=0))
        assert _told(made) == [("EgressQoS shop/default", Code.NOT_CONVERTED, "spec.egress")]
        _says(made, 0, "a priority below 0", "NetworkQoS shop/gold")

    def test_marks_of_pods_stay_above(self) -> None:
        made = _converted(_egress_qos(_mark(1), _mark(2, pods=labels(a="b"))), _pod("web", PodQos(dscp=46), app="web"))
        assert [(one.name, one.priority) for one in made.policies] == [
            ("pod-qos-app-web", 2),
            ("egress-qos-1", 1),
            ("egress-qos-2", 0),
        ]

    def test_a_mark_that_stays_an_annotation_keeps_the_object_below_it(self) -> None:
        made = _converted(_egress_qos(_mark(1)), _pod("web", PodQos(dscp=46), app="web"), cidrs=())
        assert made.policies == ()
        assert _told(made)[-1] == ("EgressQoS shop/default", Code.NOT_CONVERTED, "spec.egress")
        _says(made, -1, "Pod shop/web")

    def test_a_limit_stays_beside_marks_of_the_same_pod(self) -> None:
        made = _converted(_egress_qos(_mark(1)), _pod("web", PodQos(egress=SLOW), app="web"), mark=0)
        assert [one.name for one in made.policies] == ["egress-qos"]
        assert _told(made) == _kept("web")
        _says(made, 0, "egress limit of 10000 kbps", "EgressQoS shop/default")


class TestDocuments:
    @pytest.mark.parametrize(
        ("classifier", "written"),
        [
            ({"destinations": ()}, {"to": [{}]}),
            ({"sources": ()}, {"from": [{}]}),
            ({"ports": ()}, {"to": [{}]}),
            ({"ports": (PortMatch(port=80, end_port=90),)}, {"ports": [{"port": 80, "endPort": 90}]}),
            (
                {"sources": (block("10.0.0.0/8", "10.1.0.0/16"),)},
                {"from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}]},
            ),
        ],
    )
    def test_lists_that_match_nothing_are_written_so(self, classifier: dict[str, Any], written: dict[str, Any]) -> None:
        document = network_qos_document(policy(rule(20, **classifier)))
        assert document["spec"]["egress"] == [{"dscp": 20, "classifier": written}]
