"""Other topologies: any sequence of events ends as a full compile, VPCs keep apart, any text is read or refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st
from netaddr import IPAddress

from ovnqos import (
    Compiler,
    DesiredState,
    InvalidObject,
    KubeOvnTopology,
    Namespace,
    NetworkAttachmentDefinition,
    Pod,
    PodPeer,
    StaticTopology,
    Topology,
)
from ovnqos.model.owner import NETWORK_KEY, OBJECT_KEY
from ovnqos.sources.fields import dns_subdomain_error
from ovnqos.sources.topology_map import parse_topology_map
from tests.support import kube_ovn
from tests.support import random_clusters as some
from tests.support.cluster import policy, rule
from tests.support.random_clusters import RANDOMS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from random import Random

    from ovnqos.controller import PodInterface
    from ovnqos.model.networks import TopologyMap

_VPCS = ("ovn-cluster", "ovn-cluster", "tenant", "default", "")
_PROVIDERS = ("ovn", "ovn", "blue.shop.ovn", "wire.lab.ovn", "wire.lab.ovn.net1", "macvlan.lab")


def _interface(random: Random, machine: str) -> dict[str, str]:
    provider, vpc = random.choice(_PROVIDERS), random.choice(_VPCS)
    if machine:  # wherever it runs, a virtual machine is on one and the same switch
        provider, vpc = "ovn", "tenant" if machine == "vm1" else "ovn-cluster"
    addresses = random.choice(((), (some.V4_POOL,), (some.V6_POOL,), (some.V4_POOL, some.V6_POOL)))
    return kube_ovn.interface(
        *(random.choice(pool) for pool in addresses),
        provider=provider,
        vpc=vpc,
        switch=f"{vpc or 'vlan'}-{provider}-{'vm' if machine else random.choice('ab')}",
        allocated=random.choice(("true",) * 9 + ("",)),
        machine=machine,
    )


def _pod(random: Random) -> Pod:
    machine = random.choice(("", "", "", "vm1", "vm2"))
    like = some.pod(random)
    found = [_interface(random, machine)] if machine else [_interface(random, "") for _ in range(random.randint(0, 3))]
    annotations = {key: value for one in found for key, value in one.items()}
    return Pod(
        namespace=like.namespace,
        name=like.name,
        node=like.node,
        labels=like.labels,
        annotations=annotations,
        host_network=like.host_network,
        phase=like.phase,
        qos=like.qos,
    )


def _nad(random: Random) -> NetworkAttachmentDefinition:
    namespace, name = random.choice((("shop", "blue"), ("lab", "wire"), ("lab", "macvlan")))
    plugin = "macvlan" if name == "macvlan" else random.choice(("kube-ovn", "kube-ovn", "bridge"))
    return NetworkAttachmentDefinition(
        namespace=namespace, name=name, labels=some.label_map(random), plugin=plugin, ovn=None
    )


_MAKERS: tuple[Callable[[Random], Any], ...] = (_pod, _pod, _pod, _pod, _nad, some.namespace, some.policy)


def _full(objects: dict[Any, Any], zone: list[str] | None) -> DesiredState:
    return Compiler.of(objects.values(), KubeOvnTopology(zone_nodes=zone)).desired()


def _identity(one: Any) -> tuple[type, str]:
    return type(one), one.name if isinstance(one, Namespace) else one.key


def _changed(before: dict[str, Any], after: dict[str, Any]) -> set[str]:
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


def _sets(desired: DesiredState) -> dict[str, Any]:
    return {**desired.port_groups, **desired.address_sets}


@settings(max_examples=300, deadline=None)
@given(RANDOMS)
def test_kube_ovn_events_end_in_what_a_full_compile_gives(random: Random) -> None:
    zone = random.choice((None, ["node1", "node2"]))
    compiler = Compiler(KubeOvnTopology(zone_nodes=zone))
    objects: dict[Any, Any] = {}
    before = DesiredState.of()
    for _ in range(random.randint(1, 6)):
        for _ in range(random.randint(1, 8)):
            if objects and random.random() < 0.25:
                gone = random.choice(sorted(objects, key=str))
                del objects[gone]
                compiler.delete(gone[0].__name__, gone[1])
            else:
                one = random.choice(_MAKERS)(random)
                objects[_identity(one)] = one
                compiler.apply(one)
        delta, after = compiler.drain(), compiler.desired()
        wanted = _full(objects, zone)
        assert (after.rows, _sets(after)) == (wanted.rows, _sets(wanted))
        assert delta.rows >= _changed(dict(before.rows), dict(after.rows))
        assert delta.sets.keys() >= _changed(_sets(before), _sets(after))
        before = after


class _End(NamedTuple):
    """A pod's interface, read without the library."""

    pod: Pod
    network: str
    switch: str
    addresses: set[IPAddress]


