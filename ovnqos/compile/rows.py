"""Desired state in OVN's own terms: QoS rows, port groups and address sets of the Northbound; and changes of it.

Source of the limits: ovn-nb(5), tables QoS, Port_Group and Address_Set.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import blake2b
from typing import TYPE_CHECKING, TypeVar

from ovnqos.errors import InvalidRow
from ovnqos.match.addresses import AddressBlock, union
from ovnqos.match.syntax import Match, check_name
from ovnqos.model.policy import BANDWIDTH_MAXIMUM, DSCP_MAXIMUM, RULES_MAXIMUM

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from netaddr import IPNetwork


POLICY_KIND = "NetworkQoS"

POD_KIND = "Pod"
"""Rows of pods have identities and objects that begin with this: `Pod/<namespace>/<name>`."""

PRIORITY_MAXIMUM = 32_767
MARK_MAXIMUM = 4_294_967_295

NETWORK_QOS_BASE = 10_000
"""Lowest OVN priority of a NetworkQoS rule, as in ovn-kubernetes. Below it: EgressIP and EgressQoS of ovn-kubernetes
(up to 1000), Neutron's rows (2002, 2003), and the rows of single pods."""

POD_QOS_PRIORITY = 5_000
"""OVN priority of the limits of pod annotations: a NetworkQoS wins where both match."""

POD_MARK_PRIORITY = 4_990
"""OVN priority of their marks, which a receiver's limit in the same direction therefore does not conflict with."""

INGRESS_QOS_PRIORITY = 15_000
"""OVN priority of ingress limits: above every NetworkQoS. No policy of a sender shadows the limit of a receiver."""

_STEP = 2
_CARRYING_STEP = 10_000
_CARRYING = "//"  # in no other identity: names of Kubernetes hold no slash and are not empty
_T = TypeVar("_T")


def network_qos_priority(priority: int, rule_index: int) -> int:
    """OVN priority of rule `rule_index` (0 to 19) of an object of `priority` (0 to 100); a later rule wins.

    Always even: the next number is for a pod's own limit that has joined the rule.
    """
    return NETWORK_QOS_BASE + _STEP * (RULES_MAXIMUM * priority + rule_index)


def joined_priority(rule_priority: int) -> int:
    """OVN priority of a pod's row that has the effect of a rule of this OVN priority beside the pod's own limit."""
    return rule_priority + 1


def carrying_priority(priority: int) -> int:
    """OVN priority of the row that does what one of this priority does, and what a foreign row below it does.

    Right above it for limits of pods. Those beside rules of policies are in a band of their own, in the same order.
    """
    return priority + (1 if priority < NETWORK_QOS_BASE else _CARRYING_STEP)


class Direction(StrEnum):
    """When a row sees a packet: as it enters the switch from a port, or as it leaves to a port."""

    FROM_LPORT = "from-lport"
    TO_LPORT = "to-lport"


