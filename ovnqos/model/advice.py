"""Advice on settings that are valid but do not do what their author is likely to expect."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovnqos.diagnostics import Code, Diagnostic

if TYPE_CHECKING:
    from ovnqos.diagnostics import ObjectRef
    from ovnqos.model.policy import Bandwidth

FRAME_KBIT = 12
"""About one full Ethernet frame (1500 bytes). Measured: a bucket that holds less passes no full-size packet."""
TCP_BURST_DIVISOR = 5
"""TCP needs a burst of about rate / 5, a fifth of a second of its rate, to reach that rate."""


def bandwidth_advice(bandwidth: Bandwidth, ref: ObjectRef, path: str) -> Diagnostic | None:
    """Say whether the burst is too small for packets, or for TCP, to get the rate, and what would be right.

    Measured on OVN 23.03 at a rate of 20000 kbps with one TCP stream over a lab link of negligible delay:

    ========== ============== ============ =============
    burst kbit TCP, Mbit/s    of the rate  burst / rate
    ========== ============== ============ =============
    100        0.45           2 %          0.005 s
    500        2.4            12 %         0.025 s
    2000       10             50 %         0.1 s
    20000      21             105 %        1 s (default)
    ========== ============== ============ =============

    So the stream gets about five times the burst each second, and the rate itself from rate / 5 on: the bound used
    here, drawn from the straight part of the table. UDP gets the full rate whatever the burst, down to one frame.

    Args:
        bandwidth: the limit.
        ref: the object that sets it.
        path: the field of its burst.

    Returns:
        A warning, or None when the burst is large enough.
    """
    rate, burst = bandwidth.rate_kbps, bandwidth.burst_kbit
    enough = max(FRAME_KBIT, -(-rate // TCP_BURST_DIVISOR))
    allowed = rate if burst is None else burst
    if allowed < FRAME_KBIT:
        given = f"burst {burst} kbit" if burst is not None else f"the default burst of one second of rate, {rate} kbit,"
        return Diagnostic.warning(
            ref,
            Code.BURST_BELOW_FRAME,
            f"{given} is below one full-size packet ({FRAME_KBIT} kbit), so such packets are all dropped",
            path=path,
            hint=f"set burst to {enough} kbit or more",
        )
    if burst is None or burst >= enough:
        return None
    share = max(1, 100 * TCP_BURST_DIVISOR * burst // rate)
    remedy = "leave burst out (OVN then allows one second of rate) or " if rate >= FRAME_KBIT else ""
    return Diagnostic.warning(
        ref,
        Code.BURST_LIMITS_TCP,
        f"burst {burst} kbit limits TCP to about {share} % of rate {rate} kbps (UDP gets all of it)",
        path=path,
        hint=f"{remedy}set burst to {enough} kbit or more",
    )
