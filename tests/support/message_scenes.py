"""Small clusters whose compilation or conversion draws diagnostics, for the golden file of messages."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from netaddr import IPNetwork

from ovnqos import (
    Bandwidth,
    BandwidthScope,
    Classifier,
    Code,
    Compiler,
    Diagnostic,
    InvalidObject,
    Namespace,
    NetworkAttachmentDefinition,
    NetworkQoS,
    ObjectRef,
    Owner,
    Pod,
    PodPeer,
    PodQos,
    PortMatch,
    Protocol,
    Rule,
    Snapshot,
    plan_changes,
)
from ovnqos.compile.network_qos import too_many_members, too_many_rows
from ovnqos.compile.overlaps import RIVALS_MAXIMUM
from ovnqos.compile.topologies.kube_ovn import KubeOvnTopology
from ovnqos.compile.topology import OvnKubernetesTopology
from ovnqos.controller import (
    ActualRow,
    Inventory,
    NetworkTopology,
    NorthboundUnavailable,
    RowContent,
    describe_conflicts,
    describe_missing,
    detect_topology,
    find_shadowed_limits,
)
from ovnqos.convert import to_annotations, to_network_qos
from ovnqos.model.labels import EVERYTHING
from ovnqos.model.networks import ANY_NAD_SELECTOR, DEFAULT_NETWORK_SELECTOR, NetworkRole
from ovnqos.plan.address_claims import describe_address_claims
from ovnqos.sources.egress_qos import EgressQoS, EgressQoSRule
from ovnqos.sources.pod_annotations import read_pod_qos
from ovnqosd.loop.comparison import MissingReferences
from ovnqosd.loop.limit_changes import change_delayed
from ovnqosd.loop.removal_guard import removal_held
from ovnqosd.status.policy_outcome import last_valid_version, object_ref, unavailable
from tests.support import kube_ovn
from tests.support.cluster import attachment, attachments_selector, block, compiled, labels, pod, policy, rule
from tests.support.converting import manifests
from tests.support.database import stored
from tests.support.policy_oracle import Cluster
from tests.support.verified_clusters import snapshot_of_ours, verified

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovnqos import Direction
    from ovnqos.controller import Network

SLOW, FAST = Bandwidth(rate_kbps=10_000), Bandwidth(rate_kbps=50_000)
CIDRS = (IPNetwork("10.0.0.0/8"), IPNetwork("fd00::/8"))
OUTSIDE = (block("0.0.0.0/0", "10.0.0.0/8"), block("::/0", "fd00::/8"))
CLIENT = pod("client", "10.0.0.1")
ON_BLUE = pod("client", networks={"default": ["10.0.0.1"], "shop/blue": ["10.1.0.1"]}, labels={"app": "web"})
MACVLAN = NetworkAttachmentDefinition(namespace="shop", name="blue", labels={}, plugin="macvlan", ovn=None)
TO_PODS = PodPeer(pod_selector=EVERYTHING)


def _two_launchers() -> tuple[Pod, ...]:
    made = (kube_ovn.pod(name, kube_ovn.interface("10.16.0.5", machine="vm")) for name in ("old", "new"))
    return tuple(replace(one, qos=PodQos(egress=limit)) for one, limit in zip(made, (SLOW, FAST), strict=True))


def _claimed_port() -> tuple[Pod, ...]:
    """A pod whose annotations name another pod's port, beside that pod."""
    claiming = kube_ovn.pod("thief", kube_ovn.interface("10.16.0.5", machine="db"), labels={"app": "web"})
    return claiming, kube_ovn.pod("db", kube_ovn.interface("10.16.0.5"))


class _FailingTopology(OvnKubernetesTopology):
    def direction(self, network: Network) -> Direction:
        raise RuntimeError(f"no direction for {network.name}")


