"""Advice on bursts: what was measured, and what is told of it."""

from __future__ import annotations

import pytest

from ovnqos.model.advice import bandwidth_advice
from ovnqos.model.policy import Bandwidth


@pytest.mark.parametrize(
    ("burst_kbit", "share"), [(100, "about 2 %"), (500, "about 12 %"), (2000, "about 50 %"), (3999, "about 99 %")]
)
def test_a_burst_that_holds_tcp_back_is_told_with_the_share_that_was_measured(burst_kbit: int, share: str) -> None:
    advice = bandwidth_advice(Bandwidth(rate_kbps=20000, burst_kbit=burst_kbit))
    assert advice is not None
    assert share in advice
    assert advice.endswith("leave burst out (OVN then allows one second of rate) or set burst to 4000 or more")


@pytest.mark.parametrize(
    "bandwidth",
    [
        Bandwidth(rate_kbps=20000),
        Bandwidth(rate_kbps=20000, burst_kbit=4000),
        Bandwidth(rate_kbps=12),
        Bandwidth(rate_kbps=5, burst_kbit=12),
        Bandwidth(rate_kbps=4294967295, burst_kbit=4294967295),
    ],
)
def test_a_burst_that_is_large_enough_draws_no_advice(bandwidth: Bandwidth) -> None:
    assert bandwidth_advice(bandwidth) is None


def test_a_burst_below_one_packet_drops_them_all() -> None:
    assert bandwidth_advice(Bandwidth(rate_kbps=20000, burst_kbit=11)) == (
        "burst 11 kbit is less than one full-size packet (12 kbit), so such packets are all dropped; "
        "set burst to 4000 or more"
    )


def test_the_default_burst_of_a_very_low_rate_drops_packets_too() -> None:
    assert bandwidth_advice(Bandwidth(rate_kbps=5)) == (
        "the default burst of one second of rate, 5 kbit, is less than one full-size packet (12 kbit), so such packets "
        "are all dropped; set burst to 12 or more"
    )


def test_following_the_advice_silences_it() -> None:
    for rate in (1, 11, 12, 59, 60, 61, 20000, 4294967295):
        for burst in (1, 11, 12, 13):
            advice = bandwidth_advice(Bandwidth(rate_kbps=rate, burst_kbit=burst))
            if advice is not None:
                enough = int(advice.rpartition("set burst to ")[2].partition(" ")[0])
                assert bandwidth_advice(Bandwidth(rate_kbps=rate, burst_kbit=enough)) is None
