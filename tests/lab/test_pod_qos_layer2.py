"""Limits of single pods on a primary network of layout layer2, alone and beside NetworkQoS."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import pytest

from ovnqos.sandbox import read_marks
from tests.lab.support_cluster import network_qos, rule, udp_ports
from tests.lab.support_matrix import expected_marks, probe
from tests.lab.support_networks import OTHER_NODE, PRIMARY_LAYER2, SAME_NODE, VERSIONS
from tests.lab.support_networks import OUTSIDE as OUTSIDE_PLACE
from tests.lab.support_pod_qos import (
    BURST,
    CLUSTER_CIDRS,
    NAMESPACE,
    OUTSIDE,
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
from tests.lab.support_rates import BURST_KBIT, OFFERED, SECONDS, limit, measure_rates, udp_stream
from tests.lab.support_results import Cell, MarkResult, RateResult, Results

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ovnqos.sandbox import Programs, SandboxPod
    from tests.lab.support_cluster import Document

TENANT: Final = f"{NAMESPACE}/tenant"
"""The primary network; its subnets are among `CLUSTER_CIDRS`."""
DSCP = 20
GOLD: Final = {"tier": "gold"}
LOW_KBPS, HIGH_KBPS = 3000, 6000
ONE_STAGE_FROM = "24.09"
RATES: Final = pytest.mark.parametrize(
    ("own_kbps", "policy_kbps"), [(LOW_KBPS, HIGH_KBPS), (HIGH_KBPS, LOW_KBPS)], ids=["pod lower", "policy lower"]
)
TAKEN_PORT, LEFT_PORT = 6301, 6302
"""UDP ports that the policy takes and leaves out."""


def _network() -> Document:
    config = {
        "cniVersion": "1.1.0",
        "name": f"{NAMESPACE}_tenant",
        "type": "ovn-k8s-cni-overlay",
        "topology": "layer2",
        "role": "primary",
        "subnets": "10.151.0.0/16,fd10:151::/64",
        "netAttachDefName": TENANT,
    }
    return {
        "apiVersion": "k8s.cni.cncf.io/v1",
        "kind": "NetworkAttachmentDefinition",
        "metadata": {"namespace": NAMESPACE, "name": "tenant"},
        "spec": {"config": json.dumps(config)},
    }


@pytest.fixture(scope="module")
def module_pods(programs: Programs) -> Iterator[LimitedPods]:
    with limited_pods(programs) as pods:
        pods.cluster.add_network(_network())
        for name, node, labels in (
            ("client", WORKER, GOLD),
            ("server", WORKER, {}),
            ("distant", WORKER2, {}),
        ):
            pod = pods.add_pod(name, node=node, networks=("default", TENANT), labels=labels)
            hops = {6 if ":" in gateway else 4: gateway for gateway in pod.attachment(TENANT).gateways}
            pod.add_routes((OUTSIDE[version], hop) for version, hop in hops.items())
        yield pods


@pytest.fixture
def pods(module_pods: LimitedPods) -> Iterator[LimitedPods]:
    """Running pods without annotations; annotations and policies that the test sets are removed when it ends."""
    yield module_pods
    module_pods.reset()


def _pod(pods: LimitedPods, name: str) -> SandboxPod:
    return pods.cluster.pods[f"{NAMESPACE}/{name}"]


def _cell(scene: str, place: str, outcome: str, version: int = 4) -> Cell:
    return cell(f"layer2: {scene}", place, outcome, network=PRIMARY_LAYER2.title, version=version)


def _policy(rate_kbps: int | None, *, whole: bool = False, per_pod: bool = False) -> Document:
    """Takes one UDP port of `client`, or all that it sends."""
    classifier = None if whole else {"ports": udp_ports(TAKEN_PORT)}
    burst_kbit = None if rate_kbps is None else BURST_KBIT
    rules = [rule(DSCP, classifier, rate_kbps=rate_kbps, burst_kbit=burst_kbit)]
    made = network_qos("gold", rules, namespace=NAMESPACE, pods=GOLD)
    if per_pod:
        made["metadata"]["annotations"] = {"ovnqos.io/bandwidth-scope": "pod"}
    return made


def test_ingress_and_egress_of_one_pod_hold_at_once(pods: LimitedPods, results: Results) -> None:
    seconds = 2 * SECONDS  # of streams that start at different moments, as on a layer3 network
    client, server, distant = (_pod(pods, name) for name in ("client", "server", "distant"))
    pods.annotate(client, limits(egress="3M", ingress="6M", burst=BURST))
    pods.apply()
    outward = ((to_pod(server, network=TENANT)), to_pod(distant, network=TENANT, version=6), to_outside(pods))
    inward = ((server, 4), (distant, 6))
    streams = [
        udp_stream(client, to, port=5300 + index, offered_kbps=OFFERED * LOW_KBPS / len(outward), seconds=seconds)
        for index, to in enumerate(outward)
    ] + [
        udp_stream(
            sender,
            to_pod(client, network=TENANT, version=version),
            port=5400 + index,
            offered_kbps=OFFERED * HIGH_KBPS / len(inward),
            seconds=seconds,
        )
        for index, (sender, version) in enumerate(inward)
    ]
    measured = [one.bits_per_second for one in measure_rates(pods.cluster.sandbox, streams)]
    scene = "ingress and egress of one pod at once"
    results.check_rates(
        RateResult(
            cell=_cell(scene, "everywhere", f"{direction}, sum"), expected=limit(rate, seconds=seconds), seen=sum(rates)
        )
        for direction, rate, rates in (
            ("egress", LOW_KBPS, measured[: len(outward)]),
            ("ingress", HIGH_KBPS, measured[len(outward) :]),
        )
    )


@pytest.mark.parametrize("cidrs", [CLUSTER_CIDRS, CLUSTER_CIDRS[:2]], ids=["all CIDRs", "the default network's"])
def test_dscp_marks_what_leaves_the_cluster_and_nothing_else(
    pods: LimitedPods, results: Results, cidrs: tuple[str, ...]
) -> None:
    """A network's own subnets are inside whether or not they are among the cluster's CIDRs."""
    expedited = 46
    client = _pod(pods, "client")
    with pods.cluster_cidrs(*cidrs):
        pods.annotate(client, {f"{PREFIX}dscp": "EF", **limits(egress="10M")})
        pods.apply()
    found = []
    for version in VERSIONS:
        for place, to, dscp in (
            (OUTSIDE_PLACE, to_outside(pods, version=version), expedited),
            (SAME_NODE, to_pod(_pod(pods, "server"), network=TENANT, version=version), 0),
            (OTHER_NODE, to_pod(_pod(pods, "distant"), network=TENANT, version=version), 0),
        ):
            seen = read_marks(pods.cluster.sandbox, probe(client, to, "udp"))
            where = _cell("dscp", place, "EF" if dscp else "not marked", version)
            found.append(MarkResult(cell=where, expected=expected_marks(dscp, place), seen=seen))
    results.check_marks(found)


@pytest.mark.parametrize("place", [SAME_NODE, OTHER_NODE])
def test_a_policys_rate_wins_over_the_egress_limit_for_what_it_takes_and_that_is_told(
    pods: LimitedPods, results: Results, place: str
) -> None:
    policy = _policy(HIGH_KBPS)
    pods.annotate(_pod(pods, "client"), limits(egress="3M", burst=BURST))
    pods.apply(policy)
    scene = f"egress limit {LOW_KBPS}, NetworkQoS {HIGH_KBPS}"
    _check_streams(
        pods,
        results,
        scene,
        place,
        (
            (TAKEN_PORT, OFFERED * HIGH_KBPS, limit(HIGH_KBPS), "taken: NetworkQoS"),
            (LEFT_PORT, OFFERED * LOW_KBPS, limit(LOW_KBPS), "left out: egress limit"),
        ),
    )
    assert [limited for limited, _ in pods.hidden(policy)] == [f"Pod/{NAMESPACE}/client/egress"]


@pytest.mark.parametrize("place", [SAME_NODE, OTHER_NODE])
def test_a_policy_that_only_marks_hides_the_egress_limit_from_ovn_24_09_on(
    pods: LimitedPods, results: Results, ovn_version: str, place: str
) -> None:
    policy = _policy(None)
    pods.annotate(_pod(pods, "client"), limits(egress="3M", burst=BURST))
    pods.apply(policy)
    hides = ovn_version >= ONE_STAGE_FROM
    expected = OFFERED * LOW_KBPS * 1000 if hides else limit(LOW_KBPS)
    _check_streams(
        pods,
        results,
        f"egress limit {LOW_KBPS}, NetworkQoS that only marks",
        place,
        ((TAKEN_PORT, OFFERED * LOW_KBPS, expected, "mark alone" if hides else "both"),),
    )
    assert [limited for limited, _ in pods.hidden(policy)] == [f"Pod/{NAMESPACE}/client/egress"]


@pytest.mark.pairwise
@pytest.mark.parametrize("place", [SAME_NODE, OTHER_NODE])
@RATES
def test_of_a_policys_rate_for_all_that_a_pod_sends_and_its_egress_limit_the_lower_holds_and_the_mark_is_there(
    pods: LimitedPods, results: Results, place: str, own_kbps: int, policy_kbps: int
) -> None:
    policy = _policy(policy_kbps, whole=True, per_pod=True)
    pods.annotate(_pod(pods, "client"), limits(egress=f"{own_kbps}k", burst=BURST))
    pods.apply(policy)
    _check_streams(
        pods,
        results,
        f"egress limit {own_kbps}, NetworkQoS {policy_kbps} for each pod",
        place,
        ((TAKEN_PORT, OFFERED * HIGH_KBPS, limit(LOW_KBPS), "the lower"),),
    )
    assert pods.hidden(policy) == set()


@pytest.mark.parametrize("place", [SAME_NODE, OTHER_NODE])
def test_an_egress_limit_holds_for_a_pod_all_of_whose_traffic_a_policy_marks(
    pods: LimitedPods, results: Results, place: str
) -> None:
    policy = _policy(None, whole=True)
    pods.annotate(_pod(pods, "client"), limits(egress="3M", burst=BURST))
    pods.apply(policy)
    _check_streams(
        pods,
        results,
        f"egress limit {LOW_KBPS}, NetworkQoS that marks all",
        place,
        ((TAKEN_PORT, OFFERED * LOW_KBPS, limit(LOW_KBPS), "both"),),
    )
    assert pods.hidden(policy) == set()


@pytest.mark.pairwise
@pytest.mark.parametrize("place", [SAME_NODE, OTHER_NODE])
@RATES
def test_of_a_policy_and_an_ingress_limit_the_lower_holds_on_both_nodes_and_the_mark_is_there(
    pods: LimitedPods, results: Results, place: str, own_kbps: int, policy_kbps: int
) -> None:
    policy = _policy(policy_kbps)
    receiver = _pod(pods, "server" if place == SAME_NODE else "distant")
    pods.annotate(receiver, limits(ingress=f"{own_kbps}k", burst=BURST))
    pods.apply(policy)
    scene = f"ingress limit {own_kbps}, NetworkQoS {policy_kbps}"
    _check_streams(pods, results, scene, place, ((TAKEN_PORT, OFFERED * HIGH_KBPS, limit(LOW_KBPS), "the lower"),))
    assert pods.hidden(policy) == set()


def test_a_pods_own_mark_is_set_after_a_policys_and_so_is_what_leaves_the_cluster(
    pods: LimitedPods, results: Results
) -> None:
    own = 46
    client, outside = _pod(pods, "client"), to_outside(pods)
    pods.annotate(client, {f"{PREFIX}dscp": str(own)})
    pods.apply(_policy(None))
    seen = read_marks(pods.cluster.sandbox, probe(client, outside, "udp", TAKEN_PORT))
    where = _cell("dscp, NetworkQoS", OUTSIDE_PLACE, f"mark {own}")
    results.check_marks([MarkResult(cell=where, expected=expected_marks(own, OUTSIDE_PLACE), seen=seen)])


def _check_streams(
    pods: LimitedPods,
    results: Results,
    scene: str,
    place: str,
    streams: Sequence[tuple[int, float, float, str]],
) -> None:
    """Checks what arrives of streams of `client`, all at once (port, offered kbps, expected bit/s, outcome).

    And that the policy's port is marked.
    """
    client = _pod(pods, "client")
    to = to_pod(_pod(pods, "server" if place == SAME_NODE else "distant"), network=TENANT)
    measured = measure_rates(
        pods.cluster.sandbox,
        [udp_stream(client, to, port=port, offered_kbps=offered) for port, offered, _, _ in streams],
    )
    results.check_rates(
        RateResult(cell=_cell(scene, place, outcome), expected=expected, seen=one.bits_per_second)
        for (_, _, expected, outcome), one in zip(streams, measured, strict=True)
    )
    seen = read_marks(pods.cluster.sandbox, probe(client, to, "udp", TAKEN_PORT))
    where = _cell(scene, place, f"mark {DSCP}")
    results.check_marks([MarkResult(cell=where, expected=expected_marks(DSCP, place), seen=seen)])
