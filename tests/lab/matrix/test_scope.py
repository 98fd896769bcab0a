"""The traffic matrix, scope of the bandwidth: with the annotation `pod`, each pod of a node gets the rate itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.lab.support_cluster import network_qos
from tests.lab.support_matrix import LIMITED, all_marks, expected_marks, probe
from tests.lab.support_networks import NETWORKS, OTHER_NODE, OWN, SAME_NODE, VERSIONS
from tests.lab.support_rates import OFFERED, limit, limited_rule, measure_rates, udp_stream
from tests.lab.support_results import Cell, MarkResult, RateResult

if TYPE_CHECKING:
    from tests.lab.support_matrix import Matrix
    from tests.lab.support_results import Results

DSCP = 20
RATE_KBPS = 2000
PORT = 6700
PER_POD = {"ovnqos.io/bandwidth-scope": "pod"}
# who sends, to whom, on whose side of `sender`, and where that is for the one who sends: the first two share a node
SENDERS = (
    ("sender", "target", OTHER_NODE, OTHER_NODE),
    ("second", "target", SAME_NODE, SAME_NODE),
    ("distant", "other", SAME_NODE, OTHER_NODE),
)


@pytest.mark.parametrize("version", VERSIONS, ids=["IPv4", "IPv6"])
def test_each_pod_of_a_node_gets_the_rate_itself(matrix: Matrix, results: Results, version: int) -> None:
    rules = [limited_rule(DSCP, PORT, RATE_KBPS)]
    matrix.cluster.apply(network_qos("each", rules, namespace=OWN, pods=LIMITED, annotations=PER_POD))
    cells, senders, receivers = [], [], []
    for network in NETWORKS:
        for name, kind, where, place in SENDERS:
            receiver = matrix.destination(network, where, kind, version)
            assert receiver is not None
            senders.append(matrix.sender(name))
            receivers.append(receiver)
            cells.append(
                Cell(
                    network=network.title,
                    place=place,
                    version=version,
                    scene="bandwidth-scope pod",
                    sent=f"UDP from {name}",
                    outcome="a pod's own",
                )
            )
    probes = [probe(sender, to, "udp", PORT) for sender, to in zip(senders, receivers, strict=True)]
    results.check_marks(
        MarkResult(cell=cell, expected=expected_marks(DSCP, cell.place), seen=seen)
        for cell, seen in zip(cells, all_marks(matrix.cluster.sandbox, probes), strict=True)
    )
    measured = measure_rates(
        matrix.cluster.sandbox,
        [
            udp_stream(sender, receiver, port=PORT, offered_kbps=OFFERED * RATE_KBPS)
            for cell, sender, receiver in zip(cells, senders, receivers, strict=True)
        ],
    )
    results.check_rates(
        RateResult(cell=cell, expected=limit(RATE_KBPS), seen=one.bits_per_second)
        for cell, one in zip(cells, measured, strict=True)
    )
