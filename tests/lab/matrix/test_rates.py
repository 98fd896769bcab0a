"""The traffic matrix, rates: a limited stream gets its rate, once, and a stream that no rule matches keeps its own."""

from __future__ import annotations

import pytest

from tests.lab.support_cluster import network_qos
from tests.lab.support_matrix import LIMITED, Matrix
from tests.lab.support_networks import NETWORKS, OTHER_NODE, OWN, SAME_NODE, VERSIONS, MatrixNetwork
from tests.lab.support_rates import BURST_KBIT, OFFERED, SECONDS, limit, limited_rule, measure_rates, udp_stream
from tests.lab.support_results import UNTOUCHED, Cell, RateResult, Results

DSCP = 20
LIMITED_PORT = 6000
FREE_PORT = 6500


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.title)
def test_each_limited_stream_gets_its_rate_and_the_others_their_own(
    matrix: Matrix, results: Results, network: MatrixNetwork
) -> None:
    # a rule, and so a meter, for every cell: they all run at once, each with a rate of its own
    cells = [(place, version) for place in network.places for version in VERSIONS]
    rates = [2000 + 300 * index for index in range(len(cells))]
    bursts = [None if index % 2 else BURST_KBIT for index in range(len(cells))]
    rules = [
        limited_rule(DSCP, LIMITED_PORT + index, rates[index], bursts[index], version=version)
        for index, (_, version) in enumerate(cells)
    ]
    matrix.cluster.apply(network_qos("rates", rules, namespace=OWN, pods=LIMITED, networks=[network.selector]))
    measured = measure_rates(
        matrix.cluster.sandbox,
        [
            udp_stream(
                matrix.sender("sender"),
                matrix.target(network, place, version),
                port=first + index,
                offered_kbps=OFFERED * rates[index],
            )
            for first in (LIMITED_PORT, FREE_PORT)
            for index, (place, version) in enumerate(cells)
        ],
    )
    found = []
    for index, (place, version) in enumerate(cells):
        scene = f"rate {rates[index]}, burst {bursts[index] or 'default'}"
        for outcome, expected, one in (
            ("limited", limit(rates[index], bursts[index]), measured[index]),
            (UNTOUCHED, OFFERED * rates[index] * 1000, measured[len(cells) + index]),
        ):
            cell = Cell(network=network.title, place=place, version=version, scene=scene, sent="UDP", outcome=outcome)
            found.append(RateResult(cell=cell, expected=expected, seen=one.bits_per_second))
    results.check_rates(found)


def test_two_pods_on_two_nodes_that_talk_to_each_other_both_get_the_full_rate(matrix: Matrix, results: Results) -> None:
    rate_kbps, port_of = 2000, {4: LIMITED_PORT + 4, 6: LIMITED_PORT + 6}
    rules = [limited_rule(DSCP, port_of[version], rate_kbps, version=version) for version in VERSIONS]
    matrix.cluster.apply(network_qos("once", rules, namespace=OWN, pods=LIMITED))
    pair = ("sender", "distant")
    runs = [(network, version, *ends) for network in NETWORKS for version in VERSIONS for ends in (pair, pair[::-1])]
    measured = measure_rates(
        matrix.cluster.sandbox,
        [
            udp_stream(
                matrix.sender(sender),
                matrix.at_sender(network, receiver, version),
                port=port_of[version],
                offered_kbps=OFFERED * rate_kbps,
            )
            for network, version, sender, receiver in runs
        ],
    )
    results.check_rates(
        RateResult(
            cell=Cell(
                network=network.title,
                place=OTHER_NODE,
                version=version,
                scene=f"{sender} to {receiver}, both ways",
                sent="UDP",
                outcome="metered once",
            ),
            expected=limit(rate_kbps),
            seen=one.bits_per_second,
        )
        for (network, version, sender, receiver), one in zip(runs, measured, strict=True)
    )


@pytest.mark.alone
def test_two_pods_on_one_node_share_the_rate(matrix: Matrix, results: Results) -> None:
    # two streams that start at different moments span more time than either: on a busy machine too much of it
    rate_kbps, seconds = 2000, 2 * SECONDS
    rules = [limited_rule(DSCP, LIMITED_PORT + version, rate_kbps, version=version) for version in VERSIONS]
    matrix.cluster.apply(network_qos("share", rules, namespace=OWN, pods=LIMITED))
    runs = [(network, version) for network in NETWORKS for version in VERSIONS]
    measured = measure_rates(
        matrix.cluster.sandbox,
        [
            udp_stream(
                matrix.sender(name),
                matrix.target(network, place, version),
                port=LIMITED_PORT + version,
                offered_kbps=OFFERED * rate_kbps,
                seconds=seconds,
            )
            for network, version in runs
            for name, place in (("sender", OTHER_NODE), ("second", SAME_NODE))
        ],
    )
    results.check_rates(
        RateResult(
            cell=Cell(
                network=network.title,
                place="both nodes",
                version=version,
                scene="two pods on one node",
                sent="UDP",
                outcome="sum of both",
            ),
            expected=limit(rate_kbps, seconds=seconds),
            seen=first.bits_per_second + second.bits_per_second,
        )
        for (network, version), first, second in zip(runs, measured[::2], measured[1::2], strict=True)
    )