@dataclass(frozen=True, slots=True, kw_only=True)
class QosRow:
    """One row of the table QoS, bound to the logical switches that reference it.

    Attributes:
        switches: names of the logical switches; at least one.
        direction: where in the pipeline it matches.
        priority: 1 to 32767, higher wins. 0 is refused: it loses to the pipeline's default flow.
        match: which packets.
        dscp: mark to set, 0 to 63; None leaves the mark alone.
        rate_kbps: limit in kbps (1000 bit/s); None for no limit. One meter per chassis and row.
        burst_kbit: bucket size in kbit (1000 bit); None for OVN's default, one second of rate.
        mark: of the packet inside OVN, 0 to 4294967295, which routers see; None leaves it alone. From OVN 24.03 on.
        identity: tells the row apart among its owner's rows, so that a later change edits it in place. Empty: derived
            from direction, priority and match, so that changing one of these replaces the row.
        external_ids: further keys to keep with the row.

    Raises InvalidRow when a value is out of range.
    """

    switches: frozenset[str]
    direction: Direction
    priority: int
    match: Match
    dscp: int | None = None
    rate_kbps: int | None = None
    burst_kbit: int | None = None
    mark: int | None = None
    identity: str = ""
    external_ids: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if type(self.switches) is not frozenset:
            object.__setattr__(self, "switches", frozenset(self.switches))
        if not self.switches:
            raise InvalidRow("switches: name at least one logical switch; OVN drops a row that none references")
        if not isinstance(self.match, Match):
            raise InvalidRow(
                f"match: {self.match!r} is not a match expression; `m.tcp.dst.isin(80)` is one, `==` makes a bool"
            )
        _check_range("priority", self.priority, 1, PRIORITY_MAXIMUM)
        if self.dscp is not None:
            _check_range("dscp", self.dscp, 0, DSCP_MAXIMUM)
        if self.mark is not None:
            _check_range("mark", self.mark, 0, MARK_MAXIMUM)
        if self.rate_kbps is not None:
            _check_range("rate_kbps", self.rate_kbps, 1, BANDWIDTH_MAXIMUM)
        if self.burst_kbit is not None:
            _check_range("burst_kbit", self.burst_kbit, 1, BANDWIDTH_MAXIMUM)
            if self.rate_kbps is None:
                raise InvalidRow("burst_kbit: needs rate_kbps; OVN ignores a burst without a rate")
        if self.dscp is None and self.rate_kbps is None and self.mark is None:
            raise InvalidRow("dscp, rate_kbps, mark: give at least one; a row without any differs by OVN version")
        if not self.identity:
            digest = name_hash(self.direction, str(self.priority), str(self.match))
            object.__setattr__(self, "identity", f"row/{digest}")

    @property
    def action(self) -> dict[str, int]:
        """Column `action`."""
        given = {"dscp": self.dscp, "mark": self.mark}
        return {key: value for key, value in given.items() if value is not None}

    @property
    def bandwidth(self) -> dict[str, int]:
        """Column `bandwidth`: rate in kbps, burst in kbit."""
        given = {"rate": self.rate_kbps, "burst": self.burst_kbit}
        return {key: value for key, value in given.items() if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class PortGroup:
    """Logical switch ports by name, used in a match as `@name`. Raises InvalidRow for a name that OVN cannot read."""

    name: str
    ports: frozenset[str]
    identity: str = ""
    external_ids: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_set(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressSet:
    """IP addresses and CIDRs of one version, used in a match as `$name`.

    Never mix versions: an IPv6 address in a set that `ip4` uses leaves stale flows behind (measured on OVN 23.03).
    Raises InvalidRow for mixed versions, or a name that OVN cannot read. `of` checks and merges addresses as well.
    """

    name: str
    addresses: frozenset[str]
    identity: str = ""
    external_ids: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, name: str, networks: Iterable[str | IPNetwork]) -> AddressSet:
        """A set of these addresses and CIDRs, as few as cover the same. Raises InvalidRow for text that is neither."""
        try:
            blocks = union(AddressBlock.parse(str(network)) for network in networks)
        except ValueError as error:
            raise InvalidRow(f"address set {name}: {error}") from None
        return cls(name=name, addresses=frozenset(map(str, blocks)))

    def __post_init__(self) -> None:
        _check_set(self)
        if ":" in "".join(self.addresses) and not all(":" in address for address in self.addresses):
            raise InvalidRow(f"address set {self.name}: IPv4 and IPv6 addresses must not share a set")


def _no_addresses(_network: str) -> frozenset[str]:
    return frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class InputScope:
    """Which objects a desired state was compiled from.

    Attributes:
        objects: the policies and pods, valid or not, as `<kind>/<namespace>/<name>`.
        policies: whether there is any policy.
        pods: whether there is any pod.
        ports: the logical switch ports of the pods, on networks that are known.
        undeclared_ports: those on other networks, each with the NetworkAttachmentDefinition that is missing.
        unlabelled_ports: those on networks that a policy selects by labels of a Namespace that is missing.
        ports_elsewhere: those that only another zone's Northbound has, each with its node.
        finished_ports: those of pods that are completed or failed, which may be gone.
        addresses: gives the IP and MAC addresses of the pods on a network, by its name; found when they are asked for.
        unlabelled_addresses: those of pods whose Namespace is not among the objects.
        missing_namespaces: the names of these namespaces, sorted.
        unlabelled_sets: names of the desired sets that do not depend on labels of namespaces.
        selects_namespaces: whether a policy selects pods by labels of their namespaces.
        cluster_cidrs: whether the addresses inside the cluster are known.
        all_nodes: whether the Northbound wires the pods of all nodes.
        topology: the name of the topology that the ports are named by.
        unread: kinds whose objects could not be read, so that none of them counts as gone.
        namespace: the only one whose objects' rows may change; empty: all.
        only: the only objects whose rows may change; None: all.
    """

    objects: frozenset[str] = frozenset()
    policies: bool = False
    pods: bool = False
    ports: frozenset[str] = frozenset()
    undeclared_ports: Mapping[str, str] = field(default_factory=dict)
    unlabelled_ports: frozenset[str] = frozenset()
    ports_elsewhere: Mapping[str, str] = field(default_factory=dict)
    finished_ports: frozenset[str] = frozenset()
    addresses: Callable[[str], frozenset[str]] = _no_addresses
    unlabelled_addresses: Callable[[str], frozenset[str]] = _no_addresses
    missing_namespaces: tuple[str, ...] = ()
    unlabelled_sets: frozenset[str] = frozenset()
    selects_namespaces: bool = False
    cluster_cidrs: bool = False
    all_nodes: bool = False
    topology: str = ""
    unread: frozenset[str] = frozenset()
    namespace: str = ""
    only: frozenset[str] | None = None

    def may_change(self, *objects: str) -> bool:
        """Whether the rows of any of these objects may change."""
        return any(
            (not self.namespace or one.split("/")[1:2] == [self.namespace]) and (self.only is None or one in self.only)
            for one in objects
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DesiredState:
    """The desired state of one owner in a Northbound. Build it with `of`.

    Attributes:
        rows: by identity.
        port_groups: by name.
        address_sets: by name.
        retained: objects (`NetworkQoS/<namespace>/<name>`) whose present rows stay as they are, with the sets they use;
            or single rows, by their identity.
        scope: which objects it was compiled from; what belongs to others stays. None: it is complete, and whatever else
            the owner has is extra.
    """

    rows: Mapping[str, QosRow]
    port_groups: Mapping[str, PortGroup]
    address_sets: Mapping[str, AddressSet]
    retained: frozenset[str] = frozenset()
    scope: InputScope | None = field(default=None, compare=False)

    @classmethod
    def of(
        cls,
        *,
        rows: Iterable[QosRow] = (),
        port_groups: Iterable[PortGroup] = (),
        address_sets: Iterable[AddressSet] = (),
        retained: Iterable[str] = (),
    ) -> DesiredState:
        """Collect rows, groups and sets. Raises InvalidRow when two of a kind share an identity or name."""
        return cls(
            rows=_by_name("QoS row", ((row.identity, row) for row in rows)),
            port_groups=_by_name("port group", ((group.name, group) for group in port_groups)),
            address_sets=_by_name("address set", ((one.name, one) for one in address_sets)),
            retained=frozenset(retained),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Delta:
    """What changed in the desired state: the part of it to compare with the database.

    Attributes:
        rows: identities of rows that may have been added, changed or removed.
        sets: names of port groups and address sets likewise; with the members that may have been added or removed, or
            None to compare the whole set.
        desired: the desired rows and sets among those named; a set holds only the members named, unless None.
        compiled_rows: those rows whose desired content changed; the others were marked dirty only.
        compiled_sets: likewise those sets, with the members that changed.
        policies: keys of the policies that were compiled, or whose diagnostics may have changed.
        recounted: keys of the policies whose source pods came or went; see `Compiler.policy_counts`.
        pods: keys of the pods that were compiled, or whose diagnostics may have changed.
    """

    rows: frozenset[str]
    sets: Mapping[str, frozenset[str] | None]
    desired: DesiredState = field(default_factory=DesiredState.of)
    compiled_rows: frozenset[str] = frozenset()
    compiled_sets: Mapping[str, frozenset[str] | None] = field(default_factory=dict)
    policies: frozenset[str] = frozenset()
    recounted: frozenset[str] = frozenset()
    pods: frozenset[str] = frozenset()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to compare."""
        return not self.rows and not self.sets


def name_hash(*parts: str) -> str:
    """16 hexadecimal digits that stand for these texts: stable over runs, machines and versions."""
    return blake2b("\0".join(parts).encode(), digest_size=8).hexdigest()


def object_of(identity: str) -> str:
    """The object (`<kind>/<namespace>/<name>`) that the identity of a compiled row names."""
    return "/".join(identity.split("/", 3)[:3])


def carrying_identity(identity: str, what: str) -> str:
    """The identity of a row that does what the row of this identity does, and what foreign rows below it do."""
    return f"{identity}{_CARRYING}{name_hash(what)}"


def carried_for(identity: str) -> str:
    """The identity of the desired row that a row of this identity belongs to: that one, or itself."""
    return identity.partition(_CARRYING)[0]


def policy_of(identity: str) -> str:
    """The key (`<namespace>/<name>`) of the policy that a row's identity names; empty when it names none."""
    kind, _, key = object_of(identity).partition("/")
    return key if kind == "NetworkQoS" and "/" in key else ""


def _by_name(kind: str, items: Iterable[tuple[str, _T]]) -> dict[str, _T]:
    found: dict[str, _T] = {}
    for name, item in items:
        if found.setdefault(name, item) != item:
            raise InvalidRow(f"{kind} {name!r} is given twice, with different content")
    return found


def _check_range(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise InvalidRow(f"{name}: {value} is out of range; use {low} to {high}")


def _check_set(one: PortGroup | AddressSet) -> None:
    check_name(one.name)
    if not one.identity:
        object.__setattr__(one, "identity", f"set/{one.name}")
