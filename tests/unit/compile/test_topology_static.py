"""A topology map put to use: which pod is on which network, by which port and with which addresses."""

from __future__ import annotations

import pytest
import yaml

from ovnqos import (
    Direction,
    InvalidObject,
    LabelSelector,
    NetworkAttachmentDefinition,
    NetworkSelectionType,
    NetworkSelector,
    Pod,
    PodPeer,
    StaticTopology,
    Topology,
)
from ovnqos.controller import PodInterface
from ovnqos.sources.topology_map import parse_topology_map
from tests.support.cluster import attachments_selector, compiled, labels, messages, pod, policy, rule

KEY = "example.com/addresses"


def _topology(text: str, **others: set[str]) -> Topology:
    return StaticTopology(parse_topology_map(yaml.safe_load(text)), zone_nodes=others.get("zone_nodes"))


def _pod(name: str, addresses: str = "", *, node: str = "n1", app: str = "") -> Pod:
    return Pod(
        namespace="shop",
        name=name,
        node=node,
        labels={"app": app} if app else {},
        annotations={KEY: addresses} if addresses else {},
    )


WITH_TEMPLATES = _topology(
    """
networks:
  default:
    topology: layer3
    switch: "ls-{node}"
    port: "{namespace}.{name}"
    addresses: {annotation: example.com/addresses}
pods:
  shop/odd: {default: {port: odd-port}}
  shop/vm: {default: {switch: lan7, port: vm7, addresses: [10.0.0.7]}}
"""
)


class TestInterfaces:
    def test_templates_name_a_pods_switch_and_port(self) -> None:
        assert WITH_TEMPLATES.interfaces(_pod("web", "10.0.0.5/24, FD00::5")) == (
            PodInterface(attachment="default", port="shop.web", addresses=("10.0.0.5", "fd00::5"), location="ls-n1"),
        )

    @pytest.mark.parametrize(
        "text",
        ["10.0.0.5,10.0.0.6", "10.0.0.5 10.0.0.6", '["10.0.0.5/16", "10.0.0.6"]', " 10.0.0.5, 10.0.0.6,10.0.0.5 "],
    )
    def test_addresses_are_words_or_a_json_list(self, text: str) -> None:
        (found,) = WITH_TEMPLATES.interfaces(_pod("web", text))
        assert found.addresses == ("10.0.0.5", "10.0.0.6")

    def test_a_pod_without_the_annotation_is_not_wired_yet(self) -> None:
        assert WITH_TEMPLATES.interfaces(_pod("web")) == ()

    def test_an_entry_of_a_pods_own_goes_before_the_templates(self) -> None:
        (vm,) = WITH_TEMPLATES.interfaces(_pod("vm", "10.9.9.9"))
        assert (vm.port, vm.location, vm.addresses) == ("vm7", "lan7", ("10.0.0.7",))
        (odd,) = WITH_TEMPLATES.interfaces(_pod("odd", "10.0.0.8"))
        assert (odd.port, odd.location, odd.addresses) == ("odd-port", "ls-n1", ("10.0.0.8",))
        (unaddressed,) = WITH_TEMPLATES.interfaces(_pod("odd"))
        assert unaddressed.addresses == ()

    def test_without_a_port_template_only_listed_pods_are_on_a_network(self) -> None:
        topology = _topology("networks: {lan: {topology: layer2, switch: lan}}\npods: {shop/a: {lan: {port: vm-a}}}")
        assert [one.port for one in topology.interfaces(_pod("a"))] == ["vm-a"]
        assert topology.interfaces(_pod("b")) == ()

    def test_without_an_annotation_every_pod_is_on_a_network_without_addresses(self) -> None:
        topology = _topology("networks: {lan: {topology: layer2, switch: lan, port: '{namespace}.{name}'}}")
        (found,) = topology.interfaces(_pod("b"))
        assert (found.port, found.location, found.addresses) == ("shop.b", "lan", ())

    @pytest.mark.parametrize(
        "text", ["10.0.0", "10.0.0.1;10.0.0.2", '["10.0.0.1", 5]', "[", '[["10.0.0.1"]]', "[" * 9999]
    )
    def test_an_annotation_that_holds_something_else_is_said(self, text: str) -> None:
        words = (
            r"^Pod shop/web: metadata\.annotations\[example\.com/addresses\]: .*takes the addresses on network default"
        )
        with pytest.raises(InvalidObject, match=words):
            WITH_TEMPLATES.interfaces(_pod("web", text))


