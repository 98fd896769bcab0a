"""Random matches held against packets by `evaluate`, and by OVN itself."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Final

from netaddr import IPAddress

from ovnqos.match.evaluate import evaluate
from ovnqos.match.named_sets import NamedSets
from ovnqos.match.packet import Packet, PacketProtocol
from ovnqos.match.verdict import Truth
from ovnqos.southbound.packet_path import microflow
from tests.support.random_matches import ADDRESS_SETS, expression
from tests.support.traced_ovn import TracedOvn

if TYPE_CHECKING:
    from ovnqos.sandbox import Programs

MATCHES: Final = 240
PACKETS: Final = (
    ("10.0.0.1", "10.0.0.2", PacketProtocol.TCP, 80),
    ("10.0.0.1", "172.16.0.9", PacketProtocol.UDP, 443),
    ("10.0.0.1", "10.0.0.2", PacketProtocol.ICMP, None),
    ("fd00::1", "fd00::2", PacketProtocol.TCP, 443),
    ("fd00::1", "2001:db8::9", PacketProtocol.SCTP, 80),
    ("fd00::1", "fd00::2", PacketProtocol.ICMP, None),
)
_MACS: Final = ("0a:00:00:00:00:01", "0a:00:00:00:00:02")
_CONTRADICTIONS: Final = frozenset({(Truth.YES, False), (Truth.NO, True)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """How often which verdict met which deed of OVN's (True: it took the packet), and where the two contradict."""

    seen: Counter[tuple[Truth, bool]] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


def compare_verdicts(programs: Programs | None = None, *, seed: int = 20_230_315) -> Compared:
    """Put random matches into an OVN, each on a switch of its own, and hold each against the packets."""
    random = Random(seed)
    compared = Compared()
    matches = [expression(random, f"p{number}") for number in range(MATCHES)]
    names = NamedSets(address_sets=ADDRESS_SETS, port_groups=_groups())
    with TracedOvn(programs) as ovn:
        ovn.add_switch("away", {"far": _MACS[0]})
        for number in range(MATCHES):
            ovn.add_switch(f"s{number}", dict(zip(_ports(number), _MACS, strict=True)))
        ovn.add_sets(ADDRESS_SETS, _groups())
        ovn.run(
            ["qos-add", f"s{number}", "from-lport", "9", str(match), "dscp=1"] for number, match in enumerate(matches)
        )
        with ovn.tracer() as tracer:
            for number, match in enumerate(matches):
                for packet in _packets(number):
                    verdict = evaluate(match, packet, names)
                    flow = microflow(packet, eth_src=_MACS[0], eth_dst=_MACS[1])
                    trace = tracer.run(f"s{number}", flow)
                    met = (verdict.truth, trace.dscp is not None)
                    compared.seen[met] += 1
                    unparsable = "OVN cannot parse" in verdict.reason
                    if met in _CONTRADICTIONS or (unparsable and str(match) not in trace.faults):
                        compared.wrong.append(f"{match}: {flow}: {verdict}, {trace.faults.get(str(match))}")
    return compared


def _ports(number: int) -> tuple[str, str]:
    return f"p{number}", f"q{number}"


def _groups() -> dict[str, list[str]]:
    ports = [_ports(number) for number in range(MATCHES)]
    return {"here": [one for one, _ in ports], "beside": [two for _, two in ports], "elsewhere": ["far"], "empty": []}


def _packets(number: int) -> list[Packet]:
    return [
        Packet(
            inport=f"p{number}",
            outport="",
            source=IPAddress(source),
            destination=IPAddress(destination),
            protocol=protocol,
            source_port=None if port is None else 1024,
            destination_port=port,
            switch_ports=frozenset(_ports(number)),
        )
        for source, destination, protocol, port in PACKETS
    ]
