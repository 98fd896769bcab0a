"""Beside EgressIP: its row of QoS marks replies for the router, so that they leave by their own node."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import pytest

from ovnqos.sandbox import Marks
from ovnqos.sandbox.marks import Capture
from tests.lab.support_cluster import network_qos, rule
from tests.lab.support_flood import IN_FLIGHT
from tests.lab.support_networks import DEFAULT_NETWORK, PRIMARY_LAYER2
from tests.lab.support_networks import OUTSIDE as OUTSIDE_PLACE
from tests.lab.support_pod_qos import BURST, NAMESPACE, WORKER, LimitedPods, cell, limited_pods, limits
from tests.lab.support_rates import OFFERED, SECONDS, limit
from tests.lab.support_results import Cell, MarkResult, RateResult, Results

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovnqos.sandbox import Programs, SandboxPod
    from tests.lab.support_cluster import Document

TENANT: Final = f"{NAMESPACE}/tenant"
MARK, DSCP = 42, 10
FIRST_WITH_MARKS = "24.03"
LOW_KBPS, HIGH_KBPS = 3000, 6000
PORT, ASKING_PORT = 7000, 7001
LIMITED_RECEIVER: Final = "rate, and a receiver on the node has a limit"
NETWORKS: Final = pytest.mark.parametrize("network", ["default", TENANT], ids=["layer3", "layer2"])
PAYLOAD: Final = 1200
_FRAME_BITS: Final = (PAYLOAD + 42) * 8
_ANSWER: Final = """
import socket, sys, time
port, payload, pause, seconds = map(float, sys.argv[1:])
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
    server.bind(("", int(port)))
    print("ready", flush=True)
    _, peer = server.recvfrom(2000)
    start, sent = time.monotonic(), 0
    while sent * pause < seconds:
        time.sleep(max(0, start + sent * pause - time.monotonic()))
        server.sendto(bytes(int(payload)), peer)
        sent += 1
"""
_ASK: Final = """
import socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
    client.bind(("", int(sys.argv[3])))
    client.sendto(b"?", (sys.argv[1], int(sys.argv[2])))
