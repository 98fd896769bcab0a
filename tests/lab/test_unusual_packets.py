"""Packets that are not what one thinks of: neighbour discovery at a limit, fragments, marks of the application."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest

from ovnqos.sandbox import Process, Stream
from ovnqos.sandbox.marks import Capture
from ovnqos.sandbox.programs import Programs, run
from tests.lab.support_cluster import network_qos, rule, udp_ports
from tests.lab.support_networks import VERSIONS
from tests.lab.support_pod_qos import NAMESPACE, WORKER, WORKER2, LimitedPods, limited_pods, limits, to_pod
from tests.lab.support_rates import measure_rates

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ovnqos.sandbox import SandboxPod
    from ovnqos.sandbox.marks import CapturedPacket
    from tests.lab.support_cluster import Document

_FLOOD: Final = """
import socket, sys, time
with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sender:
    print("sending", flush=True)
    while True:
        for _ in range(10):
            sender.sendto(bytes(16), (sys.argv[1], 9999))
        time.sleep(0.002)
"""
"""Some 3 Mbit/s of packets as small as a solicitation, which a bucket too empty for a large one may let pass."""
_TOUCH: Final = """
import socket, sys
with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sender:
    for address in sys.argv[1:]:
        sender.sendto(b"x", (address, 9998))
"""
_ROUNDS: Final = 3
_PATIENCE: Final = 4.0
"""Longer than Linux sends neighbour solicitations: three, a second apart."""
_FRAGMENTED: Final = 4000
"""Bytes of a datagram's payload: three fragments."""
_FRAGMENTS: Final = "ip[6:2] & 0x3fff != 0 or ip6 proto 44"


@pytest.fixture(scope="module")
def module_pods(programs: Programs) -> Iterator[LimitedPods]:
    with limited_pods(programs) as pods:
        for name in ("sender", "receiver", "first", "second", "third", "fourth"):
            pods.add_pod(name, node=WORKER)
        pods.add_pod("distant", node=WORKER2)
        yield pods


@pytest.fixture
def pods(module_pods: LimitedPods) -> Iterator[LimitedPods]:
    yield module_pods
    module_pods.reset()


def _pod(pods: LimitedPods, name: str) -> SandboxPod:
    return pods.cluster.pods[f"{NAMESPACE}/{name}"]


def _goes_to(address: str) -> Callable[[CapturedPacket], bool]:
    return lambda packet: packet.destination == address


@contextmanager
def _flood(sender: SandboxPod, address: str) -> Iterator[None]:
    command = sender.namespace.command([sys.executable, "-c", _FLOOD, address])
    process = Process(command, name="flood", log=sender.folder / f"flood-{time.monotonic_ns()}.log")
    process.start(lambda: "sending" in process.log_text())
    try:
        yield
    finally:
        process.kill()


def _resolved(sender: SandboxPod, addresses: list[str]) -> int:
    """How many neighbours a pod finds that it has forgotten."""
    inside = sender.namespace.command
    for address in addresses:
        run(inside(Programs().command("ip", "-6", "neigh", "del", address, "dev", "eth0")), accept=(0, 1, 2))
    run(inside([sys.executable, "-c", _TOUCH, *addresses]))

    def known() -> int:
        lines = run(inside(Programs().command("ip", "-6", "neigh", "show", "dev", "eth0"))).splitlines()
        return sum(any(line.split()[0] == address and "lladdr" in line for line in lines) for address in addresses)

    deadline = time.monotonic() + _PATIENCE
    while (found := known()) < len(addresses) and time.monotonic() < deadline:
        time.sleep(0.1)
    return found


@pytest.mark.parametrize("direction", ["egress", "ingress"])
def test_a_pod_at_its_limit_finds_its_neighbours(pods: LimitedPods, direction: str) -> None:
    sender, receiver = _pod(pods, "sender"), _pod(pods, "receiver")
    others = [to_pod(_pod(pods, name), version=6).address for name in ("first", "second", "third", "fourth")]
    limited, flooding, flooded = sender, sender, receiver
    if direction == "ingress":
        flooding, flooded = receiver, sender
    pods.annotate(limited, limits(**{direction: "300k"}, burst="20k"))
    pods.apply()
    found = 0
    with _flood(flooding, to_pod(flooded, version=6).address):
        time.sleep(1)
        for _ in range(_ROUNDS):
            found += _resolved(sender, others)
    assert found == _ROUNDS * len(others)


