"""The guide's sections 4.2 and 4.3, with its own network, policy and pods: bandwidth and packet capture."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest

from ovnqos.sandbox import Stream, congestion_controls, measure, read_marks
from ovnqos.sandbox.marks import Capture
from tests.lab.support_matrix import Destination, expected_marks, probe
from tests.lab.support_networks import OTHER_NODE, SAME_NODE
from tests.lab.support_rates import OFFERED, limit, udp_stream
from tests.lab.support_results import Cell, MarkResult, RateResult, Results
from tests.support.lab_sandbox import reaches

if TYPE_CHECKING:
    from collections.abc import Callable

    from ovnqos.sandbox.marks import CapturedPacket
    from tests.lab.support_guide import Guide

RATE_KBPS, BURST_KBIT = 20_000, 100
LIMIT: Final = limit(RATE_KBPS, BURST_KBIT)
TOS: Final = 0x50
UNLIMITED = 5 * RATE_KBPS * 1000
"""bit/s that a TCP stream without a limit exceeds by far on any machine."""

# who sends, who receives, where that is, and whether the sender has the label `nqos-app: bw-limited`
PATHS: Final = (
    ("pod0", "pod1", SAME_NODE, False),
    ("pod0", "pod2", OTHER_NODE, False),
    ("pod1", "pod0", SAME_NODE, True),
    ("pod1", "pod2", OTHER_NODE, True),
    ("pod2", "pod0", OTHER_NODE, True),
    ("pod2", "pod1", OTHER_NODE, True),
)

PLACE_FROM_POD0: Final = {receiver: place for sender, receiver, place, _ in PATHS if sender == "pod0"}


def _cell(sender: str, receiver: str, place: str, outcome: str, sent: str) -> Cell:
    scene = f"{sender} to {receiver}, {sent}"
    return Cell(network="the guide's", place=place, version=4, scene=scene, sent=sent, outcome=outcome)


@pytest.fixture
def applied(guide: Guide) -> Guide:
    """The guide's cluster with the guide's policy."""
    guide.cluster.apply(guide.policy)
    return guide


@pytest.mark.alone
@pytest.mark.parametrize(
    ("sender", "receiver", "place"), [path[:3] for path in PATHS if path[3] and path[:2] != ("pod2", "pod0")]
)
def test_pods_with_the_label_get_the_rate_and_pod0_keeps_its_own(
    applied: Guide, results: Results, sender: str, receiver: str, place: str
) -> None:
    # The guide runs `iperf3 -R`, so that its server sends: what it calls pod1 to pod2 is pod2 to pod1 here.
    offered_kbps = OFFERED * RATE_KBPS
    other_pod = "pod2" if receiver == "pod0" else receiver
    limited, free = measure(
        (
            udp_stream(applied.pod(sender), applied.destination(receiver), port=5201, offered_kbps=offered_kbps),
            udp_stream(applied.pod("pod0"), applied.destination(other_pod), port=5202, offered_kbps=offered_kbps),
        )
    )
    results.check_rates(
        [
            RateResult(
                cell=_cell(sender, receiver, place, "limited", "UDP"),
                expected=LIMIT,
                seen=limited.bits_per_second,
            ),
            RateResult(
                cell=_cell("pod0", other_pod, PLACE_FROM_POD0[other_pod], "not matched", "UDP"),
                expected=offered_kbps * 1000,
                seen=free.bits_per_second,
            ),
        ]
    )


def test_tcp_as_the_guide_runs_it(applied: Guide, results: Results) -> None:
    unlimited = measure([replace(_tcp(applied, "pod0", "pod1"), seconds=2)])[0].bits_per_second
    results.remarks.append(f"the guide's TCP, Mbit/s: pod0 to pod1 {unlimited / 1e6:.0f} (guide: 31,900)")
    assert unlimited > UNLIMITED
    for algorithm in congestion_controls():
        stream = replace(_tcp(applied, "pod2", "pod1"), congestion_control=algorithm, seconds=3)
        limited = measure([stream])[0].bits_per_second
        results.remarks.append(
            f"the guide's TCP, Mbit/s: pod2 to pod1 by {algorithm} {limited / 1e6:.2f} (guide: 17.4); a burst of "
            f"{BURST_KBIT} kbit is too small for TCP"
        )
        assert limited < LIMIT


@pytest.mark.parametrize("algorithm", congestion_controls())
def test_tcp_reaches_the_rate_with_the_burst_that_the_warning_names(
    guide: Guide, results: Results, algorithm: str
) -> None:
    burst_kbit = RATE_KBPS // 5
    document = copy.deepcopy(guide.policy)
    document["spec"]["egress"][0]["bandwidth"]["burst"] = burst_kbit
    guide.cluster.apply(document)
    stream = replace(_tcp(guide, "pod2", "pod1"), congestion_control=algorithm)
    limited = measure([stream])[0].bits_per_second
    results.remarks.append(f"the guide's TCP with burst {burst_kbit}, Mbit/s: by {algorithm} {limited / 1e6:.2f}")
    assert 0.75 * RATE_KBPS * 1000 < limited < (RATE_KBPS + burst_kbit / stream.seconds) * 1000


@pytest.mark.parametrize("inherits", [False, True])
def test_the_outer_header_is_marked_where_the_chassis_inherits_marks(
    applied: Guide, results: Results, *, inherits: bool
) -> None:
    sandbox = applied.cluster.sandbox
    node = sandbox.nodes["ovn-worker"]
    if inherits:
        node.inherit_marks()
        sandbox.central.sync()
    try:
        found = read_marks(sandbox, probe(applied.pod("pod1"), applied.destination("pod2"), "icmp"))
    finally:
        node.vsctl("remove", "Open_vSwitch", ".", "external_ids", "ovn-encap-tos")
        sandbox.central.sync()
    setting = "ovn-encap-tos=inherit" if inherits else "default"
    results.remarks.append(f"marks of (outer, inner) header, {setting}: {sorted(found.outer)}, {sorted(found.wire)}")
    assert (found.outer, found.wire) == (frozenset({TOS if inherits else 0}), frozenset({TOS}))


@pytest.mark.parametrize(("sender", "receiver", "place", "labelled"), PATHS)
def test_requests_are_marked_where_the_sender_has_the_label(
    *, applied: Guide, results: Results, sender: str, receiver: str, place: str, labelled: bool
) -> None:
    expected = expected_marks(TOS >> 2 if labelled else 0, place)
    seen = read_marks(applied.cluster.sandbox, probe(applied.pod(sender), applied.destination(receiver), "icmp"))
    cell = _cell(sender, receiver, place, "marked" if labelled else "not matched", "ICMP")
    results.check_marks([MarkResult(cell=cell, expected=expected, seen=seen)])


@pytest.mark.parametrize(("sender", "request_tos"), [("pod0", 0), ("pod1", TOS)])
def test_the_capture_shows_what_the_guide_shows(applied: Guide, sender: str, request_tos: int) -> None:
    """Of pod0's ping only pod2's answer is marked, of pod1's both directions."""
    sandbox = applied.cluster.sandbox
    one, other = applied.destination(sender), applied.destination("pod2")
    node = sandbox.nodes["ovn-worker"]
    with Capture(node.namespace, "eth0", folder=sandbox.folder, expression="udp port 6081") as capture:
        assert reaches(one.receiver, other.address)
        requests = capture.wait_for(_between(one, other), count=1, timeout=5)
        answers = capture.wait_for(_between(other, one), count=1, timeout=5)
    assert {packet.protocol for packet in requests} == {"icmp"}
    assert {packet.traffic_class for packet in requests} == {request_tos}
    assert {packet.protocol for packet in answers} == {"icmp-other"}
    assert {packet.traffic_class for packet in answers} == {TOS}


def _between(source: Destination, destination: Destination) -> Callable[[CapturedPacket], bool]:
    return lambda packet: (packet.source, packet.destination) == (source.address, destination.address)


def _tcp(guide: Guide, sender: str, receiver: str) -> Stream:
    to = guide.destination(receiver)
    return Stream(sender=guide.pod(sender), receiver=to.receiver, address=to.address, protocol="tcp", seconds=5)
