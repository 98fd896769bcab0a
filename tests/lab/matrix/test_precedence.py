"""The traffic matrix, precedence: of several rules that match a packet one wins, with its mark and its rate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.lab.support_cluster import network_qos, rule, udp_ports
from tests.lab.support_matrix import LIMITED, Matrix, all_marks, expected_marks, probe
from tests.lab.support_networks import NETWORKS, OTHER_NODE, OWN, VERSIONS
from tests.lab.support_rates import OFFERED, limit, limited_rule, measure_rates, udp_stream
from tests.lab.support_results import Cell, MarkResult, RateResult, Results

if TYPE_CHECKING:
    from tests.lab.support_cluster import Document

LOSER, WINNER = 11, 12
"""DSCPs."""
SLOW_KBPS, FAST_KBPS = 3000, 8000
"""The winner is the faster one: if the loser's meter counted too, it would show."""
PORT = 6100
RULES_MAXIMUM = 20


def test_of_two_policies_the_higher_priority_wins_even_against_a_last_rule(matrix: Matrix, results: Results) -> None:
    fillers = [rule(LOSER, {"ports": udp_ports(9000 + number)}) for number in range(RULES_MAXIMUM - 1)]
    low = [*fillers, limited_rule(LOSER, PORT, SLOW_KBPS)]
    high = [limited_rule(WINNER, PORT, FAST_KBPS)]
    documents = [
        network_qos("z-low", low, namespace=OWN, pods=LIMITED, priority=10),
        network_qos("a-high", high, namespace=OWN, pods=LIMITED, priority=11),
    ]
    _check_winner(matrix, results, "the higher priority wins", documents)


def test_of_two_rules_of_a_policy_the_later_one_wins(matrix: Matrix, results: Results) -> None:
    rules = [limited_rule(LOSER, PORT, SLOW_KBPS), limited_rule(WINNER, PORT, FAST_KBPS)]
    _check_winner(matrix, results, "the later rule wins", [network_qos("both", rules, namespace=OWN, pods=LIMITED)])


def _check_winner(matrix: Matrix, results: Results, scene: str, documents: list[Document]) -> None:
    matrix.cluster.apply(*documents)
    sender = matrix.sender("sender")
    cells = [(network, version) for network in NETWORKS for version in VERSIONS]
    where = [
        Cell(network=network.title, place=OTHER_NODE, version=version, scene=scene, sent="UDP", outcome="winner's")
        for network, version in cells
    ]
    targets = [matrix.target(network, OTHER_NODE, version) for network, version in cells]
    marks = all_marks(matrix.cluster.sandbox, [probe(sender, target, "udp", PORT) for target in targets])
    results.check_marks(
        MarkResult(cell=cell, expected=expected_marks(WINNER, OTHER_NODE), seen=seen)
        for cell, seen in zip(where, marks, strict=True)
    )
    # both families of a network go through one meter: one of them is enough
    four = [index for index, (_, version) in enumerate(cells) if version == 4]
    measured = measure_rates(
        matrix.cluster.sandbox,
        [udp_stream(sender, targets[index], port=PORT, offered_kbps=OFFERED * FAST_KBPS) for index in four],
    )
    results.check_rates(
        RateResult(cell=where[index], expected=limit(FAST_KBPS), seen=one.bits_per_second)
        for index, one in zip(four, measured, strict=True)
    )
