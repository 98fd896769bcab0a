"""What Kube-OVN calls ports and switches, how its annotations are read, and which network an interface is on."""

from __future__ import annotations

import pytest

from ovnqos import (
    Code,
    Compiler,
    Direction,
    InvalidObject,
    KubeOvnTopology,
    LabelSelector,
    NetworkAttachmentDefinition,
    NetworkSelectionType,
    NetworkSelector,
    Pod,
    PodPeer,
    Topology,
)
from ovnqos.controller import NetworkTopology, PodInterface
from ovnqos.model.policy import BandwidthScope
from tests.support.cluster import attachments_selector, codes, compiled, labels, messages, namespace, policy, rule
from tests.support.kube_ovn import interface, pod

TOPOLOGY: Topology = KubeOvnTopology()
DEFAULT = NetworkSelector(type=NetworkSelectionType.DEFAULT_NETWORK)
DB = rule(destinations=(PodPeer(pod_selector=labels(app="db")),))


def _nad(key: str, *, plugin: str = "kube-ovn", **wanted: str) -> NetworkAttachmentDefinition:
    namespace, name = key.split("/")
    return NetworkAttachmentDefinition(namespace=namespace, name=name, labels=wanted, plugin=plugin, ovn=None)


def _network_names(one: Pod) -> list[str]:
    found = (TOPOLOGY.network(each.attachment, None, frozenset({4})) for each in TOPOLOGY.interfaces(one))
    return [network.name for network in found if network is not None]


class TestInterfaces:
    def test_the_default_interface_is_on_its_subnets_switch(self) -> None:
        assert TOPOLOGY.interfaces(pod("web-0", interface("10.16.0.5", "FD00:10:16::5", switch="blue"))) == (
            PodInterface(
                attachment="default", port="web-0.shop", addresses=("10.16.0.5", "fd00:10:16::5"), location="blue"
            ),
        )

    def test_an_attachments_port_ends_in_its_provider(self) -> None:
        one = pod(
            "web",
            interface("10.16.0.5"),
            interface("10.9.0.5", provider="fast-net.infra.ovn", switch="fast"),
            interface(provider="vm-net.infra.ovn.net1", switch="vm", vpc=""),
        )
        assert [(each.attachment, each.port, each.location) for each in TOPOLOGY.interfaces(one)] == [
            ("infra/fast-net@ovn-cluster", "web.shop.fast-net.infra.ovn", "fast"),
            ("default", "web.shop", "ovn-default"),
            ("infra/vm-net", "web.shop.vm-net.infra.ovn.net1", "vm"),
        ]

    def test_a_virtual_machine_keeps_its_own_name(self) -> None:
        (found,) = TOPOLOGY.interfaces(pod("virt-launcher-vm1-x7k2p", interface("10.16.0.5", machine="vm1")))
        assert found.port == "vm1.shop"

    def test_what_is_asked_for_but_not_allocated_is_no_interface(self) -> None:
        assert TOPOLOGY.interfaces(pod("web", interface("10.16.0.5", allocated=""))) == ()
        assert TOPOLOGY.interfaces(pod("web", interface("10.16.0.5", allocated="false"))) == ()

    def test_an_interface_whose_addresses_only_are_kube_ovns_is_none(self) -> None:
        macvlan = {
            "macvlan.infra.kubernetes.io/allocated": "true",
            "macvlan.infra.kubernetes.io/ip_address": "10.5.0.1",
        }
        assert TOPOLOGY.interfaces(pod("web", macvlan)) == ()
        assert TOPOLOGY.interfaces(pod("web", interface("10.5.0.1", provider="macvlan.infra"))) == ()

    def test_a_subnet_without_ipam_has_no_addresses(self) -> None:
        (found,) = TOPOLOGY.interfaces(pod("web", interface(switch="vlan7", vpc="")))
        assert found.addresses == ()

    def test_a_pod_without_annotations_has_no_interfaces(self) -> None:
        assert TOPOLOGY.interfaces(pod("web")) == ()

    @pytest.mark.parametrize(
        ("given", "words"),
        [
            (
                interface("10.16.0"),
                r"^Pod shop/web: metadata\.annotations\[ovn\.kubernetes\.io/ip_address\]: '10\.16\.0' is not an IP",
            ),
            (interface("10.16.0.5", "x"), "'x' is not an IP address; Kube-OVN writes it"),
            (interface("10.16.0.5", switch='a" || 1 || "'), r"logical_switch\]: .* is not a DNS name"),
            (interface("10.16.0.5", vpc="two words"), r"logical_router\]: .* is not a DNS name"),
            (interface("10.16.0.5", machine="VM 1"), r"virtualmachine\]: .* is not a DNS name"),
            (
                {**interface("10.16.0.5", switch="x"), "ovn.kubernetes.io/logical_switch": ""},
                r'logical_switch\]: "" is not a DNS name',
            ),
        ],
    )
    def test_what_kube_ovn_would_not_write_is_said_with_its_place(self, given: dict[str, str], words: str) -> None:
        with pytest.raises(InvalidObject, match=words):
            TOPOLOGY.interfaces(pod("web", given))

    def test_a_provider_that_is_no_name_is_passed_over(self) -> None:
        assert TOPOLOGY.interfaces(pod("web", interface("10.16.0.5", provider="a@b.infra.ovn"))) == ()


