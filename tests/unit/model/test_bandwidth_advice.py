"""Advice on bursts: what was measured, and what is told of it."""

from __future__ import annotations

import pytest

from ovnqos.diagnostics import Code, Diagnostic, ObjectRef, Severity
from ovnqos.model.policy import Bandwidth, bandwidth_advice, frame_advice, frame_kbit

POLICY = ObjectRef(kind="NetworkQoS", namespace="shop", name="gold")
PATH = "spec.egress[0].bandwidth.burst"


def advice_on(rate_kbps: int, burst_kbit: int | None = None) -> Diagnostic | None:
    return bandwidth_advice(Bandwidth(rate_kbps=rate_kbps, burst_kbit=burst_kbit), POLICY, PATH)


@pytest.mark.parametrize(
    ("burst_kbit", "share"), [(100, "about 2 %"), (500, "about 12 %"), (2000, "about 50 %"), (3999, "about 99 %")]
)
def test_a_burst_that_holds_tcp_back_is_told_with_the_share_that_was_measured(burst_kbit: int, share: str) -> None:
    advice = advice_on(20000, burst_kbit)
    assert advice is not None
    assert (advice.severity, advice.code, advice.object, advice.path) == (
        Severity.WARNING,
        Code.BURST_LIMITS_TCP,
        POLICY,
        PATH,
    )
    assert share in advice.text
    assert advice.hint == "leave burst out (OVN then allows one second of rate) or set burst to 4000 kbit or more"


@pytest.mark.parametrize(
    "bandwidth",
    [
        Bandwidth(rate_kbps=20000),
        Bandwidth(rate_kbps=20000, burst_kbit=4000),
        Bandwidth(rate_kbps=13),
        Bandwidth(rate_kbps=5, burst_kbit=13),
        Bandwidth(rate_kbps=4294967295, burst_kbit=4294967295),
    ],
)
def test_a_burst_that_is_large_enough_draws_no_advice(bandwidth: Bandwidth) -> None:
    assert bandwidth_advice(bandwidth, POLICY, PATH) is None


@pytest.mark.parametrize(
    ("rate_kbps", "burst_kbit", "enough"), [(20000, 11, 4000), (20000, 12, 4000), (5, None, 13), (12, None, 13)]
)
def test_a_burst_below_one_packet_drops_them_all(rate_kbps: int, burst_kbit: int | None, enough: int) -> None:
    advice = advice_on(rate_kbps, burst_kbit)
    assert advice is not None
    assert (advice.code, advice.hint) == (Code.BURST_BELOW_FRAME, f"set burst to {enough} kbit or more")
    assert str(burst_kbit or rate_kbps) in advice.text


def test_following_the_advice_silences_it() -> None:
    for rate in (1, 11, 12, 13, 59, 60, 61, 20000, 4294967295):
        for burst in (1, 11, 12, 13, 14):
            advice = advice_on(rate, burst)
            if advice is not None:
                enough = int(advice.hint.rpartition("set burst to ")[2].partition(" ")[0])
                assert advice_on(rate, enough) is None


@pytest.mark.parametrize(("mtu", "kbit"), [(1300, 11), (1400, 12), (1500, 13), (9000, 73)])
def test_the_least_burst_is_one_frame_of_the_mtu(mtu: int, kbit: int) -> None:
    assert frame_kbit(mtu) == kbit


@pytest.mark.parametrize(
    ("burst_kbit", "mtu", "is_told"), [(72, 9000, True), (73, 9000, False), (12, 9000, False), (13, 1500, False)]
)
def test_a_larger_mtu_needs_a_larger_burst(burst_kbit: int, mtu: int, *, is_told: bool) -> None:
    limit = Bandwidth(rate_kbps=20000, burst_kbit=burst_kbit)
    advice = frame_advice(limit, POLICY, PATH, network="jumbo", mtu=mtu)
    assert (advice is not None) == is_told
    assert advice is None or (advice.code, advice.path) == (Code.BURST_BELOW_FRAME, PATH)
