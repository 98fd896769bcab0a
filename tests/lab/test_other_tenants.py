"""Whatever another tenant asks for, or claims, packets of a tenant's pods keep their marks and limits."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pytest

from ovnqos.sandbox import Probe
from tests.lab.support_cluster import network_qos, rule, udp_ports
from tests.lab.support_flood import flood
from tests.lab.support_matrix import Destination, all_marks, expected_marks, probe
from tests.lab.support_networks import DEFAULT_NETWORK, OTHER_NODE, PRIMARY_LAYER2, SAME_NODE
from tests.lab.support_networks import OUTSIDE as OUTSIDE_PLACE
from tests.lab.support_pod_qos import (
    BURST,
    OUTSIDE,
    PREFIX,
    WORKER,
    WORKER2,
    LimitedPods,
    cell,
    limited_pods,
    limits,
    to_outside,
    to_pod,
)
from tests.lab.support_rates import BURST_KBIT, OFFERED, limit, measure_rates, udp_stream
from tests.lab.support_results import Cell, MarkResult, RateResult, Results

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ovnqos.sandbox import Programs, SandboxPod
    from tests.lab.support_cluster import Document

SHOP, BANK = "shop", "bank"
GOLD: Final = {"tier": "gold"}
DEFAULT: Final = "default"
TENANT: Final = f"{SHOP}/tenant"
"""A primary network of layout layer2 that the pods of both tenants are on, as by a ClusterUserDefinedNetwork."""
TITLES: Final = {DEFAULT: DEFAULT_NETWORK.title, TENANT: PRIMARY_LAYER2.title}
DSCP, THEIR_DSCP = 10, 63
NEAR_KBPS, FAR_KBPS, LOW_KBPS, THEIR_KBPS = 2000, 2500, 3000, 200
NEAR_PORT, FAR_PORT, FOREIGN_PORT, RECEIVED_PORT, SENT_PORT, ASKED_PORT, FLOOD_PORT = range(7201, 7208)
SERVICE: Final = "10.96.0.60"
GROUP: Final = "239.1.1.7"
NOBODY: Final = "0a:58:de:ad:be:ef"


def _network() -> Document:
    config = {
        "cniVersion": "1.1.0",
        "name": "cluster_udn_tenant",
        "type": "ovn-k8s-cni-overlay",
        "topology": "layer2",
        "role": "primary",
        "subnets": "10.151.0.0/16,fd10:151::/64",
        "netAttachDefName": TENANT,
    }
    return {
        "apiVersion": "k8s.cni.cncf.io/v1",
        "kind": "NetworkAttachmentDefinition",
        "metadata": {"namespace": SHOP, "name": "tenant"},
        "spec": {"config": json.dumps(config)},
    }


def _start(programs: Programs, network: str) -> Iterator[LimitedPods]:
    with limited_pods(programs) as pods:
        if network == TENANT:
            pods.cluster.add_network(_network())
        for name, namespace, node in (
            ("client", SHOP, WORKER),
            ("sender", SHOP, WORKER),
            ("peer", SHOP, WORKER),
            ("till", SHOP, WORKER),
            ("distant", SHOP, WORKER2),
            ("vault", BANK, WORKER),
            ("branch", BANK, WORKER2),
        ):
            labels = GOLD if name in {"client", "vault"} else {}
            networks = dict.fromkeys((DEFAULT, network))
            pod = pods.add_pod(name, node=node, namespace=namespace, networks=tuple(networks), labels=labels)
            if network == TENANT:
                hops = {6 if ":" in gateway else 4: gateway for gateway in pod.attachment(TENANT).gateways}
                pod.add_routes((OUTSIDE[version], hop) for version, hop in hops.items())
        yield pods


@pytest.fixture(scope="module", params=[DEFAULT, TENANT], ids=["layer3", "layer2"])
def network(request: pytest.FixtureRequest) -> str:
    """The key of the network that the tenants share."""
    found: str = request.param
    return found


@pytest.fixture(scope="module")
def module_pods(programs: Programs, network: str) -> Iterator[LimitedPods]:
    yield from _start(programs, network)


@pytest.fixture
def pods(module_pods: LimitedPods) -> Iterator[LimitedPods]:
    """Running pods of two tenants; what a test asks for is removed when it ends."""
    yield module_pods
    module_pods.reset()


def _pod(pods: LimitedPods, name: str) -> SandboxPod:
    return pods.cluster.pods[f"{BANK if name in {'vault', 'branch'} else SHOP}/{name}"]


def _policies_of_the_other(_pods: LimitedPods) -> list[Document]:
    """Of the highest priority, for all that its pods send, by labels that the first tenant's pods have too."""

    everywhere: Document = {"to": [{"namespaceSelector": {}, "podSelector": {}}]}
    rules = [
        rule(THEIR_DSCP, rate_kbps=THEIR_KBPS, burst_kbit=BURST_KBIT),
        rule(THEIR_DSCP, everywhere, rate_kbps=THEIR_KBPS, burst_kbit=BURST_KBIT),
    ]
    return [
        network_qos("all", rules, namespace=BANK, priority=100),
        network_qos("gold", rules[:1], namespace=BANK, priority=99, pods=GOLD),
    ]