def compiled_diagnostics() -> Iterator[Diagnostic]:
    """What the compiler says."""
    limited = replace(CLIENT, qos=PodQos(ingress=SLOW, egress=SLOW, dscp=46))
    primary = attachment("shop/main", "10.3.0.0/16", topology=NetworkTopology.LAYER2, role=NetworkRole.PRIMARY)
    on_primary = pod("client", networks={"shop/main": ["10.3.0.1"]})
    flat = attachment("shop/flat", topology=NetworkTopology.LAYER2)
    on_flat = pod("client", networks={"shop/flat": ["10.9.0.1"]})
    scenes = (
        compiled(policy(), ON_BLUE),
        compiled(policy(networks=[ANY_NAD_SELECTOR]), ON_BLUE, MACVLAN),
        compiled(policy(), ON_BLUE, MACVLAN),
        compiled(policy(), pod("client", networks={"default": ["banana"]})),
        compiled(policy(rule(rate=5000, ports=(PortMatch(port=53),))), CLIENT),
        compiled(policy(rule(46, ports=(PortMatch(protocol=Protocol.UDP, port=53),))), CLIENT),
        compiled(policy(rule(46, ports=(PortMatch(protocol=Protocol.UDP),))), pod("client", "fd00::1")),
        compiled([], limited),
        compiled([], *_two_launchers(), topology=KubeOvnTopology()),
        compiled(policy(pods=labels(app="web")), *_claimed_port(), topology=KubeOvnTopology()),
        compiled([], replace(pod("client", "10.0.0.1", "fd00::1"), qos=PodQos(dscp=46)), cluster_cidrs=CIDRS[:1]),
        compiled([], replace(pod("client", "11.0.0.1"), qos=PodQos(dscp=46)), cluster_cidrs=CIDRS),
        compiled(policy(rule(rate=20_000, burst=50)), on_flat, attachment("shop/flat", mtu=9000)),
        compiled([], replace(on_flat, qos=PodQos(egress=SLOW)), flat),
        compiled(policy(rule(destinations=())), CLIENT),
        compiled(policy(rule(destinations=(TO_PODS,))), on_primary, primary),
        compiled(policy(rule(destinations=(TO_PODS,))), pod("client", networks={"shop/flat": []}), flat),
        compiled(policy(), CLIENT, topology=_FailingTopology()),
        compiled([policy(name="a"), policy(name="b")], CLIENT),
        compiled(policy(), *_contradictory()),
        *_empty_selections(),
    )
    for compiler in scenes:
        compiler.desired()
        yield from compiler.all_diagnostics()
    yield too_many_rows(object_ref("NetworkQoS", "shop/gold"), 30_000, 20_000, per_pod=True)
    yield too_many_rows(object_ref("NetworkQoS", "shop/gold"), 4_000, 1_500, per_pod=False)
    yield too_many_members(object_ref("NetworkQoS", "shop/gold"))
    crowd = compiled([policy(name=f"p{index}") for index in range(RIVALS_MAXIMUM + 1)], CLIENT)
    yield from crowd.diagnostics("NetworkQoS", "shop/p0")
    yield from _shadowed(compiled([policy(rule(rate=5)), policy(name="b", priority=20)], CLIENT))
    yield from _shadowed(compiled(policy(rule(rate=5), rule(7)), CLIENT))
    yield from _shadowed(compiled(policy(rule(1, rate=5)), replace(on_flat, qos=PodQos(egress=SLOW)), flat))


def _empty_selections() -> Iterator[Compiler]:
    """Policies that select no pod, or no network."""
    web = labels(app="web")
    unread, unwired = (replace(pod(name, labels={"app": "web"}), annotations={}) for name in ("unread", "unwired"))
    hosted, done = (replace(unwired, name="hosted", host_network=True), replace(unwired, name="done", phase="Failed"))
    unread = replace(unread, annotations={"k8s.ovn.org/pod-networks": "{"})
    yield compiled(policy())
    yield compiled(policy(pods=web), CLIENT)
    yield compiled(policy(pods=web), unwired, hosted, done, unread)
    yield compiled(policy(), CLIENT, nodes=["node2"])
    yield compiled(policy(networks=[ANY_NAD_SELECTOR]), CLIENT)
    yield compiled(policy(networks=[ANY_NAD_SELECTOR]), CLIENT, attachment("shop/blue"))
    for broken in ({"k8s.ovn.org/pod-networks": "{"}, {}):  # a pod that was readable
        web_pod = replace(CLIENT, uid="1", qos=PodQos(egress=SLOW))
        unreadable = replace(
            web_pod,
            annotations=broken,
            qos=read_pod_qos({"qos.projectcalico.org/egressBandwidth": "no"}, object_ref("Pod", web_pod.key)),
        )
        yield compiled(policy(), web_pod, unreadable)


def _contradictory() -> tuple[object, ...]:
    """Two NADs of one network that disagree on its topology, and a pod on both."""
    flat = attachment("shop/flat", "10.9.0.0/16", network="blue", topology=NetworkTopology.LAYER2)
    both = pod("client", networks={"shop/blue": ["10.1.0.1"], "shop/flat": ["10.9.0.1"]})
    return attachment("shop/blue", "10.1.0.0/16"), flat, both


def _shadowed(compiler: Compiler) -> Iterator[Diagnostic]:
    for one in find_shadowed_limits(compiler.desired()):
        yield one.diagnostic