"""


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
def module_pods(programs: Programs, ovn_version: str) -> Iterator[LimitedPods]:
    if ovn_version < FIRST_WITH_MARKS:
        pytest.skip(f"OVN {ovn_version} has no marks in rows of QoS, so EgressIP cannot use them")
    with limited_pods(programs) as pods:
        pods.add_pod("plain", node=WORKER)
        pods.add_pod("receiver", node=WORKER)
        pods.cluster.add_network(_network())
        pod = pods.add_pod("tenant", node=WORKER, networks=("default", TENANT))
        hop = next(one for one in pod.attachment(TENANT).gateways if ":" not in one)
        outside = next(one for one in pods.cluster.sandbox.outside.addresses if one.startswith("172."))
        pod.add_routes([(outside, hop)])
        yield pods


@pytest.fixture
def pods(module_pods: LimitedPods) -> Iterator[LimitedPods]:
    """Running pods; annotations and policies that the test sets are removed when it ends."""
    yield module_pods
    module_pods.reset()


@contextmanager
def _egress_ip(pods: LimitedPods, pod: SandboxPod, network: str) -> Iterator[None]:
    """EgressIP of a pod as ovn-kubernetes sets it up, with nothing behind the node that it reroutes to.

    Connections to the pod are tracked, as by a NetworkPolicy.
    """
    central, attachment = pods.cluster.sandbox.central, pod.attachment(network)
    address, switch = pod.address_on(network), attachment.switch
    router = "ovn_cluster_router" if network == "default" else f"GR_{NAMESPACE}_tenant_{WORKER}"
    accept = f'outport == "{attachment.port}" && ip'
    match = "ip4.src == $served && ct.trk && ct.rpl"
    commands: tuple[tuple[str, ...], ...] = (
        ("create", "Address_Set", "name=served", f'addresses="{address}"'),
        ("acl-add", switch, "to-lport", "1001", accept, "allow-related"),
        ("qos-add", switch, "from-lport", "103", match, f"mark={MARK}"),
        ("lr-policy-add", router, "102", f"pkt.mark == {MARK}", "allow"),
        ("lr-policy-add", router, "100", f"ip4.src == {address}", "drop"),
    )
    undo: tuple[tuple[str, ...], ...] = (
        ("qos-del", switch, "from-lport", "103", match),
        ("acl-del", switch, "to-lport", "1001", accept),
        ("lr-policy-del", router, "102", f"pkt.mark == {MARK}"),
        ("lr-policy-del", router, "100", f"ip4.src == {address}"),
        ("destroy", "Address_Set", "served"),
    )
    for command in commands:
        central.nbctl(*command)
    central.sync()
    try:
        yield
    finally:
        for command in undo:
            central.nbctl(*command)


def _replies(pods: LimitedPods, pod: SandboxPod, network: str, offered_kbps: float) -> tuple[float, frozenset[int]]:
    """What arrives outside of a stream that a pod answers with: layer-2 bit/s, and the traffic classes."""
    outside = pods.cluster.sandbox.outside
    pause = _FRAME_BITS / (offered_kbps * 1000)
    arguments = [sys.executable, "-c", _ANSWER, *map(str, (PORT, PAYLOAD, pause, SECONDS))]
    expression = f"udp src port {PORT}"
    with subprocess.Popen(pod.namespace.command(arguments), stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        server.stdout.readline()
        with Capture(outside.namespace, "eth0", folder=outside.folder, expression=expression) as capture:
            ask = [sys.executable, "-c", _ASK, pod.address_on(network), str(PORT), str(ASKING_PORT)]
            subprocess.run(outside.namespace.command(ask), check=True, timeout=10)
            server.wait(timeout=2 * SECONDS)
            time.sleep(IN_FLIGHT)
            packets = capture.packets()
        server.kill()
    return len(packets) * _FRAME_BITS / SECONDS, frozenset(one.traffic_class for one in packets)


def _pod(pods: LimitedPods, network: str) -> SandboxPod:
    return pods.cluster.pods[f"{NAMESPACE}/{'plain' if network == 'default' else 'tenant'}"]


def _cell(scene: str, network: str) -> Cell:
    title = (DEFAULT_NETWORK if network == "default" else PRIMARY_LAYER2).title
    return cell(f"beside EgressIP, {scene}", OUTSIDE_PLACE, "replies leave", network=title)


@NETWORKS
def test_replies_of_a_pod_with_an_egress_ip_leave_by_its_node(
    pods: LimitedPods, results: Results, network: str
) -> None:
    pod, offered = _pod(pods, network), OFFERED * LOW_KBPS
    with _egress_ip(pods, pod, network):
        seen, _ = _replies(pods, pod, network, offered)
    results.check_rates([RateResult(cell=_cell("no limit", network), expected=offered * 1000, seen=seen)])


@NETWORKS
@pytest.mark.parametrize("scene", ["egress limit", "mark", "egress limit and mark", "rate", LIMITED_RECEIVER])
def test_replies_of_a_pod_with_an_egress_ip_leave_marked_and_limited(
    pods: LimitedPods, results: Results, network: str, scene: str
) -> None:
    pod = _pod(pods, network)
    if scene.startswith("egress limit"):
        pods.annotate(pod, limits(egress=f"{LOW_KBPS}k", burst=BURST))
    if scene == LIMITED_RECEIVER:  # the rule has a second row in from-lport, for packets that stay on the switch
        pods.annotate(pods.cluster.pods[f"{NAMESPACE}/receiver"], limits(ingress=f"{LOW_KBPS}k", burst=BURST))
    rate = {"rate_kbps": LOW_KBPS, "burst_kbit": 1000} if scene.startswith("rate") else {}
    policies = [] if scene == "egress limit" else [network_qos("gold", [rule(DSCP, None, **rate)], namespace=NAMESPACE)]
    offered = OFFERED * LOW_KBPS
    with _egress_ip(pods, pod, network):
        pods.apply(*policies)
        seen, marks = _replies(pods, pod, network, offered)
    limited = scene != "mark"
    where = _cell(scene, network)
    expected = limit(LOW_KBPS) if limited else offered * 1000
    results.check_rates([RateResult(cell=where, expected=expected, seen=seen)])
    dscp = 0 if scene == "egress limit" else DSCP
    results.check_marks(
        [
            MarkResult(
                cell=where,
                expected=Marks(received=frozenset([dscp << 2]), wire=frozenset()),
                seen=Marks(received=marks, wire=frozenset()),
            )
        ]
    )
