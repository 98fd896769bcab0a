"""The policy: what a NetworkQoS object says, checked and typed.

Rates are in kbps (1000 bit/s), bursts in kbit (1000 bit), as in the CRD and in OVN's QoS table (ovn-nb(5)).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from ovnqos.diagnostics import Code, Diagnostic
from ovnqos.model.labels import EVERYTHING, LabelSelector

if TYPE_CHECKING:
    from netaddr import IPNetwork

    from ovnqos.diagnostics import ObjectRef
    from ovnqos.model.networks import NetworkSelector

PRIORITY_MAXIMUM = 100
"""Highest `spec.priority` (CRD)."""
RULES_MAXIMUM = 20
"""Most egress rules of one object (CRD)."""
DSCP_MAXIMUM = 63
BANDWIDTH_MAXIMUM = 4_294_967_295
"""Highest rate (kbps) and burst (kbit) that OVN's schema takes (ovn-nb(5), QoS, bandwidth)."""
PORT_MAXIMUM = 65_535
FRAME_KBIT = 12
"""About one full Ethernet frame (1500 bytes). Measured: a bucket that holds less passes no full-size packet."""
TCP_BURST_DIVISOR = 5
"""TCP needs a burst of about rate / 5, a fifth of a second of its rate, to reach that rate."""


class Protocol(StrEnum):
    """Transport protocols that have ports."""

    TCP = "TCP"
    UDP = "UDP"
    SCTP = "SCTP"


class BandwidthScope(StrEnum):
    """What shares one meter: all selected pods of a chassis, or each pod alone."""

    POLICY = "policy"
    POD = "pod"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bandwidth:
    """A token bucket: `rate_kbps`, and `burst_kbit` (None: OVN's default, one second of rate)."""

    rate_kbps: int
    burst_kbit: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IPBlock:
    """A CIDR less the excluded CIDRs, which all lie inside it and are of its family."""

    cidr: IPNetwork
    excluded: tuple[IPNetwork, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PodPeer:
    """Pods as destinations. None: not given. Only `pod_selector`: pods of the policy's own namespace."""

    pod_selector: LabelSelector | None = None
    namespace_selector: LabelSelector | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PortMatch:
    """One entry of `classifier.ports`: any protocol with that port, a protocol with any port, or both given.

    `end_port`, not below `port`, makes it all ports from `port` to this one.
    """

    protocol: Protocol | None = None
    port: int | None = None
    end_port: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Classifier:
    """Which of the pods' packets a rule takes. Each list is a union; the three are and-ed; None leaves one open.

    An empty `destinations` (all entries select nothing) is not None: it matches no packet.
    """

    destinations: tuple[IPBlock | PodPeer, ...] | None = None
    sources: tuple[IPBlock, ...] | None = None
    ports: tuple[PortMatch, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One egress rule: mark with `dscp` (None: leave the mark alone), limit to `bandwidth` (None: no limit)."""

    dscp: int | None = None
    bandwidth: Bandwidth | None = None
    classifier: Classifier = Classifier()


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkQoS:
    """A valid NetworkQoS object.

    `network_selectors` None: every network that the selected pods are on. `diagnostics` holds the warnings of its
    parser.
    """

    namespace: str
    name: str
    priority: int
    rules: tuple[Rule, ...]
    pod_selector: LabelSelector = EVERYTHING
    network_selectors: tuple[NetworkSelector, ...] | None = None
    bandwidth_scope: BandwidthScope = BandwidthScope.POLICY
    generation: int = 0
    diagnostics: tuple[Diagnostic, ...] = field(default=(), compare=False)

    @property
    def key(self) -> str:
        """`<namespace>/<name>`."""
        return f"{self.namespace}/{self.name}"


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
