"""Rows of several tenants on one layer3 switch: what one asks for changes nothing for packets between others' pods."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import pytest

from ovnqos.sandbox import Marks, Probe, read_marks
from tests.lab.support_cluster import network_qos, rule
from tests.lab.support_flood import flood
from tests.lab.support_matrix import expected_marks, probe
from tests.lab.support_networks import OTHER_NODE, SAME_NODE
from tests.lab.support_networks import OUTSIDE as OUTSIDE_PLACE
from tests.lab.support_pod_qos import (
    BURST,
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
from tests.lab.support_results import Cell, MarkResult, RateResult, Results

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovnqos.sandbox import Programs, SandboxPod
    from tests.lab.support_cluster import Document

SHOP, BANK = "shop", "bank"
GOLD: Final = {"tier": "gold"}
DSCP, EGRESS_QOS_DSCP = 10, 30
LOW_KBPS, MIDDLE_KBPS, HIGH_KBPS = 3000, 4500, 6000
PORT = 5353


@pytest.fixture(scope="module")
def module_pods(programs: Programs) -> Iterator[LimitedPods]:
    with limited_pods(programs) as pods:
        for name in ("client", "twin"):
            pods.add_pod(name, node=WORKER, namespace=SHOP, labels=GOLD)
        for name in ("peer", "till"):
            pods.add_pod(name, node=WORKER, namespace=SHOP)
        pods.add_pod("vault", node=WORKER, namespace=BANK)
        pods.add_pod("distant", node=WORKER2, namespace=SHOP)
        yield pods


@pytest.fixture
def pods(module_pods: LimitedPods) -> Iterator[LimitedPods]:
    """Running pods of two tenants; annotations and policies that the test sets are removed when it ends."""
    yield module_pods
    module_pods.reset()


def _pod(pods: LimitedPods, name: str) -> SandboxPod:
    return pods.cluster.pods[f"{BANK if name == 'vault' else SHOP}/{name}"]


def _policy(rate_kbps: int | None, classifier: Document | None = None, *, per_pod: bool = False) -> Document:
    rules = [rule(DSCP, classifier, rate_kbps=rate_kbps, burst_kbit=rate_kbps and BURST_KBIT)]
    annotations = {"ovnqos.io/bandwidth-scope": "pod"} if per_pod else None
    return network_qos("gold", rules, namespace=SHOP, pods=GOLD, annotations=annotations)


def _limit_vault(pods: LimitedPods, rate_kbps: int) -> None:
    pods.annotate(_pod(pods, "vault"), limits(ingress=f"{rate_kbps}k", burst=BURST))


@contextmanager
def _foreign_row(pods: LimitedPods, direction: str, priority: int, match: str, action: str) -> Iterator[None]:
    """A row of another controller on the switch of the tenants' node."""
    central, row = pods.cluster.sandbox.central, (WORKER, direction, str(priority), match)
    central.nbctl("qos-add", *row, action)
    try:
        yield
    finally:
        central.nbctl("qos-del", *row)


def _check_marks(results: Results, where: Cell, dscp: int, seen: Marks, place: str = SAME_NODE) -> None:
    results.check_marks([MarkResult(cell=where, expected=expected_marks(dscp, place), seen=seen)])


def test_a_limit_of_one_tenants_pod_leaves_anothers_mark_in_force_beside_egress_qos(
    pods: LimitedPods, results: Results
) -> None:
    client, peer = _pod(pods, "client"), _pod(pods, "peer")
    _limit_vault(pods, LOW_KBPS)
    pods.apply(_policy(None))
    match = f"ip4.src == {client.address_on('default')}"
    with _foreign_row(pods, "to-lport", 1000, match, f"dscp={EGRESS_QOS_DSCP}"):
        pods.cluster.sandbox.central.sync()
        seen = read_marks(pods.cluster.sandbox, probe(client, to_pod(peer), "udp"))
    scene = "beside EgressQoS, another tenant's pod has an ingress limit"
    _check_marks(results, cell(scene, SAME_NODE, f"mark {DSCP}"), DSCP, seen)


@pytest.mark.parametrize("destination", ["peer", "distant"])
def test_one_packet_flows_through_a_service_are_marked_beside_a_limit_of_another_tenants_pod(
    pods: LimitedPods, results: Results, destination: str
) -> None:
    client, backend = _pod(pods, "client"), _pod(pods, destination)
    pods.label(backend, {"app": "dns"})
    _limit_vault(pods, LOW_KBPS)
    pods.apply(_policy(None, {"to": [{"podSelector": {"matchLabels": {"app": "dns"}}}]}))
    sandbox, address = pods.cluster.sandbox, "10.96.0.53"
    sandbox.add_service("dns", address=address, port=PORT, backends=[backend.address_on("default")])
    try:
        asked = Probe(
            sender=client,
            receiver=backend,
            address=address,
            balanced_to=backend.address_on("default"),
            protocol="udp",
            port=PORT,
        )
        seen = read_marks(sandbox, asked)
    finally:
        sandbox.remove_service("dns")
        pods.label(backend, {})
    place = SAME_NODE if destination == "peer" else OTHER_NODE
    _check_marks(results, cell("one-packet Service flow", place, f"mark {DSCP}"), DSCP, seen, place)