class TestNetworks:
    def test_a_network_is_a_vpc_whatever_a_pod_comes_by(self) -> None:
        one = pod(
            "web",
            interface("10.16.0.5"),
            interface("10.9.0.5", provider="fast.infra.ovn", switch="fast"),
            interface("10.9.0.5", provider="slow.infra.ovn", switch="slow", vpc="tenant"),
        )
        assert _network_names(one) == ["default", "default", "vpc:tenant"]
        assert _network_names(pod("guest", interface("10.16.0.5", vpc="tenant"))) == ["vpc:tenant"]

    def test_a_vpc_called_default_is_not_the_default_network(self) -> None:
        assert _network_names(pod("guest", interface("10.16.0.5", vpc="default"))) == ["vpc:default"]

    def test_an_underlay_subnet_counts_to_the_default_vpc_or_is_its_nads_network(self) -> None:
        one = pod("web", interface("10.7.0.5", switch="vlan7", vpc=""), interface(provider="w.infra.ovn", vpc=""))
        assert _network_names(one) == ["default", "infra/w"]

    def test_rows_are_from_lport_on_all_of_them(self) -> None:
        one = pod("web", interface("10.16.0.5"), interface(provider="w.infra.ovn", vpc=""))
        for each in TOPOLOGY.interfaces(one):
            network = TOPOLOGY.network(each.attachment, None, frozenset())
            assert network is not None
            assert TOPOLOGY.direction(network) is Direction.FROM_LPORT
            assert TOPOLOGY.switch(network, each.location) == each.location
            assert network.versions == frozenset()
            assert network.topology in NetworkTopology


