"""Limits and marks of single pods, by annotation: the lab's table, and what each annotation does to packets."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest

from ovnqos import Code
from ovnqos.sandbox import Stream, measure, read_marks
from tests.lab.support_matrix import Destination, expected_marks, probe
from tests.lab.support_networks import OTHER_NODE, SAME_NODE, VERSIONS
from tests.lab.support_networks import OUTSIDE as OUTSIDE_PLACE
from tests.lab.support_pod_qos import (
    BURST,
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
from tests.lab.support_rates import OFFERED, SECONDS, limit, measure_rates, udp_stream
from tests.lab.support_results import MarkResult, RateResult, Results

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ovnqos.sandbox import Programs

RATE_KBPS = 10_000
"""The lab's `10M`."""
TCP_BAND: Final = (0.75, 1.05)
"""What TCP's payload reaches of a rate once the bucket is empty, as shares: a meter drops, it does not delay."""
UNLIMITED: Final = 10 * RATE_KBPS * 1000
"""bit/s that a TCP stream without a limit exceeds by far on any machine."""
DEFAULTS = "limits-of-namespace"
"""A namespace with defaults."""


@pytest.fixture(scope="module")
def module_pods(programs: Programs) -> Iterator[LimitedPods]:
    with limited_pods(programs) as pods:
        for name, node in (("client", WORKER), ("twin", WORKER), ("server", WORKER), ("distant", WORKER2)):
            pods.add_pod(name, node=node)
        for name in ("silent", "outspoken"):
            pods.add_pod(name, node=WORKER, namespace=DEFAULTS)
        yield pods


@pytest.fixture
def pods(module_pods: LimitedPods) -> Iterator[LimitedPods]:
    """Running pods without annotations; those that the test sets are removed when it ends."""
    yield module_pods
    module_pods.reset()


def test_the_labs_table_by_tcp(pods: LimitedPods, results: Results) -> None:
    client, server = (pods.cluster.pods[f"{NAMESPACE}/{name}"] for name in ("client", "server"))
    stream = Stream(sender=client, receiver=server, address=to_pod(server).address, protocol="tcp", seconds=5)
    unlimited = replace(stream, seconds=2)
    baseline = measure([unlimited])[0].bits_per_second
    for pod in (client, server):
        pods.annotate(pod, limits(egress="10M", ingress="10M"))
    pods.apply()
    limited = by_second(stream)
    for pod in (client, server):
        pods.annotate(pod)
    pods.apply()
    restored = measure([unlimited])[0].bits_per_second
    seconds = ", ".join(f"{rate / 1e6:.1f}" for rate in limited.rates)
    results.remarks.append(
        f"a pod's limit of 10M and TCP, Mbit/s: {baseline / 1e6:.0f} before; {seconds} by the second; "
        f"{restored / 1e6:.0f} after"
    )
    low, high = (share * RATE_KBPS * 1000 for share in TCP_BAND)
    assert baseline > UNLIMITED
    assert low < limited.sustained(skip=2) < high, seconds
    assert limited.rates[0] < 2 * RATE_KBPS * 1000  # a bucket of one second, and a second
    assert restored > UNLIMITED


@pytest.mark.pairwise
@pytest.mark.parametrize(
    ("of_client", "of_server"),
    [
        ({"egress": "10M"}, {}),
        ({}, {"ingress": "10M"}),
        ({"egress": "10M", "ingress": "10M"}, {"egress": "10M", "ingress": "10M"}),
    ],
    ids=["egress", "ingress", "both of both"],
)
@pytest.mark.parametrize("place", [SAME_NODE, OTHER_NODE])
def test_udp_gets_the_rate_and_one_bucket(
    pods: LimitedPods, results: Results, of_client: Mapping[str, str], of_server: Mapping[str, str], place: str
) -> None:
    client = pods.cluster.pods[f"{NAMESPACE}/client"]
    server = pods.cluster.pods[f"{NAMESPACE}/{'server' if place == SAME_NODE else 'distant'}"]
    pods.annotate(client, limits(**of_client))
    pods.annotate(server, limits(**of_server))
    pods.apply()
    stream = udp_stream(client, to_pod(server), port=5201, offered_kbps=OFFERED * RATE_KBPS)
    measured = measure_rates(pods.cluster.sandbox, [stream])[0]
    what = "a limit of 10M: " + (" and ".join([*of_client, *of_server]) if len(of_client) < 2 else "both of both pods")
    results.check_rates(
        [RateResult(cell=cell(what, place, "10M"), expected=limit(RATE_KBPS, None), seen=measured.bits_per_second)]
    )