_NETWORKS = {"ovn-cluster": "default", "tenant": "vpc:tenant", "default": "vpc:default"}


def _ends(pods: list[Pod]) -> Iterator[_End]:
    for pod in pods:
        for key, switch in pod.annotations.items():
            provider, _, field = key.partition(".kubernetes.io/")
            if field != "logical_switch" or pod.annotations.get(f"{provider}.kubernetes.io/allocated") != "true":
                continue
            if provider == "macvlan.lab" or pod.host_network or pod.phase in {"Succeeded", "Failed"}:
                continue
            vpc = pod.annotations.get(f"{provider}.kubernetes.io/logical_router")
            alone = {"ovn": "default", "blue.shop.ovn": "shop/blue"}.get(provider, "lab/wire")
            addresses = pod.annotations.get(f"{provider}.kubernetes.io/ip_address", "").split(",")
            yield _End(pod, _NETWORKS[vpc] if vpc else alone, switch, {IPAddress(one) for one in addresses if one})


@settings(max_examples=300, deadline=None)
@given(RANDOMS)
def test_a_row_reaches_the_pods_of_its_own_vpc_and_no_others(random: Random) -> None:
    pods = list({one.key: one for one in (_pod(random) for _ in range(12))}.values())
    gold = policy(rule(destinations=(PodPeer(namespace_selector=some.selector(random)),)))
    namespaces = [some.namespace(random) for _ in range(3)]
    compiler = Compiler.of((*namespaces, *pods, gold), KubeOvnTopology())
    inventory, desired = compiler.inventory, compiler.desired()

    (peer,) = gold.rules[0].classifier.destinations or ()
    assert isinstance(peer, PodPeer)
    assert peer.namespace_selector is not None
    ends = list(_ends(pods))
    sources = [end for end in ends if end.pod.namespace == "shop" and end.pod.node]
    rows = {
        row.external_ids[NETWORK_KEY]: row
        for row in desired.rows.values()
        if row.external_ids.get(OBJECT_KEY) == f"NetworkQoS/{gold.key}"
    }
    assert rows.keys() == {end.network for end in sources}
    for network, row in rows.items():
        own = [end for end in sources if end.network == network]
        assert row.switches == {end.switch for end in own}
        expected = {
            address
            for end in ends
            if end.network == network and peer.namespace_selector.matches(inventory.namespace_labels(end.pod.namespace))
            for address in end.addresses
        }
        sets = [one for name, one in desired.address_sets.items() if f"${name}" in str(row.match)]
        found = {IPAddress(address) for one in sets for address in one.addresses}
        versions = {address.version for address in found}
        assert found == {address for address in expected if address.version in versions}
        sent = {address.version for end in own for address in end.addresses}
        assert {address.version for address in expected} & sent <= versions


def _interfaces(topology: Topology, pod: Pod) -> tuple[PodInterface, ...]:
    try:
        return topology.interfaces(pod)
    except InvalidObject as error:
        _check(error)
        return ()