class TestNetworks:
    @pytest.mark.parametrize(
        ("fields", "direction"),
        [
            ("topology: layer3, switch: '{node}'", Direction.TO_LPORT),
            ("topology: localnet, switch: wire", Direction.FROM_LPORT),
            ("topology: layer2, switch: lan", Direction.FROM_LPORT),
            ("topology: layer2, switch: lan, direction: to-lport", Direction.TO_LPORT),
            ("topology: layer3, switch: '{node}', direction: from-lport", Direction.FROM_LPORT),
        ],
    )
    def test_a_rows_direction_is_the_layouts_unless_it_is_said(self, fields: str, direction: Direction) -> None:
        topology = _topology(f"networks: {{net: {{{fields}}}}}")
        network = topology.network("net", None, frozenset({4}))
        assert network is not None
        assert topology.direction(network) is direction
        assert topology.switch(network, "sw1") == "sw1"
        assert network.versions == {4}

    def test_an_attachment_that_the_map_does_not_have_is_unknown(self) -> None:
        assert WITH_TEMPLATES.network("other", None, frozenset()) is None

    def test_it_holds_for_a_zone(self) -> None:
        topology = _topology("networks: {net: {topology: layer2, switch: lan}}", zone_nodes={"n1"})
        assert topology.in_zone("n1")
        assert not topology.in_zone("n2")


class TestPolicies:
    def test_rows_are_on_the_switches_of_the_map(self) -> None:
        objects = [
            _pod("web", "10.0.0.5", app="web"),
            _pod("web2", "10.0.0.6", node="n2", app="web"),
            _pod("vm", app="db"),
        ]
        db = rule(destinations=(PodPeer(pod_selector=labels(app="db")),))
        desired = compiled(policy(db, pods=labels(app="web")), *objects, topology=WITH_TEMPLATES).desired()
        (row,) = desired.rows.values()
        assert row.switches == {"ls-n1", "ls-n2"}
        assert [one.ports for one in desired.port_groups.values()] == [{"shop.web", "shop.web2"}]
        assert [one.addresses for one in desired.address_sets.values()] == [{"10.0.0.7"}]

    def test_networks_are_selected_as_default_or_by_their_nads(self) -> None:
        topology = _topology(
            """
networks:
  default: {topology: layer2, switch: lan, port: "{namespace}.{name}"}
  infra/fast: {topology: layer2, switch: fast, port: "{namespace}.{name}-fast"}
  free: {topology: layer2, switch: free, port: "{namespace}.{name}-free"}
"""
        )
        nad = NetworkAttachmentDefinition(
            namespace="infra", name="fast", labels={"speed": "fast"}, plugin="some-plugin", ovn=None
        )
        found = {}
        for name, selectors in {
            "default": [NetworkSelector(type=NetworkSelectionType.DEFAULT_NETWORK)],
            "fast": [attachments_selector(LabelSelector(), labels(speed="fast"))],
            "any": None,
        }.items():
            compiler = compiled(policy(networks=selectors), nad, _pod("a"), topology=topology)
            assert messages(compiler) == []
            found[name] = {port for group in compiler.desired().port_groups.values() for port in group.ports}
        assert found == {
            "default": {"shop.a"},
            "fast": {"shop.a-fast"},
            "any": {"shop.a", "shop.a-fast", "shop.a-free"},
        }


def test_a_map_of_ovn_kubernetes_default_network_gives_the_same_rows() -> None:
    """Whatever names are the same mean the same, whoever says them."""
    topology = _topology(
        """
networks:
  default:
    topology: layer3
    switch: "{node}"
    port: "{namespace}_{name}"
    addresses: {annotation: example.com/addresses}
"""
    )
    wanted = policy(
        rule(rate=1000, destinations=(PodPeer(pod_selector=labels(app="db")),)), pods=labels(app="web"), priority=3
    )
    given = [("web", "10.0.0.5", "n1", "web"), ("web2", "10.0.0.6", "n2", "web"), ("db", "10.0.0.7", "n2", "db")]
    mapped = [_pod(name, address, node=node, app=app) for name, address, node, app in given]
    annotated = [pod(name, address, node=node, labels={"app": app}) for name, address, node, app in given]
    ours = compiled(wanted, *mapped, topology=topology).desired()
    assert ours == compiled(wanted, *annotated).desired()
    assert len(ours.rows) == 1


@pytest.mark.parametrize(
    ("name", "port", "expected"),
    [("web", "shop.web", True), ("odd", "odd-port", True), ("odd", "shop.odd", False), ("web", "odd-port", False)],
)
def test_a_port_may_be_a_pods_by_its_name(name: str, port: str, expected: bool) -> None:
    assert WITH_TEMPLATES.may_own(_pod(name), port) is expected