def test_ingress_and_egress_of_one_pod_hold_at_once(pods: LimitedPods, results: Results) -> None:
    """Of one pod, toward and from pods of both nodes and the outside, over both IP versions."""
    # streams that start at different moments span more time than each: the longer, the less it counts
    out_kbps, in_kbps, seconds = 4000, 7000, 2 * SECONDS
    client, server, distant = (pods.cluster.pods[f"{NAMESPACE}/{name}"] for name in ("client", "server", "distant"))
    pods.annotate(client, limits(egress="4M", ingress="7M", burst=BURST))
    pods.apply()
    outward = (to_pod(server), to_pod(distant, version=6), to_outside(pods))
    inward = ((server, 4), (distant, 6), (pods.cluster.sandbox.outside, 4))
    streams = [
        udp_stream(client, to, port=5300 + index, offered_kbps=OFFERED * out_kbps / len(outward), seconds=seconds)
        for index, to in enumerate(outward)
    ] + [
        udp_stream(
            sender,
            to_pod(client, version=version),
            port=5400 + index,
            offered_kbps=OFFERED * in_kbps / len(inward),
            seconds=seconds,
        )
        for index, (sender, version) in enumerate(inward)
    ]
    measured = [one.bits_per_second for one in measure_rates(pods.cluster.sandbox, streams)]
    scene = "ingress and egress of one pod at once"
    results.check_rates(
        RateResult(
            cell=cell(scene, "everywhere", f"{direction}, sum"), expected=limit(rate, seconds=seconds), seen=sum(rates)
        )
        for direction, rate, rates in (
            ("egress", out_kbps, measured[: len(outward)]),
            ("ingress", in_kbps, measured[len(outward) :]),
        )
    )


def test_two_pods_with_the_same_annotation_have_a_meter_each(pods: LimitedPods, results: Results) -> None:
    rate_kbps = 4000
    client, twin, server = (pods.cluster.pods[f"{NAMESPACE}/{name}"] for name in ("client", "twin", "server"))
    for pod in (client, twin):
        pods.annotate(pod, limits(egress="4M", ingress="4M", burst=BURST))
    pods.apply()
    pairs = [(client, server, 5301), (twin, server, 5302), (server, client, 5303), (server, twin, 5304)]
    measured = measure_rates(
        pods.cluster.sandbox,
        [
            udp_stream(sender, to_pod(receiver), port=port, offered_kbps=OFFERED * rate_kbps)
            for sender, receiver, port in pairs
        ],
    )
    results.check_rates(
        RateResult(
            cell=cell("two pods with the same annotation", SAME_NODE, f"{sender.name} to {receiver.name}"),
            expected=limit(rate_kbps),
            seen=one.bits_per_second,
        )
        for (sender, receiver, _), one in zip(pairs, measured, strict=True)
    )


@pytest.mark.parametrize(("then", "then_kbps"), [("8M", 8000), (None, 12_000)], ids=["a higher limit", "none"])
def test_a_change_on_a_running_pod_holds_at_once_for_a_stream_under_way(
    pods: LimitedPods, results: Results, then: str | None, then_kbps: int
) -> None:
    first_kbps, offered_kbps = 4000, 12_000
    client, distant = (pods.cluster.pods[f"{NAMESPACE}/{name}"] for name in ("client", "distant"))
    pods.annotate(client, limits(egress="4M", burst=BURST))
    pods.apply()
    stream = Stream(
        sender=client,
        receiver=distant,
        address=to_pod(distant).address,
        offered=offered_kbps * 1000,
        seconds=8,
        payload=1200,
    )
    with ThreadPoolExecutor(1) as background:
        measuring = background.submit(by_second, stream)
        wait_until_a_meter_drops(pods.cluster.sandbox.nodes[WORKER])
        pods.annotate(client, limits(egress=then, burst=BURST))
        pods.apply()
        assert not measuring.done()
        seconds = measuring.result()
    scene = f"egress limit of 4M becomes {then or 'none'} under way"
    results.check_rates(
        [
            RateResult(
                cell=cell(scene, OTHER_NODE, "the last 3 s"),
                expected=min(then_kbps, offered_kbps) * 1000,
                seen=seconds.sustained(skip=5),
            )
        ]
    )
    assert min(seconds.rates) > 0.9 * first_kbps * 1000  # nothing is interrupted


