"""What the guide measures, measured here: bandwidth (section 4.2) and marks (section 4.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from ovnqos.cli.demo.stage import NAD
from ovnqos.sandbox import Probe, Stream, measure, read_marks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovnqos.cli.demo.stage import Stage

RATE: Final = 20e6
BURST: Final = 100e3
TOLERANCE: Final = 0.05
OFFERED: Final = 1.5 * RATE
MARK: Final = 0x50
"""DSCP 20 in the byte that tcpdump calls tos."""
UNLIMITED: Final = 1.2 * RATE
"""TCP faster than this is not held to the rate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One line of the table: what is expected here, what was measured, and the guide's figure if it has one."""

    what: str
    expected: str
    measured: str
    good: bool
    guide: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """iperf3 -c RECEIVER -R: the server, in the guide's words the receiver's peer, sends."""

    sender: str
    receiver: str
    protocol: Literal["udp", "tcp"]
    guide: str
    limited: bool


_RUNS: Final = (
    _Run(sender="pod0", receiver="pod1", protocol="udp", guide="-", limited=False),
    _Run(sender="pod2", receiver="pod1", protocol="udp", guide="-", limited=True),
    _Run(sender="pod0", receiver="pod1", protocol="tcp", guide="31.9 Gbit/s", limited=False),
    _Run(sender="pod2", receiver="pod1", protocol="tcp", guide="17.4 Mbit/s", limited=True),
)
_MARKS: Final = (("pod0", "pod2", 0), ("pod2", "pod0", MARK), ("pod1", "pod2", MARK), ("pod2", "pod1", MARK))


def bandwidth(stage: Stage, seconds: float) -> Iterator[Check]:
    """Measure the guide's two streams, by UDP (what the limit is) and by TCP (what the guide does with it)."""
    for one in _RUNS:
        sender, receiver = stage.pods[one.sender], stage.pods[one.receiver]
        stream = Stream(
            sender=sender,
            receiver=receiver,
            address=receiver.address_on(NAD),
            protocol=one.protocol,
            offered=OFFERED,
            seconds=seconds,
            payload=1200,
        )
        rate = measure([stream])[0].bits_per_second
        if one.protocol == "udp":
            wanted = RATE + BURST / seconds if one.limited else OFFERED
            expected, good = f"{mega(wanted)} ± 5 %", abs(rate - wanted) <= TOLERANCE * wanted
        elif one.limited:
            expected, good = f"at most {mega(RATE)}", rate <= RATE * (1 + TOLERANCE)
        else:
            expected, good = f"over {mega(UNLIMITED)}", rate > UNLIMITED
        yield Check(
            what=f"{one.sender} to {one.receiver}, {one.protocol.upper()}",
            guide=one.guide,
            expected=expected,
            measured=mega(rate),
            good=good,
        )


def marks(stage: Stage) -> Iterator[Check]:
    """Capture the guide's four directions of ping between the nodes; requests only, since a reply copies the mark."""
    assert stage.sandbox is not None
    for sender, receiver, mark in _MARKS:
        target = stage.pods[receiver]
        probe = Probe(sender=stage.pods[sender], receiver=target, address=target.address_on(NAD), count=3)
        seen = read_marks(stage.sandbox, probe)
        yield Check(
            what=f"{sender} to {receiver}, ping",
            guide=f"tos {mark:#x}",
            expected=f"tos {mark:#x}",
            measured="tos " + ", ".join(f"{one:#x}" for one in sorted(seen.wire)) if seen.wire else "no packet",
            good=seen.wire == {mark},
        )


def mega(bits_per_second: float) -> str:
    """A rate, as the tables have it."""
    if bits_per_second >= 1e9:
        return f"{bits_per_second / 1e9:.2f} Gbit/s"
    return f"{bits_per_second / 1e6:.2f} Mbit/s"