@pytest.mark.parametrize("ports", [udp_ports(5004, 5006), [{"protocol": "UDP"}]], ids=["port", "protocol"])
def test_fragments_are_limited_and_marked(pods: LimitedPods, ports: list[Document]) -> None:
    """Of both IP versions, to both nodes: one meter takes them all, and any that escaped would exceed its rate."""
    sender, receivers = _pod(pods, "sender"), [_pod(pods, name) for name in ("receiver", "distant")]
    rate_kbps = 2000
    pods.apply(network_qos("gold", [rule(20, {"ports": ports}, rate_kbps=rate_kbps)], namespace=NAMESPACE))
    streams = [
        Stream(
            sender=sender,
            receiver=to.receiver,
            address=to.address,
            port=5000 + version,
            offered=3e5,
            seconds=2,
            payload=_FRAGMENTED,
        )
        for version in VERSIONS
        for to in (to_pod(pod, version=version) for pod in receivers)
    ]
    with ExitStack() as stack:
        captures = [
            stack.enter_context(Capture(pod.namespace, "eth0", folder=sender.folder, expression=_FRAGMENTS))
            for pod in receivers
        ]
        slow = measure_rates(pods.cluster.sandbox, streams)
        for stream, capture in zip(streams, captures * len(VERSIONS), strict=True):
            packets = capture.wait_for(_goes_to(stream.address), count=50, timeout=5)
            assert {packet.traffic_class for packet in packets} == {0x50}, stream.address
    assert all(one.bits_per_second > 0.9 * stream.offered for one, stream in zip(slow, streams, strict=True))
    fast = measure_rates(pods.cluster.sandbox, [replace(stream, offered=4e6, seconds=4) for stream in streams])
    total = sum(one.bits_per_second for one in fast)
    assert total < 1.1 * (rate_kbps * 1000 * (1 + 1 / 4))  # a burst of one second of the rate


def test_fragments_do_not_escape_by_a_rule_with_a_port_and_a_higher_rate(pods: LimitedPods) -> None:
    sender, to = _pod(pods, "sender"), to_pod(_pod(pods, "receiver"))
    rules = [
        rule(20, {"ports": [{"protocol": "UDP"}]}, rate_kbps=2000),
        rule(30, {"ports": udp_ports(6000)}, rate_kbps=100_000),
    ]
    pods.apply(network_qos("gold", rules, namespace=NAMESPACE))
    stream = Stream(
        sender=sender,
        receiver=to.receiver,
        address=to.address,
        port=5001,
        offered=8e6,
        seconds=4,
        payload=_FRAGMENTED,
    )
    fast = measure_rates(pods.cluster.sandbox, [stream])[0]
    assert fast.bits_per_second < 1.1 * 2e6 * (1 + 1 / 4)


@pytest.mark.parametrize("version", [4, 6])
def test_a_limit_without_a_mark_leaves_the_applications_mark_alone(pods: LimitedPods, version: int) -> None:
    sender, to = _pod(pods, "sender"), to_pod(_pod(pods, "distant"), version=version)
    rate_kbps, application = 2000, 0x28
    limit_alone: Document = {"bandwidth": {"rate": rate_kbps, "burst": 1000}}
    pods.apply(network_qos("gold", [limit_alone], namespace=NAMESPACE))
    ping = Programs().command("ping", "-n", "-q", "-c", "3", "-i", "0.2", "-Q", str(application), to.address)
    capture = Capture(to.receiver.namespace, "eth0", folder=sender.folder, expression="icmp or icmp6")
    with capture:
        run(sender.namespace.command(ping))
        seen = capture.wait_for(
            lambda packet: packet.protocol == "icmp" and packet.destination == to.address, count=3, timeout=5
        )
    assert {packet.traffic_class for packet in seen} == {application}
    pods.apply(network_qos("gold", [limit_alone | {"classifier": {"ports": udp_ports(5001)}}], namespace=NAMESPACE))
    stream = Stream(sender=sender, receiver=to.receiver, address=to.address, port=5001, offered=6e6, seconds=4)
    measured = measure_rates(pods.cluster.sandbox, [stream])[0].bits_per_second
    assert measured == pytest.approx((rate_kbps + 1000 / stream.seconds) * 1000, rel=0.1)