class TestPolicies:
    def test_each_vpc_has_rows_and_destinations_of_its_own(self) -> None:
        """Two VPCs use the same addresses: a tenant's destination must not be another tenant's."""
        objects = [
            pod("web", interface("10.0.0.1", switch="a"), labels={"app": "web"}),
            pod("db", interface("10.0.0.2", switch="b"), labels={"app": "db"}),
            pod("web-t", interface("10.0.0.1", switch="t", vpc="tenant"), labels={"app": "web"}),
            pod("db-t", interface("10.0.0.9", switch="t", vpc="tenant"), labels={"app": "db"}),
        ]
        one = policy(DB, pods=labels(app="web"), networks=[DEFAULT])
        found = compiled(one, *objects, topology=TOPOLOGY)
        assert [code for _, _, code in codes(found)] == [Code.BEFORE_LOAD_BALANCING] * 2
        taken = {}
        for row in found.desired().rows.values():
            (name,) = [each for each in found.desired().address_sets if f"${each}" in str(row.match)]
            taken[row.external_ids["ovnqos.io/network"]] = (
                row.switches,
                found.desired().address_sets[name].addresses,
                row.direction,
            )
        assert taken == {
            "default": (frozenset({"a"}), frozenset({"10.0.0.2"}), Direction.FROM_LPORT),
            "vpc:tenant": (frozenset({"t"}), frozenset({"10.0.0.9"}), Direction.FROM_LPORT),
        }

    def test_a_destination_is_met_by_whichever_attachment_it_is_in_the_vpc(self) -> None:
        objects = [
            pod("web", interface("10.0.0.1", switch="a"), labels={"app": "web"}),
            pod("db", interface("10.3.0.2", provider="fast.infra.ovn", switch="f"), labels={"app": "db"}),
        ]
        found = compiled(policy(DB, pods=labels(app="web")), *objects, topology=TOPOLOGY)
        (destinations,) = found.desired().address_sets.values()
        assert destinations.addresses == {"10.3.0.2"}

    def test_the_default_network_is_the_default_interface_in_any_vpc(self) -> None:
        objects = [
            pod("a", interface("10.0.0.1"), interface("10.1.0.1", provider="fast.infra.ovn", switch="f")),
            pod("b", interface("10.0.0.1", vpc="tenant")),
        ]
        found = compiled(policy(networks=[DEFAULT]), *objects, topology=TOPOLOGY)
        ports = [each.ports for each in found.desired().port_groups.values()]
        assert sorted(ports, key=sorted) == [{"a.shop"}, {"b.shop"}]

    def test_nads_are_selected_by_their_labels_in_any_vpc(self) -> None:
        objects = [
            _nad("infra/fast", speed="fast"),
            _nad("infra/slow", speed="slow"),
            pod("a", interface("10.0.0.1"), interface("10.1.0.1", provider="fast.infra.ovn", switch="f")),
            pod("b", interface("10.1.0.1", provider="fast.infra.ovn", switch="t", vpc="tenant")),
            pod("c", interface("10.2.0.1", provider="slow.infra.ovn", switch="s")),
        ]
        fast = attachments_selector(LabelSelector(), labels(speed="fast"))
        found = compiled(policy(networks=[fast]), *objects, topology=TOPOLOGY)
        ports = [each.ports for each in found.desired().port_groups.values()]
        assert sorted(ports, key=sorted) == [{"a.shop.fast.infra.ovn"}, {"b.shop.fast.infra.ovn"}]
        assert messages(found) == []

    def test_a_nad_of_another_plugin_is_named(self) -> None:
        objects = [_nad("infra/wire", plugin="macvlan"), pod("a", interface("10.0.0.1"))]
        wire = attachments_selector(LabelSelector(), LabelSelector())
        found = compiled(policy(networks=[wire]), *objects, topology=TOPOLOGY)
        assert codes(found) == [("NetworkQoS/shop/gold", "spec.networkSelectors[0]", Code.NOT_OVN)]
        assert "CNI plugin macvlan" in messages(found)[0]

    def test_nads_that_change_while_running_are_followed_in_every_vpc(self) -> None:
        compiler = Compiler(TOPOLOGY)
        fast = attachments_selector(LabelSelector(), labels(speed="fast"))
        for one in (
            policy(networks=[fast]),
            _nad("infra/net"),
            pod("a", interface("10.1.0.1", provider="net.infra.ovn", switch="f")),
            pod("b", interface("10.1.0.1", provider="net.infra.ovn", switch="t", vpc="tenant")),
        ):
            compiler.apply(one)
        compiler.drain()
        assert compiler.desired().rows == {}
        compiler.apply(_nad("infra/net", speed="fast"))
        assert len(compiler.drain().rows) == 2
        assert {one for row in compiler.desired().rows.values() for one in row.switches} == {"f", "t"}
        compiler.apply(_nad("infra/net"))
        compiler.drain()
        assert compiler.desired().rows == {}

    def test_labels_of_a_nads_namespace_that_change_are_followed_in_every_vpc(self) -> None:
        compiler = Compiler(TOPOLOGY)
        for one in (
            policy(networks=[attachments_selector(labels(team="net"), LabelSelector())]),
            _nad("infra/net"),
            pod("a", interface("10.1.0.1", provider="net.infra.ovn", switch="f")),
            pod("b", interface("10.1.0.1", provider="net.infra.ovn", switch="t", vpc="tenant")),
        ):
            compiler.apply(one)
        compiler.drain()
        for team, switches in (("net", {"f", "t"}), ("none", set())):
            compiler.apply(namespace("infra", team=team))
            compiler.drain()
            assert {one for row in compiler.desired().rows.values() for one in row.switches} == switches


class TestMigration:
    """A virtual machine's old and new pod have the same port, until the old one has succeeded."""

    @pytest.mark.parametrize("scope", list(BandwidthScope))
    def test_the_port_stays_limited(self, scope: BandwidthScope) -> None:
        compiler = Compiler(TOPOLOGY)
        vm = interface("10.16.0.5", machine="vm1")
        compiler.apply(policy(rule(rate=1000), scope=scope))
        compiler.apply(pod("launcher-a", vm, node="node1"))
        compiler.drain()
        before = compiler.desired()
        compiler.apply(pod("launcher-b", vm, node="node2"))
        compiler.drain()
        compiler.apply(pod("launcher-a", vm, node="node1", phase="Succeeded"))
        compiler.drain()
        assert compiler.desired() == before
        compiler.delete("Pod", "shop/launcher-b")
        compiler.drain()
        assert compiler.desired().rows == {}

    def test_the_port_stays_while_any_of_three_pods_has_it(self) -> None:
        compiler = Compiler(TOPOLOGY)
        vm = interface("10.16.0.5", machine="vm1")
        compiler.apply(policy(rule(rate=1000), scope=BandwidthScope.POD))
        for name in "abc":
            compiler.apply(pod(name, vm))
        compiler.drain()
        for name in "ba":
            compiler.delete("Pod", f"shop/{name}")
            compiler.drain()
            assert len(compiler.desired().rows) == 1
        compiler.delete("Pod", "shop/c")
        compiler.drain()
        assert compiler.desired().rows == {}


@pytest.mark.parametrize(
    ("port", "expected"),
    [("web.shop", True), ("web.shop.blue.shop.ovn", True), ("web.shopping", False), ("my.web.shop", False)],
)
def test_a_port_may_be_a_pods_by_its_name(port: str, expected: bool) -> None:
    assert KubeOvnTopology().may_own(pod("web"), port) is expected
