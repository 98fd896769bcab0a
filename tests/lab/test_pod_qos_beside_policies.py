"""A pod's own limits beside NetworkQoS on a layer3 network: two limits of a packet hold, a third one is told."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

import pytest

from ovnqos.sandbox import Probe, Stream, read_marks
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
    by_second,
    cell,
    limited_pods,
    limits,
    to_outside,
    to_pod,
    wait_until_a_meter_drops,
)
from tests.lab.support_rates import BURST_KBIT, OFFERED, SECONDS, limit, measure_rates, udp_stream
from tests.lab.support_results import MarkResult, RateResult, Results

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovnqos.sandbox import Programs, SandboxPod
    from tests.lab.support_cluster import Document

DSCP = 20
GOLD: Final = {"tier": "gold"}
"""The labels of the pods that the policy selects."""
LOW_KBPS, HIGH_KBPS = 3000, 6000
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


def _pod(pods: LimitedPods, name: str) -> SandboxPod:
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


@pytest.mark.pairwise
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


@pytest.mark.pairwise
@RATES
@pytest.mark.parametrize("place", [SAME_NODE, OTHER_NODE])
def test_of_a_policy_and_the_ingress_limit_of_its_receiver_the_lower_holds_and_the_mark_is_there(
    pods: LimitedPods, results: Results, place: str, own_kbps: int, policy_kbps: int
) -> None:
    policy = _policy(policy_kbps)
    receiver = _pod(pods, "server" if place == SAME_NODE else "distant")
    pods.annotate(receiver, _limited(own_kbps, "ingress"))
    pods.apply(policy)
    _check(
        pods,
        results,
        f"ingress limit {own_kbps}, NetworkQoS {policy_kbps}",
        place,
        to=to_pod(receiver),
        offered_kbps=round(OFFERED * HIGH_KBPS),
        expected=limit(LOW_KBPS),
        outcome="the lower",
    )
    assert pods.hidden(policy) == set()


def test_an_ingress_limit_holds_for_what_a_policy_marks_on_the_receivers_node(
    pods: LimitedPods, results: Results
) -> None:
    policy = _policy(None)
    pods.annotate(_pod(pods, "server"), _limited(LOW_KBPS, "ingress"))
    pods.apply(policy)
    _check(
        pods,
        results,
        f"ingress limit {LOW_KBPS}, NetworkQoS that only marks",
        SAME_NODE,
        to=to_pod(_pod(pods, "server")),
        offered_kbps=round(OFFERED * LOW_KBPS),
        expected=limit(LOW_KBPS),
        outcome="both",
    )
    assert pods.hidden(policy) == set()


def test_an_ingress_limit_counts_what_a_policy_takes_and_what_none_takes_together(
    pods: LimitedPods, results: Results
) -> None:
    server = _pod(pods, "server")
    pods.annotate(server, _limited(HIGH_KBPS, "ingress"))
    pods.apply(_policy(LOW_KBPS))
    measured = measure_rates(
        pods.cluster.sandbox,
        [
            udp_stream(_pod(pods, "client"), to_pod(server), port=5301, offered_kbps=OFFERED * HIGH_KBPS),
            udp_stream(_pod(pods, "bystander"), to_pod(server), port=5302, offered_kbps=OFFERED * HIGH_KBPS),
        ],
    )
    scene = "beside a NetworkQoS to the same pod"
    total = sum(one.bits_per_second for one in measured)
    where = cell(scene, SAME_NODE, "ingress limit, sum")
    results.check_rates([RateResult(cell=where, expected=limit(HIGH_KBPS), seen=total)])
    assert measured[0].bits_per_second < 1.05 * limit(LOW_KBPS)


def test_through_a_service_a_policy_by_pods_and_the_ingress_limit_of_the_backend_hold(
    pods: LimitedPods, results: Results
) -> None:
    client, server = _pod(pods, "client"), _pod(pods, "server")
    to_pods = {"to": [{"podSelector": {"matchLabels": {"app": "server"}}}]}
    pods.label(server, {"app": "server"})
    pods.annotate(server, _limited(HIGH_KBPS, "ingress"))
    pods.apply(_policy(LOW_KBPS, to_pods))
    address, port = "10.96.0.77", 6500
    sandbox, backend = pods.cluster.sandbox, server.address_on("default")
    sandbox.add_service("limited", address=address, port=port, backends=[backend])
    try:
        stream = Stream(
            sender=client,
            receiver=server,
            address=address,
            balanced_to=backend,
            port=port,
            offered=OFFERED * HIGH_KBPS * 1000,
            seconds=SECONDS,
            payload=1200,
        )
        measured = measure_rates(sandbox, [stream])[0]
        seen = read_marks(
            sandbox,
            Probe(
                sender=client,
                receiver=server,
                address=address,
                balanced_to=backend,
                protocol="udp",
                port=port,
            ),
        )
    finally:
        sandbox.remove_service("limited")
        pods.label(server, {})
    where = cell("through a Service, ingress limit of the backend", SAME_NODE, "the lower")
    results.check_rates([RateResult(cell=where, expected=limit(LOW_KBPS), seen=measured.bits_per_second)])
    results.check_marks([MarkResult(cell=where, expected=expected_marks(DSCP, SAME_NODE), seen=seen)])


def test_on_one_node_a_third_limit_does_not_hold_if_pods_share_the_second_and_that_is_told(
    pods: LimitedPods, results: Results
) -> None:
    middle_kbps = (LOW_KBPS + HIGH_KBPS) // 2
    policy = _policy(middle_kbps)
    pods.annotate(_pod(pods, "client"), _limited(LOW_KBPS, "egress"))
    pods.annotate(_pod(pods, "server"), _limited(HIGH_KBPS, "ingress"))
    pods.apply(policy)
    _check(
        pods,
        results,
        f"egress limit {LOW_KBPS}, NetworkQoS {middle_kbps}, ingress limit {HIGH_KBPS}",
        SAME_NODE,
        to=to_pod(_pod(pods, "server")),
        offered_kbps=round(OFFERED * HIGH_KBPS),
        expected=limit(middle_kbps),
        outcome="NetworkQoS",
    )
    assert [limited for limited, _ in pods.hidden(policy)] == [f"Pod/{NAMESPACE}/client/egress"]


def test_an_ingress_limit_that_comes_under_way_leaves_the_policys_rate_in_force(
    pods: LimitedPods, results: Results
) -> None:
    client, server = _pod(pods, "client"), _pod(pods, "server")
    policy = _policy(LOW_KBPS)
    pods.apply(policy)
    stream = udp_stream(client, to_pod(server), port=5201, offered_kbps=OFFERED * HIGH_KBPS, seconds=8)
    with ThreadPoolExecutor(1) as background:
        measuring = background.submit(by_second, stream)
        wait_until_a_meter_drops(pods.cluster.sandbox.nodes[WORKER])
        pods.annotate(server, _limited(HIGH_KBPS, "ingress"))
        pods.apply(policy)
        assert not measuring.done()
        seconds = measuring.result()
    where = cell("an ingress limit comes under way, beside a NetworkQoS", SAME_NODE, "NetworkQoS, the last 3 s")
    results.check_rates([RateResult(cell=where, expected=LOW_KBPS * 1000, seen=seconds.sustained(skip=5))])
    total, bursts = sum(seconds.rates), 2 * BURST_KBIT * 1000  # its row is another now, with a full bucket
    assert total < 1.05 * (8 * LOW_KBPS * 1000 + bursts)


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