def annotation_diagnostics() -> Iterator[Diagnostic]:
    """What `to_annotations` says."""
    both, mark = rule(46, rate=10_000), rule(46, destinations=OUTSIDE)
    web = _labelled("web")
    for given in (
        _policy(mark, both),
        _policy(rule(46, destinations=(block("1.2.3.0/24"),))),
        _policy(rule(46, destinations=(TO_PODS,))),
        _policy(rule(46, sources=(block("10.0.0.0/8"),))),
        _policy(rule(46, ports=(PortMatch(port=80),))),
        _policy(rule(46, rate=5, destinations=OUTSIDE)),
        _policy(both, scope=BandwidthScope.POLICY),
        _policy(mark, pods=labels(app="db")),
        _policy(mark, networks=(attachments_selector(EVERYTHING, EVERYTHING),)),
        _policy(mark, networks=None, pods=EVERYTHING),
        _policy(rule(None)),
        _policy(both),
    ):
        yield from to_annotations(manifests(given, web), cluster_cidrs=CIDRS).diagnostics
    wrong = Diagnostic.error(ObjectRef(kind="Pod", namespace="shop", name="web"), Code.INVALID_FIELD, "is wrong")
    for qos in (PodQos(egress=SLOW), PodQos(dscp=7), PodQos(diagnostics=(wrong,))):
        for given in (_policy(both), _policy(mark)):
            objects = manifests(given, replace(web, qos=qos))
            yield from to_annotations(objects, cluster_cidrs=CIDRS).diagnostics
    marks = EgressQoS(namespace="shop", name="default", rules=(EgressQoSRule(dscp=8),))
    for objects in (
        manifests(_policy(mark, networks=None), ON_BLUE),
        manifests(_policy(both), web, marks),
        manifests(_policy(mark), web, attachment("shop/main", "10.3.0.0/16", role=NetworkRole.PRIMARY)),
    ):
        yield from to_annotations(objects, cluster_cidrs=CIDRS).diagnostics
    yield from to_annotations(manifests(_policy(mark), web), cluster_cidrs=()).diagnostics


def network_qos_diagnostics() -> Iterator[Diagnostic]:
    """What `to_network_qos` says."""
    marks = EgressQoS(namespace="shop", name="default", rules=(EgressQoSRule(dscp=8), EgressQoSRule(dscp=9)))
    defaults = Namespace(name="shop", labels={}, qos=PodQos(egress=FAST, ingress=SLOW, dscp=46))
    limited = _labelled("web", PodQos(egress=SLOW, dscp=46))
    others = [_labelled("a", PodQos(egress=SLOW), app="web"), _labelled("b", app="web")]
    mains = [attachment(f"shop/{name}", "10.3.0.0/16", role=NetworkRole.PRIMARY) for name in ("main", "other")]
    for objects, mark in (
        ((limited,), None),
        ((limited,), 0),
        ((_labelled("web", PodQos(ingress=SLOW)), _labelled("db", PodQos(egress=FAST))), 0),
        ((replace(limited, labels={}),), 0),
        ((replace(limited, labels={"pod-template-hash": "a"}),), 0),
        ((replace(limited, host_network=True),), 0),
        ((defaults, *others), 0),
        ((limited, *mains), 0),
        ((marks, _labelled("web")), None),
        ((marks, limited), None),
        ((marks, limited, policy(name="egress-qos")), 0),
    ):
        yield from to_network_qos(manifests(*objects), cluster_cidrs=CIDRS, mark=mark).diagnostics
    yield from to_network_qos(manifests(limited), cluster_cidrs=(), mark=0).diagnostics
    yield from to_network_qos(manifests(_labelled("web", PodQos(dscp=46))), cluster_cidrs=(), mark=0).diagnostics


def plan_diagnostics() -> Iterator[Diagnostic]:
    """What a plan says of an input that is not complete."""
    team = Rule(dscp=4, classifier=Classifier(destinations=(PodPeer(namespace_selector=labels(team="x")),)))
    marked = replace(pod("marked", "10.0.0.2"), qos=PodQos(dscp=46))
    policies = (policy(name="gold"), policy(team, name="team", priority=50))
    whole = compiled(policies, ON_BLUE, marked, attachment("shop/blue"), cluster_cidrs=CIDRS).desired()
    ports = {"shop_client", "shop.blue_shop_client", "shop_marked"}
    snapshot = replace(stored(whole, Owner(), {"node1", "blue_node1"}, ports).snapshot(Owner()), addresses={})
    for kept, pods in ((policies, (marked,)), (policies, (ON_BLUE, marked)), (policies, ()), ((), (ON_BLUE, marked))):
        for prune in (False, True):
            yield from plan_changes(compiled(kept, *pods).desired(), snapshot, prune=prune).incomplete
    yield from plan_changes(compiled(policies, marked).desired(), replace(snapshot, ports={"x": "uuid"})).incomplete
    elsewhere = compiled(policies, ON_BLUE, marked, attachment("shop/blue"), nodes=["node2"], cluster_cidrs=CIDRS)
    yield from plan_changes(elsewhere.desired(), snapshot).incomplete
    other = compiled(policies, ON_BLUE, marked, topology=KubeOvnTopology())
    yield from plan_changes(other.desired(), snapshot).incomplete
    yield from filter(None, (detect_topology([ON_BLUE, kube_ovn.pod("b")])[1],))
    yield from filter(None, (detect_topology([replace(CLIENT, annotations={})])[1],))
    yield from describe_missing(plan_changes(whole, Snapshot()).missing)
    limited = compiled([], replace(CLIENT, qos=PodQos(egress=SLOW))).desired()
    for match, action in (("ip4 && (", {"mark": 42}), ("ip4", {"dscp": 30})):
        content = replace(_foreign_row(103, {}).content, direction="from-lport", match=match, action=action)
        foreign = replace(_foreign_row(103, {}), content=content, switches=frozenset({"node1"}))
        yield from plan_changes(limited, replace(snapshot, foreign_rows=(foreign,))).shadowed
    for holders in ({"10.0.0.9": {"shop_client"}}, {"10.0.0.9": {"shop_client"}, "10.0.0.1": {"shop_db"}}):
        yield from describe_address_claims(Inventory(OvnKubernetesTopology(), [CLIENT]), Snapshot(addresses=holders))
    invalid = InvalidObject(ObjectRef(kind="NetworkQoS", namespace="shop", name="tin"), [])
    only_invalid = compiled((), invalid, ON_BLUE, marked, attachment("shop/blue"), cluster_cidrs=CIDRS)
    yield from plan_changes(only_invalid.desired(), snapshot, prune=True).incomplete