def _limits_of_the_other(pods: LimitedPods) -> list[Document]:
    """Annotations of its pods and of its namespace."""
    asked = limits(egress=f"{THEIR_KBPS}k", ingress="100M", burst=BURST) | {f"{PREFIX}dscp": str(THEIR_DSCP)}
    pods.annotate_namespace(BANK, asked)
    pods.annotate(_pod(pods, "vault"), asked)
    return []


def _claims_of_the_other(pods: LimitedPods) -> list[Document]:
    """Annotations that name the first tenant's addresses: in part of a pod on its node, wholly of one on another.

    Of the MAC address of the first one nobody knows, so that no row finds it by what its annotation says.
    """
    asked = limits(ingress="100M", burst=BURST)
    for name, victim in (("vault", "peer"), ("branch", "distant")):
        claimed: dict[str, Any] = json.loads(_pod(pods, name).annotation)
        for key, theirs in json.loads(_pod(pods, victim).annotation).items():
            own = claimed[key]
            if name == "vault":
                own |= {"ip_addresses": [*own["ip_addresses"], *theirs["ip_addresses"]], "mac_address": NOBODY}
            else:
                own |= {"ip_addresses": theirs["ip_addresses"], "mac_address": theirs["mac_address"]}
        pods.annotate(_pod(pods, name), asked | {"k8s.ovn.org/pod-networks": json.dumps(claimed)})
    return []


THE_OTHER: Final = {
    "policies": _policies_of_the_other,
    "limits": _limits_of_the_other,
    "claims": _claims_of_the_other,
}


class _Scene(NamedTuple):
    """What one of the first tenant's pods sends, and what is promised of it: a mark, a rate, or both."""

    title: str
    place: str
    sender: SandboxPod
    to: Destination
    port: int
    dscp: int | None = DSCP
    rate_kbps: int | None = None


def _scenes(pods: LimitedPods, network: str) -> list[_Scene]:
    client = _pod(pods, "client")
    near, till, vault = (to_pod(_pod(pods, name), network=network) for name in ("peer", "till", "vault"))
    far, distant = (to_pod(_pod(pods, "distant"), network=network, version=version) for version in (6, 4))
    return [
        _Scene("a rule's rate", SAME_NODE, client, near, NEAR_PORT, DSCP, NEAR_KBPS),
        _Scene("a rule's rate", OTHER_NODE, client, far, FAR_PORT, DSCP, FAR_KBPS),
        _Scene("a rule's rate, to the other tenant", SAME_NODE, client, vault, FOREIGN_PORT, DSCP, NEAR_KBPS),
        _Scene("an ingress limit", SAME_NODE, client, till, RECEIVED_PORT, DSCP, LOW_KBPS),
        _Scene("an egress limit", OTHER_NODE, _pod(pods, "sender"), distant, SENT_PORT, None, LOW_KBPS),
        _Scene("a rule's mark", OUTSIDE_PLACE, client, to_outside(pods, version=6), NEAR_PORT),
    ]