def test_dscp_marks_what_leaves_the_cluster_and_nothing_else(pods: LimitedPods, results: Results) -> None:
    _check_marks(pods, results, {}, "dscp")


def test_dscp_and_an_egress_limit_hold_for_the_same_packets(pods: LimitedPods, results: Results) -> None:
    rate_kbps = 4000
    _check_marks(pods, results, limits(egress="4M", burst=BURST), "dscp and egress limit")
    client = pods.cluster.pods[f"{NAMESPACE}/client"]
    stream = udp_stream(client, to_outside(pods), port=5201, offered_kbps=OFFERED * rate_kbps)
    measured = measure_rates(pods.cluster.sandbox, [stream])[0]
    results.check_rates(
        [
            RateResult(
                cell=cell("dscp and egress limit", OUTSIDE_PLACE, "both hold"),
                expected=limit(rate_kbps),
                seen=measured.bits_per_second,
            )
        ]
    )


def test_a_receivers_limit_holds_for_packets_that_a_dscp_row_takes_too(pods: LimitedPods, results: Results) -> None:
    """The pods are in no CIDR of the cluster, so that packets between them count as leaving it."""
    client, server = (pods.cluster.pods[f"{NAMESPACE}/{name}"] for name in ("client", "server"))
    with pods.cluster_cidrs("10.99.0.0/16", "fd10:99::/48"):
        pods.annotate(client, {f"{PREFIX}dscp": "EF"})
        pods.annotate(server, limits(ingress="3M", burst=BURST))
        pods.apply(expected=Code.ADDRESS_OUTSIDE_CLUSTER)
        stream = udp_stream(client, to_pod(server), port=5201, offered_kbps=OFFERED * 3000)
        seen = measure_rates(pods.cluster.sandbox, [stream])[0].bits_per_second
        where = cell("dscp, receiver's ingress limit", SAME_NODE, "the limit")
        results.check_rates([RateResult(cell=where, expected=limit(3000), seen=seen)])


def _check_marks(pods: LimitedPods, results: Results, also: Mapping[str, str], scene: str) -> None:
    expedited = 46
    client = pods.cluster.pods[f"{NAMESPACE}/client"]
    pods.annotate(client, {f"{PREFIX}dscp": "EF", **also})
    pods.apply()
    found = []
    for version in VERSIONS:
        places: dict[str, tuple[Destination, int]] = {OUTSIDE_PLACE: (to_outside(pods, version=version), expedited)}
        for place, name in ((SAME_NODE, "server"), (OTHER_NODE, "distant")):
            places[place] = (to_pod(pods.cluster.pods[f"{NAMESPACE}/{name}"], version=version), 0)
        for place, (to, dscp) in places.items():
            where = cell(scene, place, "EF" if dscp else "not marked", version=version)
            seen = read_marks(pods.cluster.sandbox, probe(client, to, "udp"))
            found.append(MarkResult(cell=where, expected=expected_marks(dscp, place), seen=seen))
    results.check_marks(found)


def test_a_namespaces_limits_are_the_defaults_of_its_pods(pods: LimitedPods, results: Results) -> None:
    silent, outspoken = (pods.cluster.pods[f"{DEFAULTS}/{name}"] for name in ("silent", "outspoken"))
    server = pods.cluster.pods[f"{NAMESPACE}/server"]
    pods.annotate_namespace(DEFAULTS, limits(egress="3M", ingress="4M", burst=BURST))
    pods.annotate(outspoken, limits(egress="6M", burst=BURST))
    pods.apply()
    runs = [
        (silent, server, "egress by default", 3000),
        (server, silent, "ingress by default", 4000),
        (outspoken, server, "egress of its own", 6000),
        (server, outspoken, "ingress by default beside its own egress", 4000),
    ]
    measured = measure_rates(
        pods.cluster.sandbox,
        [
            udp_stream(sender, to_pod(receiver), port=5300 + index, offered_kbps=OFFERED * rate_kbps)
            for index, (sender, receiver, _, rate_kbps) in enumerate(runs)
        ],
    )
    results.check_rates(
        RateResult(cell=cell("a namespace's defaults", SAME_NODE, what), expected=limit(rate), seen=one.bits_per_second)
        for (_, _, what, rate), one in zip(runs, measured, strict=True)
    )