def daemon_diagnostics() -> Iterator[Diagnostic]:
    """What the daemon says of a policy beside what its compiler says."""
    compiler = compiled(policy(), *(pod(f"p{number}", f"10.0.0.{number}", node=f"n{number}") for number in range(1, 8)))
    desired = compiler.desired()
    missing = MissingReferences()
    elsewhere = Snapshot(owner=compiler.owner, ports={"lsp": "uuid"})
    missing.replace(plan_changes(desired, elsewhere), desired)
    lacking = missing.take_changed()
    upstream = {"k8s.ovn.org/owner-type": "NetworkQoS", "k8s.ovn.org/name": "shop:silver"}
    foreign = Snapshot(foreign_rows=(_foreign_row(10_000, upstream), _foreign_row(10_400, {})))
    for found in (missing.switch_diagnostics(lacking), missing.port_diagnostics(lacking)):
        for diagnostics in found.values():
            yield from diagnostics
    yield from describe_conflicts(desired, foreign)
    yield unavailable(object_ref("NetworkQoS", "shop/gold"), NorthboundUnavailable("ssl:nb1:6641: connection refused"))
    yield removal_held("NetworkQoS", "shop/gold", 12, are_missing=True)
    yield removal_held("NetworkQoS", "shop/gold", 12, are_missing=False)
    yield last_valid_version(ObjectRef(kind="NetworkQoS", namespace="shop", name="gold"))
    yield change_delayed(ObjectRef(kind="Pod", namespace="shop", name="web"))


def promise_diagnostics() -> Iterator[Diagnostic]:
    """What is said of objects whose packets get something else than they promise."""
    cluster = Cluster(pods=(pod("a", "10.0.0.1"), pod("b", "10.0.0.2")), namespaces=(), attachments=())
    compiler = compiled(policy(rule(rate=5)), *cluster.objects)
    whole = snapshot_of_ours(compiler, cluster)
    gold = next(one for one in whole.rows if one.content.direction == "to-lport")
    priority, on = gold.content.priority, frozenset({"node1"})
    above, equal = (
        replace(gold, uuid=f"{number}", content=_foreign_row(number, {}).content, switches=on)
        for number in (priority + 1, priority)
    )
    half = replace(gold, content=replace(gold.content, match=f"{gold.content.match} && ip4.dst == 0.0.0.0/1"))
    for rows, foreign in (((), ()), ((half,), ()), ((gold,), (above,)), ((gold,), (equal,))):
        snapshot = replace(whole, rows=rows, foreign_rows=foreign)
        yield from verified(compiler, cluster, snapshot).diagnostics()


def _foreign_row(priority: int, external_ids: dict[str, str]) -> ActualRow:
    content = RowContent(
        direction="to-lport",
        priority=priority,
        match="ip4",
        action={"dscp": 2},
        bandwidth={},
        external_ids=external_ids,
    )
    return ActualRow(uuid=f"{priority}", content=content, switches=frozenset({"n1"}))


def _labelled(name: str, qos: PodQos | None = None, **own: str) -> Pod:
    return replace(pod(name, "10.0.0.5", labels=own or {"app": name}), qos=qos or PodQos())


def _policy(*rules: Rule, **given: Any) -> NetworkQoS:
    defaults = {"pods": labels(app="web"), "networks": (DEFAULT_NETWORK_SELECTOR,), "scope": BandwidthScope.POD}
    return policy(*rules, **{**defaults, **given})
