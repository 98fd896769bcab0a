"""A pod's own limits beside NetworkQoS on a layer3 network: both hold, but for what stays on the receiver's node."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from ovnqos.sandbox import read_marks
from tests.lab.support_cluster import network_qos, rule
from tests.lab.support_matrix import Destination, expected_marks, probe
from tests.lab.support_networks import OTHER_NODE, SAME_NODE
from tests.lab.support_networks import OUTSIDE as OUTSIDE_PLACE
from tests.lab.support_pod_qos import (
    BURST,
    CLUSTER_CIDRS,
    NAMESPACE,
    PREFIX,
    WORKER,
    WORKER2,
    LimitedPods,
    cell,
    limited_pods,
    limits,
    to_outside,
    to_pod,
)
from tests.lab.support_rates import BURST_KBIT, OFFERED, limit, measure_rates, udp_stream
from tests.lab.support_results import MarkResult, RateResult, Results

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovnqos.sandbox import Pod, Programs
    from tests.lab.support_cluster import Document

DSCP = 20
GOLD: Final = {"tier": "gold"}
"""The labels of the pods that the policy selects."""
LOW_KBPS, HIGH_KBPS = 3000, 6000
ONE_STAGE_FROM = "24.09"
"""The first OVN that looks mark and meter up in one table, so that a row that only marks hides a limit."""
RATES: Final = pytest.mark.parametrize(
    ("own_kbps", "policy_kbps"), [(LOW_KBPS, HIGH_KBPS), (HIGH_KBPS, LOW_KBPS)], ids=["pod lower", "policy lower"]
)


@pytest.fixture(scope="module")
def module_pods(programs: Programs) -> Iterator[LimitedPods]:
    with limited_pods(programs) as pods:
        for name in ("client", "twin"):
            pods.add_pod(name, node=WORKER, labels=GOLD)
        for name, node in (("bystander", WORKER), ("server", WORKER), ("distant", WORKER2)):
            pods.add_pod(name, node=node)
        yield pods


@pytest.fixture
def pods(module_pods: LimitedPods) -> Iterator[LimitedPods]:
    """Running pods without annotations; annotations and policies that the test sets are removed when it ends."""
    yield module_pods
    module_pods.reset()


def _policy(rate_kbps: int | None, classifier: Document | None = None) -> Document:
    burst_kbit = None if rate_kbps is None else BURST_KBIT
    rules = [rule(DSCP, classifier, rate_kbps=rate_kbps, burst_kbit=burst_kbit)]
    return network_qos("gold", rules, namespace=NAMESPACE, pods=GOLD)


def _limited(own_kbps: int, direction: str) -> dict[str, str]:
    return limits(**{direction: f"{own_kbps}k"}, burst=BURST)


def _pod(pods: LimitedPods, name: str) -> Pod:
    return pods.cluster.pods[f"{NAMESPACE}/{name}"]


def _check(
    pods: LimitedPods,
    results: Results,
    scene: str,
    place: str,
    *,
    to: Destination,
    offered_kbps: int,
    expected: float,
    outcome: str,
) -> None:
    """Checks rate and mark of what `client` sends."""
    client = _pod(pods, "client")
    stream = udp_stream(client, to, port=5201, offered_kbps=offered_kbps)
    measured = measure_rates(pods.cluster.sandbox, [stream])[0]
    where = cell(scene, place, outcome)
    results.check_rates([RateResult(cell=where, expected=expected, seen=measured.bits_per_second)])
    seen = read_marks(pods.cluster.sandbox, probe(client, to, "udp"))
    results.check_marks([MarkResult(cell=where, expected=expected_marks(DSCP, place), seen=seen)])


@RATES
@pytest.mark.parametrize("place", [SAME_NODE, OTHER_NODE, OUTSIDE_PLACE])
def test_of_an_egress_limit_and_a_policy_the_lower_holds_and_the_mark_is_there(
    pods: LimitedPods, results: Results, place: str, own_kbps: int, policy_kbps: int
) -> None:
    policy = _policy(policy_kbps)
    pods.annotate(_pod(pods, "client"), _limited(own_kbps, "egress"))
    pods.apply(policy)
    to = {
        SAME_NODE: to_pod(_pod(pods, "server")),
        OTHER_NODE: to_pod(_pod(pods, "distant")),
        OUTSIDE_PLACE: to_outside(pods),
    }[place]
    offered_kbps = round(OFFERED * HIGH_KBPS)
    scene = f"egress limit {own_kbps}, NetworkQoS {policy_kbps}"
    _check(pods, results, scene, place, to=to, offered_kbps=offered_kbps, expected=limit(LOW_KBPS), outcome="the lower")
    assert pods.hidden(policy) == set()


def test_one_pods_egress_limit_and_the_rate_that_a_policys_pods_share_both_hold(
    pods: LimitedPods, results: Results
) -> None:
    client, twin, distant = (_pod(pods, name) for name in ("client", "twin", "distant"))
    pods.annotate(client, _limited(LOW_KBPS // 2, "egress"))
    pods.apply(_policy(HIGH_KBPS))
    limited, free = measure_rates(
        pods.cluster.sandbox,
        [
            udp_stream(client, to_pod(distant), port=5301, offered_kbps=OFFERED * LOW_KBPS),
            udp_stream(twin, to_pod(distant), port=5302, offered_kbps=OFFERED * HIGH_KBPS),
        ],
    )
    scene = "egress limit of one of two pods of a NetworkQoS"
    total = limited.bits_per_second + free.bits_per_second
    results.check_rates([RateResult(cell=cell(scene, OTHER_NODE, "sum"), expected=limit(HIGH_KBPS), seen=total)])
    assert limited.bits_per_second < 1.05 * limit(LOW_KBPS // 2)


@RATES
def test_of_a_policy_and_the_ingress_limit_of_a_pod_elsewhere_the_lower_holds_and_the_mark_is_there(
    pods: LimitedPods, results: Results, own_kbps: int, policy_kbps: int
) -> None:
    policy = _policy(policy_kbps)
    pods.annotate(_pod(pods, "distant"), _limited(own_kbps, "ingress"))
    pods.apply(policy)
    _check(
        pods,
        results,
        f"ingress limit {own_kbps}, NetworkQoS {policy_kbps}",
        OTHER_NODE,
        to=to_pod(_pod(pods, "distant")),
        offered_kbps=round(OFFERED * HIGH_KBPS),
        expected=limit(LOW_KBPS),
        outcome="the lower",
    )


def test_on_the_receivers_node_a_policys_rate_wins_over_an_ingress_limit_and_that_is_told(
    pods: LimitedPods, results: Results
) -> None:
    policy = _policy(HIGH_KBPS)
    pods.annotate(_pod(pods, "server"), _limited(LOW_KBPS, "ingress"))
    pods.apply(policy)
    scene = f"ingress limit {LOW_KBPS}, NetworkQoS {HIGH_KBPS}"
    _check(
        pods,
        results,
        scene,
        SAME_NODE,
        to=to_pod(_pod(pods, "server")),
        offered_kbps=round(OFFERED * HIGH_KBPS),
        expected=limit(HIGH_KBPS),
        outcome="NetworkQoS",
    )
    assert [limited for limited, _ in pods.hidden(policy)] == [f"Pod/{NAMESPACE}/server/ingress"]


def test_on_the_receivers_node_a_policy_that_only_marks_hides_an_ingress_limit_from_ovn_24_09_on(
    pods: LimitedPods, results: Results, ovn_version: str
) -> None:
    policy = _policy(None)
    pods.annotate(_pod(pods, "server"), _limited(LOW_KBPS, "ingress"))
    pods.apply(policy)
    offered_kbps = round(OFFERED * LOW_KBPS)
    hides = ovn_version >= ONE_STAGE_FROM
    _check(
        pods,
        results,
        f"ingress limit {LOW_KBPS}, NetworkQoS that only marks",
        SAME_NODE,
        to=to_pod(_pod(pods, "server")),
        offered_kbps=offered_kbps,
        expected=offered_kbps * 1000 if hides else limit(LOW_KBPS),
        outcome="mark alone" if hides else "both",
    )
    assert [limited for limited, _ in pods.hidden(policy)] == [f"Pod/{NAMESPACE}/server/ingress"]


def test_what_no_policy_takes_keeps_to_the_ingress_limit_beside_what_one_takes(
    pods: LimitedPods, results: Results
) -> None:
    server = _pod(pods, "server")
    pods.annotate(server, _limited(LOW_KBPS, "ingress"))
    pods.apply(_policy(HIGH_KBPS))
    measured = measure_rates(
        pods.cluster.sandbox,
        [
            udp_stream(_pod(pods, "client"), to_pod(server), port=5301, offered_kbps=OFFERED * HIGH_KBPS),
            udp_stream(_pod(pods, "bystander"), to_pod(server), port=5302, offered_kbps=OFFERED * LOW_KBPS),
        ],
    )
    scene = "beside a NetworkQoS to the same pod"
    outcomes = (("NetworkQoS", HIGH_KBPS), ("not its pod: ingress limit", LOW_KBPS))
    results.check_rates(
        RateResult(cell=cell(scene, SAME_NODE, outcome), expected=limit(rate), seen=one.bits_per_second)
        for (outcome, rate), one in zip(outcomes, measured, strict=True)
    )


def test_a_policys_mark_wins_over_a_pods_own_for_the_packets_that_it_takes(pods: LimitedPods, results: Results) -> None:
    own, outside = 46, to_outside(pods)
    client = _pod(pods, "client")
    pods.annotate(client, {f"{PREFIX}dscp": str(own)})
    inside = {"to": [{"ipBlock": {"cidr": cidr}} for cidr in CLUSTER_CIDRS]}
    found = []
    for classifier, expected in ((None, DSCP), (inside, own)):
        pods.apply(_policy(None, classifier))
        scene = f"dscp, NetworkQoS that {'takes' if expected == DSCP else 'leaves out'} the outside"
        where = cell(scene, OUTSIDE_PLACE, f"mark {expected}")
        seen = read_marks(pods.cluster.sandbox, probe(client, outside, "udp"))
        found.append(MarkResult(cell=where, expected=expected_marks(expected, OUTSIDE_PLACE), seen=seen))
    results.check_marks(found)
