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
    from collections.abc import Mapping

    from netaddr import IPNetwork

    from ovnqos.diagnostics import ObjectRef
    from ovnqos.model.networks import NetworkSelector

PRIORITY_MAXIMUM = 100
"""Highest `spec.priority` (CRD)."""
RULES_MAXIMUM = 20
"""Most egress rules of one object (CRD)."""
PEERS_MAXIMUM = 500
"""Most entries of `to`, and of `from`, of one rule (CRD)."""
EXCEPTIONS_MAXIMUM = 1000
"""Most entries of `except` of one ipBlock (CRD)."""
PORTS_MAXIMUM = 500
"""Most entries of `ports` of one rule (CRD)."""
SELECTOR_MAXIMUM = 100
"""Most labels, and most expressions, of one label selector (CRD)."""
SELECTOR_VALUES_MAXIMUM = 500
"""Most values of one expression of a label selector (CRD)."""
PEER_SELECTORS_MAXIMUM = 40
"""Most different pairs of selectors in `to`, of all rules of one object: each is an address set."""
ROWS_MAXIMUM = 20_000
"""Most rows of one object."""
MATCHES_MAXIMUM = 16_777_216
"""Most characters that the matches of one object's rows may come to: they go to the database in one message."""
MEMBERS_MAXIMUM = 524_288
"""Most addresses of pods in the sets of one object's destinations. In the largest cluster that Kubernetes supports
(150,000 pods) all pods with two addresses each are 300,000."""
CIDRS_MAXIMUM = 65_536
"""Most CIDRs that the address blocks of one object, less their exceptions, may come to."""
DSCP_MAXIMUM = 63
BANDWIDTH_MAXIMUM = 4_294_967_295
"""Highest rate (kbps) and burst (kbit) that OVN's schema takes (ovn-nb(5), QoS, bandwidth)."""
PORT_MAXIMUM = 65_535
STANDARD_MTU = 1500
"""Of Ethernet, in bytes: taken where a network's own is not known."""
_ETHERNET_HEADER = 14
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
    labels: Mapping[str, str] = field(default_factory=dict, compare=False)
    diagnostics: tuple[Diagnostic, ...] = field(default=(), compare=False)

    @property
    def key(self) -> str:
        """`<namespace>/<name>`."""
        return f"{self.namespace}/{self.name}"


def frame_kbit(mtu: int = STANDARD_MTU) -> int:
    """The least burst, in kbit, that passes full-size packets of an MTU in bytes.

    A meter counts Ethernet frames without their checksum, and drops each that the bucket cannot hold. Measured: 12 kbit
    drop frames of 1514 bytes, 13 pass them; at MTU 9000 it is 73. A localnet network's VLAN tag is put on later.
    """
    return -(-(mtu + _ETHERNET_HEADER) * 8 // 1000)


def bandwidth_advice(bandwidth: Bandwidth, ref: ObjectRef, path: str) -> Diagnostic | None:
    """Say whether the burst is too small for packets, or for TCP, to get the rate, and what would be right.

    Measured at a rate of 20000 kbps with one TCP stream over a lab link of negligible delay, by congestion control, on
    OVN 23.03 and 25.03 alike:

    ========== ============== ============= =============
    burst kbit cubic, Mbit/s  BBR, Mbit/s   burst / rate
    ========== ============== ============= =============
    100        3 to 8         0.4 to 0.7    0.005 s
    500        5 to 8         2.5 to 2.9    0.025 s
    1000       6 to 7         5             0.05 s
    2000       10             10            0.1 s
    4000       18 to 19       18            0.2 s
    20000      18 to 21       18 to 21      1 s (default)
    ========== ============== ============= =============

    So BBR gets about five times the burst each second; cubic, what most systems use, gets more of a small burst. Both
    get the rate from rate / 5 on: the bound used here. UDP gets the full rate whatever the burst, down to one frame.

    Args:
        bandwidth: the limit.
        ref: the object that sets it.
        path: the field of its burst.

    Returns:
        A warning, or None when the burst is large enough.
    """
    rate, burst, frame = bandwidth.rate_kbps, bandwidth.burst_kbit, frame_kbit()
    enough = max(frame, -(-rate // TCP_BURST_DIVISOR))
    if _allowed(bandwidth) < frame:
        return _below_frame(bandwidth, ref, path, f"{frame} kbit at MTU {STANDARD_MTU}", enough)
    if burst is None or burst >= enough:
        return None
    share = max(1, 100 * TCP_BURST_DIVISOR * burst // rate)
    remedy = "leave burst out (OVN then allows one second of rate) or " if rate >= frame else ""
    return Diagnostic.warning(
        ref,
        Code.BURST_LIMITS_TCP,
        f"burst {burst} kbit keeps a TCP stream below rate {rate} kbps: it gets about {share} % of it with BBR, more "
        "with cubic, and UDP all of it",
        path=path,
        hint=f"{remedy}set burst to {enough} kbit or more",
    )


def frame_advice(bandwidth: Bandwidth, ref: ObjectRef, path: str, *, network: str, mtu: int) -> Diagnostic | None:
    """Say whether the burst is too small for full-size packets of a network with a larger MTU than the standard.

    Args:
        bandwidth: the limit.
        ref: the object that sets it.
        path: the field of its burst.
        network: the network's name.
        mtu: its MTU in bytes.

    Returns:
        A warning; None when the burst is large enough, or too small for any network, which `bandwidth_advice` says.
    """
    frame = frame_kbit(mtu)
    if not frame_kbit() <= _allowed(bandwidth) < frame:
        return None
    enough = max(frame, -(-bandwidth.rate_kbps // TCP_BURST_DIVISOR))
    return _below_frame(bandwidth, ref, path, f"{frame} kbit at MTU {mtu} of network {network}", enough)


def _allowed(bandwidth: Bandwidth) -> int:
    return bandwidth.rate_kbps if bandwidth.burst_kbit is None else bandwidth.burst_kbit


def _below_frame(bandwidth: Bandwidth, ref: ObjectRef, path: str, packet: str, enough: int) -> Diagnostic:
    rate, burst = bandwidth.rate_kbps, bandwidth.burst_kbit
    given = f"burst {burst} kbit" if burst is not None else f"the default burst of one second of rate, {rate} kbit,"
    text = f"{given} is below one full-size packet ({packet}), so such packets are all dropped"
    return Diagnostic.warning(ref, Code.BURST_BELOW_FRAME, text, path=path, hint=f"set burst to {enough} kbit or more")
