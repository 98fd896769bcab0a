"""The policy: what a NetworkQoS object says, checked and typed.

Rates are in kbps (1000 bit/s), bursts in kbit (1000 bit), as in the CRD and in OVN's QoS table (ovn-nb(5)).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from ovnqos.model.labels import EVERYTHING, LabelSelector

if TYPE_CHECKING:
    from netaddr import IPNetwork

    from ovnqos.model.networks import NetworkSelector

PRIORITY_MAXIMUM = 100
"""Highest `spec.priority` (CRD)."""
RULES_MAXIMUM = 20
"""Most egress rules of one object (CRD)."""
DSCP_MAXIMUM = 63
BANDWIDTH_MAXIMUM = 4_294_967_295
"""Highest rate (kbps) and burst (kbit) that OVN's schema takes (ovn-nb(5), QoS, bandwidth)."""
PORT_MAXIMUM = 65_535


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
    """One entry of `classifier.ports`: any protocol with that port, a protocol with any port, or both given."""

    protocol: Protocol | None = None
    port: int | None = None


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
    """A valid NetworkQoS object. `network_selectors` None: every network that the selected pods are on."""

    namespace: str
    name: str
    priority: int
    rules: tuple[Rule, ...]
    pod_selector: LabelSelector = EVERYTHING
    network_selectors: tuple[NetworkSelector, ...] | None = None
    bandwidth_scope: BandwidthScope = BandwidthScope.POLICY
    generation: int = 0

    @property
    def key(self) -> str:
        """`<namespace>/<name>`."""
        return f"{self.namespace}/{self.name}"