def _check(error: InvalidObject) -> None:
    assert error.diagnostics
    assert all(line.isprintable() for line in str(error).split("\n"))


TEXTS = st.text(alphabet=st.sampled_from('abA.-@/ ,:0159f"\\\n{}é'), max_size=12) | st.sampled_from(
    ["10.0.0.1", "fd00::1,10.0.0.2", "true", "ovn-default", '["10.0.0.1"]']
)


@settings(max_examples=400, deadline=None)
@given(
    st.dictionaries(
        st.builds(
            "{}.kubernetes.io/{}".format,
            st.sampled_from(_PROVIDERS) | TEXTS,
            st.sampled_from(("logical_switch", "logical_router", "ip_address", "virtualmachine", "allocated")),
        ),
        TEXTS,
        max_size=8,
    )
)
def test_any_annotations_are_read_or_refused_in_a_printable_line(annotations: dict[str, str]) -> None:
    for provider in [*_PROVIDERS, *(key.partition(".kubernetes.io/")[0] for key in annotations)]:
        if f"{provider}.kubernetes.io/logical_switch" in annotations:
            annotations = {**annotations, f"{provider}.kubernetes.io/allocated": "true"}
    one = Pod(namespace="shop", name="web", node="n", labels={}, annotations=annotations)
    for each in _interfaces(KubeOvnTopology(), one):
        assert not dns_subdomain_error(each.port)
        assert not dns_subdomain_error(each.location)


SCALARS = st.none() | st.booleans() | st.integers() | TEXTS
WORDS = st.sampled_from(
    [
        "networks",
        "pods",
        "default",
        "topology",
        "layer3",
        "switch",
        "port",
        "addresses",
        "annotation",
        "shop/a",
        "{node}",
    ]
)
DOCUMENTS = st.recursive(
    SCALARS | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS | TEXTS, inner, max_size=4),
    max_leaves=20,
)
NETWORKS = st.fixed_dictionaries(
    {"topology": st.sampled_from(["layer3", "layer2", "localnet"]) | SCALARS},
    optional={
        "switch": st.sampled_from(["{node}", "lan", "{namespace}"]) | SCALARS,
        "port": st.sampled_from(["{name}", "{namespace}-{name}", "x"]) | SCALARS,
        "direction": st.sampled_from(["from-lport", "to-lport"]) | SCALARS,
        "addresses": st.just({"annotation": "example.com/a"}) | DOCUMENTS,
    },
)
ENTRIES = st.fixed_dictionaries(
    {}, optional={"switch": SCALARS, "port": SCALARS, "addresses": st.lists(SCALARS, max_size=2) | SCALARS}
)
NAMES = st.sampled_from(["default", "shop/blue", "lan"])
MAPS = st.fixed_dictionaries(
    {"networks": st.dictionaries(NAMES | TEXTS, NETWORKS | DOCUMENTS, max_size=3)},
    optional={
        "pods": st.dictionaries(
            st.sampled_from(["shop/a", "shop/b"]) | TEXTS,
            st.dictionaries(NAMES, ENTRIES, max_size=2) | DOCUMENTS,
            max_size=2,
        )
    },
)


def _parsed(document: object) -> TopologyMap | None:
    try:
        return parse_topology_map(document)
    except InvalidObject as error:
        _check(error)
        return None


@settings(max_examples=500, deadline=None)
@given(MAPS | DOCUMENTS, TEXTS)
def test_any_map_is_read_or_refused_and_a_read_one_names_every_port(document: object, text: str) -> None:
    found = _parsed(document)
    if found is None:
        return
    topology = StaticTopology(found)
    for name in ("a", "b"):
        pod = Pod(namespace="shop", name=name, node="n", labels={}, annotations=dict.fromkeys(found.annotations, text))
        for each in _interfaces(topology, pod):
            assert each.port
            assert each.location
            network = topology.network(each.attachment, None, frozenset())
            assert network is not None
            topology.direction(network)