def _promise(pods: LimitedPods, *others: Document) -> None:
    """What the first tenant asks for."""
    rates = ((NEAR_PORT, NEAR_KBPS), (FAR_PORT, FAR_KBPS), (FOREIGN_PORT, NEAR_KBPS), (FLOOD_PORT, NEAR_KBPS))
    limited = [
        rule(DSCP, {"ports": udp_ports(port)}, rate_kbps=rate_kbps, burst_kbit=BURST_KBIT) for port, rate_kbps in rates
    ]
    pods.annotate(_pod(pods, "till"), limits(ingress=f"{LOW_KBPS}k", burst=BURST))
    pods.annotate(_pod(pods, "sender"), limits(egress=f"{LOW_KBPS}k", burst=BURST))
    pods.apply(network_qos("gold", [rule(DSCP), *limited], namespace=SHOP, pods=GOLD), *others)


def _cell(network: str, scene: _Scene, asked: str) -> Cell:
    return cell(
        f"another tenant's {asked}: {scene.title}",
        scene.place,
        "kept",
        network=TITLES[network],
        version=6 if ":" in scene.to.address else 4,
    )


@pytest.mark.parametrize("asked", THE_OTHER)
def test_marks_and_limits_hold_whatever_another_tenant_asks_for(
    pods: LimitedPods, results: Results, network: str, asked: str
) -> None:
    _promise(pods, *THE_OTHER[asked](pods))
    scenes = _scenes(pods, network)
    limited = [one for one in scenes if one.rate_kbps is not None]
    streams = [
        udp_stream(one.sender, one.to, port=one.port, offered_kbps=OFFERED * (one.rate_kbps or 0)) for one in limited
    ]
    results.check_rates(
        RateResult(cell=_cell(network, scene, asked), expected=limit(scene.rate_kbps or 0), seen=one.bits_per_second)
        for scene, one in zip(limited, measure_rates(pods.cluster.sandbox, streams), strict=True)
    )
    marked = [one for one in scenes if one.dscp is not None]
    seen = all_marks(pods.cluster.sandbox, [probe(one.sender, one.to, "udp", one.port) for one in marked])
    results.check_marks(
        MarkResult(cell=_cell(network, scene, asked), expected=expected_marks(DSCP, scene.place), seen=marks)
        for scene, marks in zip(marked, seen, strict=True)
    )


@pytest.mark.parametrize("asked", THE_OTHER)
def test_groups_and_services_are_reached_with_the_mark_and_the_rate_whatever_another_tenant_asks_for(
    pods: LimitedPods, results: Results, network: str, asked: str
) -> None:
    _promise(pods, *THE_OTHER[asked](pods))
    client, peer, vault = (_pod(pods, name) for name in ("client", "peer", "vault"))
    where, interface = TITLES[network], client.interface_on(network)
    client.namespace.ip(f"route replace {GROUP} dev {interface}")
    receivers = {one.name: (one, one.interface_on(network)) for one in (peer, vault)}
    copies = flood(
        client, GROUP, port=FLOOD_PORT, offered=OFFERED * NEAR_KBPS * 1000, receivers=receivers, interface=interface
    )
    group = cell(f"another tenant's {asked}: a group", SAME_NODE, "kept", network=where)
    results.check_rates(
        RateResult(cell=group, expected=limit(NEAR_KBPS), seen=one.bits_per_second) for one in copies.values()
    )
    assert {mark for one in copies.values() for mark in one.marks} == {DSCP << 2}
    if network != DEFAULT:
        return  # what goes to a Service is known by its backend once it is answered there
    _check_service(pods, results, asked, [_pod(pods, "peer"), _pod(pods, "distant")])


def _check_service(pods: LimitedPods, results: Results, asked: str, backends: Sequence[SandboxPod]) -> None:
    sandbox, client = pods.cluster.sandbox, _pod(pods, "client")
    found = []
    for backend, place in zip(backends, (SAME_NODE, OTHER_NODE), strict=True):
        address = backend.address_on(DEFAULT)
        sandbox.add_service("asked", address=SERVICE, port=ASKED_PORT, backends=[address])
        try:
            one = Probe(
                sender=client,
                receiver=backend,
                address=SERVICE,
                balanced_to=address,
                protocol="udp",
                port=ASKED_PORT,
            )
            (seen,) = all_marks(sandbox, [one])
        finally:
            sandbox.remove_service("asked")
        where = cell(f"another tenant's {asked}: one-packet Service flow", place, "kept")
        found.append(MarkResult(cell=where, expected=expected_marks(DSCP, place), seen=seen))
    results.check_marks(found)
