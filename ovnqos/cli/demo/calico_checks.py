"""What Calico's lab measures, measured here: the baseline, the limit, its change and its removal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from tenacity import retry, retry_if_exception_type, stop_after_attempt

from ovnqos.cli.demo.calico_stage import LIMITED, PORT, SERVICE, SERVICE_NAME
from ovnqos.cli.demo.calico_streams import SecondBySecond, measure_second_by_second
from ovnqos.cli.demo.checks import Check, mega
from ovnqos.sandbox import Stream, StreamError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovnqos.cli.demo.calico_stage import CalicoStage

RATE: Final = 10e6
"""The lab's `10M`, bit/s."""
SETTLED: Final = 2
"""Seconds after which the bucket, which holds one second of the rate, is empty."""
TOLERANCE: Final = 0.05
OFFERED: Final = 1.5
"""How many times its limit UDP sends."""
TCP_AT_LEAST: Final = 0.75
"""Of the rate: a meter drops what is too much, which TCP answers by sending less for a while."""
UNLIMITED: Final = 10 * RATE
"""TCP faster than this is not held to the rate; user-space switching on two busy cores gives more."""
LAB_SECONDS: Final = (299, 10.5, 10.5, 10.5, 10.5)
"""Mbit/s in each second of the lab's limited run, section 5."""
LAB_BASELINE: Final = "9.44 Gbit/s"


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitedTcp:
    """A limited TCP run as the lab shows it: its checks, and Mbit/s in each second."""

    checks: tuple[Check, ...]
    seconds: tuple[float, ...]


def unlimited(stage: CalicoStage, pair: tuple[str, str], seconds: float) -> Check:
    """TCP from the first of two pods without limits to the second."""
    rate = _run(stage, pair, "tcp", seconds).rate
    return Check(
        what="TCP, without limits",
        guide=LAB_BASELINE,
        expected=f"over {mega(UNLIMITED)}",
        measured=mega(rate),
        good=rate > UNLIMITED,
    )


def limited_tcp(stage: CalicoStage, seconds: float) -> LimitedTcp:
    """TCP from the limited client to the limited server, by its Service."""
    run = _run(stage, LIMITED, "tcp", seconds)
    first_second = 2 * RATE  # a full bucket, and what the rate lets through meanwhile
    whole = RATE * (1 + 1 / len(run.rates))
    checks = (
        _at_most("TCP, second 1", "299 Mbit/s", first_second, run.rates[0]),
        _settled_tcp(run, "10.5 Mbit/s", RATE),
        _at_most(f"TCP, seconds 1 to {len(run.rates)}", "60.4 Mbit/s", whole, run.rate),
    )
    return LimitedTcp(checks=checks, seconds=tuple(rate / 1e6 for rate in run.rates))


def limited_udp(stage: CalicoStage, rate: float, seconds: float) -> Iterator[Check]:
    """UDP at 1.5 times the rate, both ways: egress of the one and ingress of the other."""
    for pair, direction in ((LIMITED, "client to server"), (LIMITED[::-1], "server to client")):
        settled = _run(stage, pair, "udp", seconds, OFFERED * rate).sustained(skip=SETTLED)
        yield Check(
            what=f"UDP, {direction}",
            guide="-",
            expected=f"{mega(rate)} ± 5 %",
            measured=mega(settled),
            good=abs(settled - rate) <= TOLERANCE * rate,
        )


def changed_tcp(stage: CalicoStage, rate: float, seconds: float) -> Check:
    """TCP after the limits of the running pods were changed."""
    run = _run(stage, LIMITED, "tcp", seconds)
    return _settled_tcp(run, "new pods", rate)


@retry(retry=retry_if_exception_type(StreamError), stop=stop_after_attempt(3), reraise=True)
def _run(
    stage: CalicoStage, pair: tuple[str, ...], protocol: Literal["udp", "tcp"], seconds: float, offered: float = 0
) -> SecondBySecond:
    """A stream from one pod to another, by its Service if it has one.

    Again if iperf3 lost the packet by which it starts.
    """
    sender, receiver = pair
    server = stage.pods[receiver]
    own = server.address(version=4)
    balanced = receiver == SERVICE_NAME
    return measure_second_by_second(
        Stream(
            sender=stage.pods[sender],
            receiver=server,
            address=SERVICE if balanced else own,
            balanced_to=own if balanced else None,
            protocol=protocol,
            offered=offered,
            seconds=seconds,
            port=PORT,
            payload=1200,
        )
    )


def _at_most(what: str, lab: str, most: float, rate: float) -> Check:
    good = rate <= most * (1 + TOLERANCE)
    return Check(what=what, guide=lab, expected=f"at most {mega(most)}", measured=mega(rate), good=good)


def _settled_tcp(run: SecondBySecond, lab: str, wanted: float) -> Check:
    rate = run.sustained(skip=SETTLED)
    low, high = TCP_AT_LEAST * wanted, wanted * (1 + TOLERANCE)
    return Check(
        what=f"TCP, seconds {SETTLED + 1} to {len(run.rates)}",
        guide=lab,
        expected=f"{low / 1e6:.1f} to {high / 1e6:.1f} Mbit/s",
        measured=mega(rate),
        good=low <= rate <= high,
    )