def test_an_egress_limit_of_one_pod_leaves_the_ingress_limit_of_a_receiver_in_force_for_the_other(
    pods: LimitedPods, results: Results
) -> None:
    policy = _policy(HIGH_KBPS)
    pods.annotate(_pod(pods, "client"), limits(egress="9M", burst=BURST))
    _limit_vault(pods, LOW_KBPS)
    pods.apply(policy)
    vault = to_pod(_pod(pods, "vault"))
    stream = udp_stream(_pod(pods, "twin"), vault, port=5201, offered_kbps=OFFERED * HIGH_KBPS)
    seen = measure_rates(pods.cluster.sandbox, [stream])[0].bits_per_second
    scene = f"NetworkQoS {HIGH_KBPS}, ingress limit {LOW_KBPS}, another sender has an egress limit"
    results.check_rates([RateResult(cell=cell(scene, SAME_NODE, "the lower"), expected=limit(LOW_KBPS), seen=seen)])
    marks = read_marks(pods.cluster.sandbox, probe(_pod(pods, "twin"), vault, "udp"))
    _check_marks(results, cell(scene, SAME_NODE, f"mark {DSCP}"), DSCP, marks)


@pytest.mark.parametrize(
    ("egress_kbps", "policy_kbps", "ingress_kbps"),
    [
        (HIGH_KBPS, None, LOW_KBPS),
        (LOW_KBPS, None, HIGH_KBPS),
        (HIGH_KBPS, MIDDLE_KBPS, LOW_KBPS),
        (MIDDLE_KBPS, LOW_KBPS, HIGH_KBPS),
        (LOW_KBPS, MIDDLE_KBPS, HIGH_KBPS),
    ],
    ids=str,
)
def test_three_promises_of_one_packet_hold_at_once(
    pods: LimitedPods, results: Results, egress_kbps: int, policy_kbps: int | None, ingress_kbps: int
) -> None:
    policy = _policy(policy_kbps, per_pod=policy_kbps is not None)
    pods.annotate(_pod(pods, "client"), limits(egress=f"{egress_kbps}k", burst=BURST))
    _limit_vault(pods, ingress_kbps)
    pods.apply(policy)
    client, vault = _pod(pods, "client"), to_pod(_pod(pods, "vault"))
    stream = udp_stream(client, vault, port=5201, offered_kbps=OFFERED * HIGH_KBPS)
    seen = measure_rates(pods.cluster.sandbox, [stream])[0].bits_per_second
    scene = f"egress limit {egress_kbps}, NetworkQoS {policy_kbps or 'mark'}, ingress limit {ingress_kbps}"
    results.check_rates([RateResult(cell=cell(scene, SAME_NODE, "the lowest"), expected=limit(LOW_KBPS), seen=seen)])
    _check_marks(
        results,
        cell(scene, SAME_NODE, f"mark {DSCP}"),
        DSCP,
        read_marks(pods.cluster.sandbox, probe(client, vault, "udp")),
    )
    assert pods.hidden(policy) == set()


@pytest.mark.parametrize("address", ["broadcast", "multicast"])
@pytest.mark.parametrize("per_pod", [False, True], ids=["shared", "per pod"])
def test_a_packet_to_several_receivers_is_metered_once(
    pods: LimitedPods, results: Results, address: str, per_pod: bool
) -> None:
    rate_kbps, burst_kbit, offered_kbps = 1500, 300, 2000
    made = _policy(rate_kbps, per_pod=per_pod)
    made["spec"]["egress"][0]["bandwidth"]["burst"] = burst_kbit
    pods.apply(made)
    client = _pod(pods, "client")
    to = {"broadcast": "255.255.255.255", "multicast": "239.1.1.1"}[address]
    interface = client.interface_on("default")
    client.namespace.ip(f"route replace {to} dev {interface}")
    receivers = {
        name: (_pod(pods, name), _pod(pods, name).interface_on("default")) for name in ("twin", "peer", "till", "vault")
    }
    copies = flood(client, to, port=PORT, offered=offered_kbps * 1000, receivers=receivers)
    where = cell(address, SAME_NODE, "metered once" + (", per pod" if per_pod else ""))
    results.check_rates(
        RateResult(cell=where, expected=limit(rate_kbps, burst_kbit), seen=one.bits_per_second)
        for one in copies.values()
    )
    assert {mark for one in copies.values() for mark in one.marks} == {DSCP << 2}


def test_what_goes_to_several_receivers_leaves_the_rate_of_what_goes_to_one(
    pods: LimitedPods, results: Results
) -> None:
    pods.apply(_policy(HIGH_KBPS))
    for to, place in ((to_pod(_pod(pods, "peer")), SAME_NODE), (to_outside(pods), OUTSIDE_PLACE)):
        stream = udp_stream(_pod(pods, "client"), to, port=5201, offered_kbps=OFFERED * HIGH_KBPS)
        seen = measure_rates(pods.cluster.sandbox, [stream])[0].bits_per_second
        where = cell(f"NetworkQoS {HIGH_KBPS}", place, "its rate")
        results.check_rates([RateResult(cell=where, expected=limit(HIGH_KBPS), seen=seen)])
