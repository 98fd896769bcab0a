"""The traffic matrix, over time: what the library writes does not give a limited stream a second burst."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from tenacity import retry, retry_if_result, stop_after_delay, wait_fixed

from ovnqos.controller import Applied
from ovnqos.sandbox import measure, read_marks
from tests.lab.support_cluster import network_qos
from tests.lab.support_matrix import LIMITED, Matrix, expected_marks, probe
from tests.lab.support_networks import DEFAULT_NETWORK, OTHER_NODE, OWN
from tests.lab.support_rates import limit, limited_rule, udp_stream
from tests.lab.support_results import Cell, MarkResult, RateResult, Results
from tests.support.lab_sandbox import ofctl

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovnqos.sandbox import SandboxNode, SandboxPod

DSCP = 20
RATE_KBPS, BURST_KBIT = 4000, 10_000
"""A bucket of 2.5 seconds' worth: a second one would add half as much again to what gets through."""
OFFERED_KBPS = 6 * RATE_KBPS
JOINED_PORT, CHANGED_PORT = 6201, 6202


@pytest.fixture
def newcomer(matrix: Matrix) -> Iterator[SandboxPod]:
    """A pod that is wired, but that the library has not heard of yet."""
    pod = matrix.wire_pod("newcomer", OWN, "ovn-worker")
    yield pod
    matrix.cluster.remove_pod(pod)


def test_a_pod_that_joins_a_policy_does_not_refill_its_meter_as_a_changed_row_would(
    matrix: Matrix, results: Results, newcomer: SandboxPod
) -> None:
    cluster, sender = matrix.cluster, matrix.sender("sender")
    joined = network_qos(
        "joined", [limited_rule(DSCP, JOINED_PORT, RATE_KBPS, BURST_KBIT)], namespace=OWN, pods=LIMITED
    )
    changed_rules = [limited_rule(DSCP, CHANGED_PORT, RATE_KBPS, BURST_KBIT)]
    before, after = (
        network_qos("changed", changed_rules, namespace=OWN, pods=LIMITED, priority=priority) for priority in (20, 21)
    )
    cluster.apply(joined, before)
    target = matrix.target(DEFAULT_NETWORK, OTHER_NODE, 4)
    streams = [udp_stream(sender, target, port=port, offered_kbps=OFFERED_KBPS) for port in (JOINED_PORT, CHANGED_PORT)]
    with ThreadPoolExecutor(1) as background:
        measuring = background.submit(measure, streams)
        wait_for_dropping_meters(cluster.sandbox.nodes["ovn-worker"], count=len(streams))
        cluster.show_pod(newcomer, LIMITED)
        cluster.apply(joined, after)
        assert not measuring.done()
        measured = measuring.result()
    outcomes = (("a pod joins the policy", 1, measured[0]), ("for comparison: a row changes", 2, measured[1]))
    results.check_rates(
        RateResult(
            cell=Cell(
                network=DEFAULT_NETWORK.title,
                place=OTHER_NODE,
                version=4,
                scene=scene,
                sent="UDP",
                outcome=f"{bursts} burst{'s' * (bursts > 1)}",
            ),
            expected=limit(RATE_KBPS, BURST_KBIT, bursts=bursts),
            seen=one.bits_per_second,
        )
        for scene, bursts, one in outcomes
    )
    results.check_marks(
        [
            MarkResult(
                cell=Cell(
                    network=DEFAULT_NETWORK.title,
                    place=OTHER_NODE,
                    version=4,
                    scene="a pod joins the policy",
                    sent="UDP from newcomer",
                    outcome="marked",
                ),
                expected=expected_marks(DSCP, OTHER_NODE),
                seen=read_marks(cluster.sandbox, probe(newcomer, target, "udp", JOINED_PORT)),
            )
        ]
    )


def test_applying_what_is_already_there_writes_nothing(matrix: Matrix) -> None:
    policy = network_qos("still", [limited_rule(DSCP, JOINED_PORT, RATE_KBPS)], namespace=OWN, pods=LIMITED)
    assert matrix.cluster.write(policy).transactions == 1
    file = matrix.cluster.sandbox.central.northbound.file  # every transaction that changes a row is appended to it
    written = file.read_bytes()
    assert matrix.cluster.write(policy) == Applied(changes=0, transactions=0)
    assert file.read_bytes() == written


@retry(retry=retry_if_result(lambda dropping: not dropping), wait=wait_fixed(0.05), stop=stop_after_delay(5))
def wait_for_dropping_meters(node: SandboxNode, *, count: int) -> bool:
    """Returns when `count` meters of a node have dropped packets, which they do once their bucket is empty."""
    bands = re.findall(r"^0: packet_count:(\d+)", ofctl(node, "meter-stats"), re.MULTILINE)
    return sum(int(dropped) > 0 for dropped in bands) >= count
