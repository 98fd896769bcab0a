"""What ovn-kubernetes calls ports and switches, and how its annotation is read."""

from __future__ import annotations

import pytest

from ovnqos import Direction, InvalidObject, OvnKubernetesTopology, Pod
from ovnqos.controller import Network, NetworkTopology, PodInterface
from tests.support.cluster import POD_NETWORKS, mac_address, pod

TOPOLOGY = OvnKubernetesTopology()


def _annotated(text: str) -> Pod:
    return Pod(namespace="shop", name="a", node="n", labels={}, annotations={POD_NETWORKS: text})


def test_interfaces_are_read_with_their_ports_in_order() -> None:
    one = pod("web-1", networks={"my-ns/blue-net": ["10.1.0.1"], "default": ["10.0.0.1", "FD00:0:0::1"]})
    assert TOPOLOGY.interfaces(one) == (
        PodInterface(
            attachment="default",
            port="shop_web-1",
            addresses=("10.0.0.1", "fd00::1"),
            location="node1",
            mac=mac_address("10.0.0.1"),
        ),
        PodInterface(
            attachment="my-ns/blue-net",
            port="my.ns.blue.net_shop_web-1",
            addresses=("10.1.0.1",),
            location="node1",
            mac=mac_address("10.1.0.1"),
        ),
    )


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ('"0A:58:0A:00:00:01"', "0a:58:0a:00:00:01"),
        ('"0a:58"', ""),
        ('"0a:58:0a:00:00:01 || 1"', ""),
        ("7", ""),
    ],
)
def test_a_mac_address_that_is_none_is_not_known(given: str, expected: str) -> None:
    (interface,) = TOPOLOGY.interfaces(_annotated(f'{{"default": {{"mac_address": {given}}}}}'))
    assert interface.mac == expected


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        ('{"default": {"ip_addresses": ["10.0.0.1/24"], "ip_address": "10.0.0.9/24"}}', ("10.0.0.1",)),
        ('{"default": {"ip_address": "10.0.0.9/24"}}', ("10.0.0.9",)),
        ('{"default": {"ip_addresses": []}}', ()),
        ('{"default": {"ip_address": ""}}', ()),
        ('{"default": {}}', ()),
    ],
)
def test_addresses_are_read_old_style_and_new(text: str, addresses: tuple[str, ...]) -> None:
    (interface,) = TOPOLOGY.interfaces(_annotated(text))
    assert interface.addresses == addresses


@pytest.mark.parametrize("text", ["", "{}"])
def test_a_pod_without_networks_has_no_interfaces(text: str) -> None:
    assert TOPOLOGY.interfaces(_annotated(text)) == ()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", r"^Pod shop/a: metadata\.annotations\[k8s\.ovn\.org/pod-networks\]: is not JSON"),
        ("[]", "is not a JSON object of networks"),
        ("1", "is not a JSON object of networks"),
        ('{"default": []}', r"pod-networks\]\.default: is not a JSON object"),
        ('{"default": {"ip_addresses": "10.0.0.1"}}', r"default\.ip_addresses: is not a list"),
        ('{"default": {"ip_addresses": ["10.0.0.1", "x/24"]}}', r"ip_addresses\[1\]: 'x/24' is not an IP address"),
        ('{"default": {"ip_addresses": [null]}}', "is not an IP address"),
        ('{"default": {"ip_addresses": [[]]}}', "is not an IP address"),
        ('{"default": {"ip_addresses": ["10.0.0"]}}', "is not an IP address"),
        ("[" * 100_000, "is not JSON"),
        ('{"default": ' + "9" * 10_000 + "}", "is not JSON"),
    ],
)
def test_what_cannot_be_read_is_said_with_its_place(text: str, words: str) -> None:
    with pytest.raises(InvalidObject, match=words):
        TOPOLOGY.interfaces(_annotated(text))


def test_a_switch_is_the_nodes_on_layer3() -> None:
    default = Network(name="default", topology=NetworkTopology.LAYER3)
    other = Network(name="my-net/x", topology=NetworkTopology.LAYER3)
    assert TOPOLOGY.switch(default, "ovn-worker") == "ovn-worker"
    assert TOPOLOGY.switch(other, "ovn-worker") == "my.net.x_ovn-worker"
    assert TOPOLOGY.direction(other) is Direction.TO_LPORT


def test_a_pod_on_one_nad_twice_has_two_ports_on_it() -> None:
    one = pod("web", networks={"ns/blue": ["10.1.0.1"], "ns/blue/1": ["10.1.0.2"]})
    assert [(found.attachment, found.port) for found in TOPOLOGY.interfaces(one)] == [
        ("ns/blue", "ns.blue_shop_web"),
        ("ns/blue", "ns.blue.1_shop_web"),
    ]


@pytest.mark.parametrize(
    ("layout", "switch", "direction"),
    [
        (NetworkTopology.LAYER2, "my.net_ovn_layer2_switch", Direction.FROM_LPORT),
        (NetworkTopology.LOCALNET, "my.net_ovn_localnet_switch", Direction.FROM_LPORT),
    ],
)
def test_other_layouts_have_one_switch_for_all_nodes(
    layout: NetworkTopology, switch: str, direction: Direction
) -> None:
    network = Network(name="my-net", topology=layout)
    assert TOPOLOGY.switch(network, "node1") == TOPOLOGY.switch(network, "node2") == switch
    assert TOPOLOGY.direction(network) is direction


@pytest.mark.parametrize(
    ("port", "expected"),
    [
        ("shop_web", True),
        ("shop.blue.net_shop_web", True),
        ("shop_web2", False),
        ("myshop_web", False),
        ("shop_web_x", False),
    ],
)
def test_a_port_may_be_a_pods_by_its_name(port: str, expected: bool) -> None:
    assert OvnKubernetesTopology().may_own(pod("web"), port) is expected
