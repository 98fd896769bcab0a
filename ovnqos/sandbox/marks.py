"""What mark a packet carries: where it arrives, and on the wire of the node that sent it."""

from __future__ import annotations

import socket
import struct
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, Self

import netaddr

from ovnqos.sandbox.process import Process
from ovnqos.sandbox.programs import Programs, SandboxError, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ovnqos.sandbox.cluster import Sandbox
    from ovnqos.sandbox.host import Host, NetworkNamespace

_ICMP, _TCP, _UDP, _ICMP6 = 1, 6, 17, 58
_ECHO_REQUESTS: Final = {(_ICMP, 8), (_ICMP6, 128)}
_GENEVE_PORT: Final = 6081
_ETHERNET: Final = 1
_SEND: Final = """
import socket, sys, time
family, kind, address, port, count = sys.argv[1:]
for _ in range(int(count)):
    with socket.socket(int(family), int(kind)) as sender:
        sender.setblocking(False)
        sender.connect_ex((address, int(port)))
        if int(kind) == socket.SOCK_DGRAM:
            sender.send(b"ovnqos")
        time.sleep(0.01)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class CapturedPacket:
    """One captured IP packet.

    Attributes:
        source: its sender's address.
        destination: its receiver's address.
        protocol: `icmp` for an echo request of either family, `udp`, `tcp`, or the IANA number of another protocol
            (an echo reply, or another message, is `icmp-other`).
        port: the destination port of UDP and TCP.
        traffic_class: IPv4's TOS or IPv6's traffic class: the DSCP times four.
        outer_class: the traffic class of the packet that carried it inside geneve; None where none did.
    """

    source: str
    destination: str
    protocol: str
    port: int | None
    traffic_class: int
    outer_class: int | None


def read_packets(data: bytes) -> Iterator[CapturedPacket]:
    """Read a capture file of Ethernet frames (pcap, `tcpdump -w`), as far as it has been written.

    Frames that are not IP are left out, and so is what follows an IPv6 extension header.
    """
    if len(data) < 24:
        return
    order = "<" if data[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
    if struct.unpack_from(order + "I", data, 20)[0] != _ETHERNET:
        raise ValueError("the capture does not hold Ethernet frames")
    at = 24
    while at + 16 <= len(data):
        length = struct.unpack_from(order + "I", data, at + 8)[0]
        frame = data[at + 16 : at + 16 + length]
        if len(frame) < length:
            return
        if (packet := _read_frame(frame)) is not None:
            yield packet
        at += 16 + length


def _read_frame(frame: bytes, *, outer_class: int | None = None) -> CapturedPacket | None:
    kind, at = struct.unpack_from("!H", frame, 12)[0], 14
    if kind == 0x8100:  # a VLAN tag
        kind, at = struct.unpack_from("!H", frame, 16)[0], 18
    datagram = frame[at:]
    if kind == 0x0800:
        traffic_class, number, header = datagram[1], datagram[9], (datagram[0] & 15) * 4
        source, destination = datagram[12:16], datagram[16:20]
    elif kind == 0x86DD:
        traffic_class, number, header = struct.unpack_from("!H", datagram)[0] >> 4 & 0xFF, datagram[6], 40
        source, destination = datagram[8:24], datagram[24:40]
    else:
        return None
    payload = datagram[header:]
    protocol, port = _transport(number, payload)
    if protocol == "udp" and port == _GENEVE_PORT and outer_class is None:
        options = (payload[8] & 0x3F) * 4  # RFC 8926, section 3.4: the length of the options in words
        return _read_frame(payload[16 + options :], outer_class=traffic_class)
    return CapturedPacket(
        source=_address(source),
        destination=_address(destination),
        protocol=protocol,
        port=port,
        traffic_class=traffic_class,
        outer_class=outer_class,
    )


def _transport(number: int, payload: bytes) -> tuple[str, int | None]:
    if len(payload) < 4:  # a fragment's rest
        return str(number), None
    if number in (_UDP, _TCP):
        return "udp" if number == _UDP else "tcp", struct.unpack_from("!H", payload, 2)[0]
    if number in (_ICMP, _ICMP6):
        return ("icmp" if (number, payload[0]) in _ECHO_REQUESTS else "icmp-other"), None
    return str(number), None


def _address(packed: bytes) -> str:
    return str(netaddr.IPAddress(int.from_bytes(packed), 4 if len(packed) == 4 else 6))


class Capture:
    """A running tcpdump on one interface; a context manager. Inside `with`, it has started to listen."""

    def __init__(
        self, namespace: NetworkNamespace, interface: str, *, folder: Path, expression: str = "ip or ip6"
    ) -> None:
        """Describe it; entering it starts it.

        Args:
            namespace: where to listen.
            interface: its interface there.
            folder: takes the capture.
            expression: what to capture, pcap-filter(7).
        """
        stem = f"capture-{namespace.name}-{interface}-{id(self):x}"
        self._file = folder / f"{stem}.pcap"
        options = ("-n", "-U", "--immediate-mode", "-Z", "root", "-i", interface, "-w", str(self._file), expression)
        command = namespace.command(Programs().command("tcpdump", *options))
        self._process = Process(command, name=f"tcpdump of {namespace.name}", log=folder / f"{stem}.log")

    def __enter__(self) -> Self:
        self._process.start(lambda: "listening on" in self._process.log_text())
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()

    def packets(self) -> list[CapturedPacket]:
        """What has been captured so far."""
        return list(read_packets(self._file.read_bytes())) if self._file.exists() else []

    def wait_for(
        self, matches: Callable[[CapturedPacket], bool], *, count: int, timeout: float
    ) -> list[CapturedPacket]:
        """Return the packets that match, as soon as there are `count` of them, or the time is up."""
        came: list[CapturedPacket] = []

        def all_here() -> bool:
            came[:] = [packet for packet in self.packets() if matches(packet)]
            return len(came) >= count

        try:
            self._process.wait_until(all_here, what="capture the packets", timeout=timeout)
        except SandboxError:
            if not self._process.running:
                raise
        return came


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A few unmarked packets from one host to another.

    Attributes:
        sender: sends echo requests, UDP datagrams or TCP connection requests.
        receiver: owns the address; it need not listen.
        address: where they go.
        balanced_to: the receiver's own address, where a load balancer puts it in place of `address`.
        protocol: what they are.
        port: the destination port of UDP and TCP.
        count: how many have to arrive.
    """

    sender: Host
    receiver: Host
    address: str
    balanced_to: str | None = None
    protocol: Literal["icmp", "udp", "tcp"] = "icmp"
    port: int = 5000
    count: int = 3

    @property
    def arrives_at(self) -> str:
        """The address that its packets have when they arrive."""
        return self.balanced_to or self.address

    def sent(self, packet: CapturedPacket) -> bool:
        """Whether a captured packet is one of the probe's, and not an answer, which may copy its mark."""
        return (
            packet.source in self.sender.addresses
            and packet.destination == str(netaddr.IPAddress(self.arrives_at))
            and packet.protocol == self.protocol
            and packet.port == (None if self.protocol == "icmp" else self.port)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """The traffic classes (IPv4's TOS, IPv6's traffic class: four times the DSCP) that a probe's packets carried.

    Attributes:
        received: where they arrived; empty if none arrived in time.
        wire: on the uplink of the sender's node, inside geneve where they went to another node, plain where they left
            the cluster; empty if they did not cross it (a pod of the same node), or came from outside.
        outer: of the packets on the wire that carried them inside geneve; empty if none did.
    """

    received: frozenset[int]
    wire: frozenset[int]
    outer: frozenset[int] = field(default=frozenset(), compare=False)


def read_marks(sandbox: Sandbox, probe: Probe, *, timeout: float = 5) -> Marks:
    """Send a probe and read the marks of its packets.

    It is sent again while too few packets have arrived, since OVN drops a first one while it looks for a neighbour.

    Args:
        sandbox: holds both hosts.
        probe: what to send.
        timeout: seconds to wait for the packets.
    """
    sender, receiver = probe.sender, probe.receiver
    with ExitStack() as stack:
        interface = receiver.receives_on(probe.arrives_at)
        arrival = stack.enter_context(Capture(receiver.namespace, interface, folder=sandbox.folder))
        uplink = None
        if sender.node is not None:
            node = sandbox.nodes[sender.node]
            uplink = stack.enter_context(Capture(node.namespace, "eth0", folder=sandbox.folder))
        deadline = time.monotonic() + timeout
        received: list[CapturedPacket] = []
        while len(received) < probe.count and (left := deadline - time.monotonic()) > 0:
            _send(probe)
            received = arrival.wait_for(probe.sent, count=probe.count, timeout=min(left, 0.5))
        patience = 0 if sender.node == receiver.node else 1
        wire = uplink.wait_for(probe.sent, count=max(1, len(received)), timeout=patience) if uplink else []
    return Marks(
        received=frozenset(packet.traffic_class for packet in received),
        wire=frozenset(packet.traffic_class for packet in wire),
        outer=frozenset(packet.outer_class for packet in wire if packet.outer_class is not None),
    )


def _send(probe: Probe) -> None:
    inside = probe.sender.namespace.command
    if probe.protocol == "icmp":
        options = ("-n", "-q", "-c", str(probe.count), "-i", "0.01", "-W", "0.1")
        command = inside(Programs().command("ping", *options, probe.address))
        run(command, accept=(0, 1))  # 1: no answer, as it may be
        return
    family = socket.AF_INET6 if ":" in probe.address else socket.AF_INET
    kind = socket.SOCK_DGRAM if probe.protocol == "udp" else socket.SOCK_STREAM
    numbers = (str(number) for number in (probe.port, probe.count))
    run(inside([sys.executable, "-c", _SEND, str(int(family)), str(int(kind)), probe.address, *numbers]))
