"""OVN accepts every match that policies compile to, and the check that says so finds matches that OVN refuses."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from netaddr import IPNetwork

from ovnqos import AddressSet, Compiler, DesiredState, OvnKubernetesTopology, PortGroup, parse_object
from ovnqos.controller import parse_policy
from tests.support.match_checker import MatchChecker

if TYPE_CHECKING:
    from collections.abc import Iterator

Document = dict[str, Any]

ROLES = ("web", "db", "a.b_c-d", "")
TEAMS = ("red", "blue")
WIDTH = {4: 32, 6: 128}


def pod(number: int, namespace: str, networks: dict[str, list[str]]) -> Document:
    annotation = {key: {"ip_addresses": addresses} for key, addresses in networks.items()}
    return {
        "kind": "Pod",
        "metadata": {
            "name": f"pod-{number}.x",
            "namespace": namespace,
            "labels": {"role": ROLES[number % len(ROLES)], "app.example.com/part-of": "shop"},
            "annotations": {"k8s.ovn.org/pod-networks": json.dumps(annotation)},
        },
        "spec": {"nodeName": f"node-{number % 2}.example.com"},
    }


def network_attachment(name: str, subnets: str) -> Document:
    config = {"name": f"{name}_net", "type": "ovn-k8s-cni-overlay", "topology": "layer3", "subnets": subnets}
    config["netAttachDefName"] = f"red/{name}"
    metadata = {"name": name, "namespace": "red", "labels": {"kind": "overlay"}}
    return {"kind": "NetworkAttachmentDefinition", "metadata": metadata, "spec": {"config": json.dumps(config)}}


def cluster() -> Compiler:
    """Pods in two namespaces, on a dual-stack, an IPv4-only and an IPv6-only network."""
    objects = [
        network_attachment("four.only", "10.245.0.0/16/24"),
        network_attachment("six-only", "fd10:245::/48/64"),
        *({"kind": "Namespace", "metadata": {"name": team, "labels": {"team": team}}} for team in TEAMS),
        *(
            pod(
                number,
                TEAMS[number // 4 % 2],
                {
                    "default": [f"10.244.0.{number + 3}/24", f"fd10:244::{number + 3:x}/64"],
                    "red/four.only": [f"10.245.0.{number + 3}/24"],
                    "red/six-only": [f"fd10:245::{number + 3:x}/64"],
                },
            )
            for number in range(16)
        ),
    ]
    return Compiler.of(map(parse_object, objects), OvnKubernetesTopology())


CLUSTER = cluster()


@st.composite
def ip_blocks(draw: st.DrawFn) -> Document:
    version: Literal[4, 6] = draw(st.sampled_from((4, 6)))
    width = WIDTH[version]
    length = draw(st.integers(0, width))
    cidr = IPNetwork((draw(st.integers(0, 2**width - 1)), length), version=version).cidr
    inner = st.tuples(st.integers(length, width), st.integers(cidr.first, cidr.last))
    excluded = [
        str(IPNetwork((first, inner_length), version=version).cidr)
        for inner_length, first in draw(st.lists(inner, max_size=4))
    ]
    return {"ipBlock": {"cidr": str(cidr), "except": excluded}}


SELECTORS: st.SearchStrategy[Document] = st.one_of(
    st.just({}),
    st.sampled_from([{"matchLabels": {"role": role}} for role in ROLES]),
    st.sampled_from([{"matchLabels": {"team": team}} for team in (*TEAMS, "nobody")]),
    st.just({"matchExpressions": [{"key": "role", "operator": "NotIn", "values": ["web", "db"]}]}),
    st.just({"matchExpressions": [{"key": "app.example.com/part-of", "operator": "Exists"}]}),
)
PEERS = st.fixed_dictionaries({}, optional={"podSelector": SELECTORS, "namespaceSelector": SELECTORS})
PORTS = st.fixed_dictionaries(
    {}, optional={"protocol": st.sampled_from(["TCP", "UDP", "SCTP"]), "port": st.integers(1, 65_535)}
).filter(bool)
CLASSIFIERS = st.fixed_dictionaries(
    {},
    optional={
        "to": st.lists(ip_blocks() | PEERS, max_size=5),
        "from": st.lists(ip_blocks(), max_size=3),
        "ports": st.lists(PORTS, max_size=5),
    },
)
RULES = st.fixed_dictionaries(
    {"dscp": st.integers(0, 63)},
    optional={"classifier": CLASSIFIERS, "bandwidth": st.just({"rate": 20_000, "burst": 2_000})},
)
SPECS = st.fixed_dictionaries(
    {"priority": st.integers(0, 100), "egress": st.lists(RULES, min_size=1, max_size=6), "podSelector": SELECTORS}
)


def policies(specs: list[Document]) -> Iterator[Document]:
    for number, spec in enumerate(specs):
        metadata = {"name": f"random-{number}", "namespace": TEAMS[number % 2]}
        yield {"apiVersion": "k8s.ovn.org/v1alpha1", "kind": "NetworkQoS", "metadata": metadata, "spec": spec}


def compiled(specs: list[Document]) -> DesiredState:
    """What the cluster has with policies of these specs, and no others."""
    for key in list(CLUSTER.policies):
        CLUSTER.delete("NetworkQoS", key)
    for policy in policies(specs):
        CLUSTER.apply(parse_policy(policy))
    return CLUSTER.desired()


@pytest.fixture(scope="module")
def checker() -> Iterator[MatchChecker]:
    with MatchChecker() as started:
        yield started


@settings(max_examples=150, deadline=None)
@given(specs=st.lists(SPECS, min_size=1, max_size=4))
def test_every_match_of_random_policies_is_accepted(checker: MatchChecker, specs: list[Document]) -> None:
    desired = compiled(specs)
    assume(desired.rows)
    assert checker.unparsed_of(desired) == {}


SETS = [AddressSet.of("some", ["10.0.0.0/8"]), AddressSet(name="none", addresses=frozenset())]
GROUPS = [PortGroup(name="group", ports=frozenset({"port"}))]


@pytest.mark.parametrize(
    "match", ["ip", "inport == @group && ip4.dst == {$some, $none, 192.0.2.1}", "udp.dst == {1, 2}"]
)
def test_a_good_match_is_accepted(checker: MatchChecker, match: str) -> None:
    assert checker.unparsed([match], address_sets=SETS, port_groups=GROUPS) == {}


@pytest.mark.parametrize(
    "match",
    [
        "",
        "ip4.dst == {}",
        "ip4.dst == $missing",
        "inport == @missing",
        "tcp.dst == 70000",
        "ip4 && tcp || udp",
        "inport == @group &&  && tcp",
        'inport == "port" && ip4)',
        "ip5",
        "ip4.dst == fd00::1",
    ],
)
def test_a_match_that_ovn_refuses_is_named_among_good_ones(checker: MatchChecker, match: str) -> None:
    good = ["ip", "ip4.dst == $some", "inport == @group"]
    found = checker.unparsed([*good[:2], match, *good[2:]], address_sets=SETS, port_groups=GROUPS)
    assert list(found) == [match]
    assert found[match]


def test_a_match_whose_set_is_left_out_is_caught(checker: MatchChecker) -> None:
    spec = {"priority": 1, "egress": [{"dscp": 1, "classifier": {"to": [{"podSelector": {}}]}}]}
    desired = compiled([spec])
    assert checker.unparsed_of(desired) == {}
    assert desired.address_sets
    lacking = DesiredState(rows=desired.rows, port_groups=desired.port_groups, address_sets={})
    assert set(checker.unparsed_of(lacking)) == {str(row.match) for row in desired.rows.values()}
