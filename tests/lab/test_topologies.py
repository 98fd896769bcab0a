"""Kube-OVN's Subnets and VPCs, and switches of a topology map: marked and metered once, where the packet leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from ovnqos import Code, Northbound, parse_object
from ovnqos.sandbox import Probe, Stream, measure, read_marks
from ovnqos.sandbox.network import StaticNetwork
from tests.lab.support_cluster import network_qos, rule, udp_ports
from tests.lab.support_pod_qos import BURST, limits
from tests.lab.support_rates import SECONDS, limit, limited_rule, measure_rates
from tests.lab.support_topologies import ADDRESSES, KubeOvnCluster, StaticCluster
from tests.support.lab_sandbox import LabSandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovnqos.sandbox import Marks, Programs, SandboxPod
    from tests.lab.support_cluster import Document, LabCluster

HERE, THERE = "worker1", "worker2"
SPACE: Final = "lab-topologies"
DSCP: Final = 20
MARK, NONE = frozenset({DSCP << 2}), frozenset({0})
RATE_KBPS: Final = 4000
PORT: Final = 6500
SERVICE, SERVICE_PORT, SERVICE_RATE_KBPS = "10.96.0.9", 6600, 20_000
MACHINE: Final = "machine"
"""A virtual machine, whose port launcher pods share while it migrates."""
SENDER, TARGET = {"role": "sender"}, {"role": "target"}
TO_TARGETS: Final = {"to": [{"podSelector": {"matchLabels": TARGET}}]}
DEFAULT_NETWORK: Final = [{"networkSelectionType": "DefaultNetwork"}]
PLACES: Final = {
    "same Subnet, same node": ("apps", HERE),
    "same Subnet, other node": ("apps", THERE),
    "other Subnet, same node": ("data", HERE),
    "other Subnet, other node": ("data", THERE),
}


@pytest.fixture(scope="module")
def session_kube_ovn(programs: Programs) -> Iterator[KubeOvnCluster]:
    """Two Subnets of the default VPC, one of another VPC with the same addresses, one that pods come to by a NAD.

    For each place there is a target and a pod that is none.
    """
    with (
        LabSandbox((HERE, THERE), networks=(), programs=programs) as sandbox,
        Northbound.connect(sandbox.central.northbound.remote) as northbound,
    ):
        cluster = KubeOvnCluster(sandbox, northbound)
        cluster.add_subnet("apps", "10.16.0.0/24", "fd00:10:16::/64")
        cluster.add_subnet("data", "10.17.0.0/24", "fd00:10:17::/64")
        cluster.add_subnet("tenant", "10.17.0.0/24", "fd00:10:17::/64", vpc="tenant-a")
        cluster.add_subnet("fast", "10.18.0.0/24", provider=f"fast.{SPACE}.ovn")
        cluster.add_subnet("vlan", "10.19.0.0/24", "fd00:10:19::/64", vpc="")
        for index, (subnet, node) in enumerate(PLACES.values()):
            _add(cluster, f"target{index}", node, subnet, labels=TARGET)
            _add(cluster, f"other{index}", node, subnet)
        _add(cluster, "sender", HERE, "apps", "fast", labels=SENDER)
        _add(cluster, "sender2", THERE, "data", labels=SENDER)
        _add(cluster, "stranger", HERE, "apps")
        for name, node, labels in (("twin", THERE, {}), ("mine", THERE, TARGET), ("guest", HERE, SENDER)):
            _add(cluster, name, node, "tenant", labels=labels)
        _add(cluster, "fast-target", THERE, "apps", "fast", labels=TARGET)
        for name, node, labels in (("vlan-sender", HERE, SENDER), ("vlan-target", THERE, TARGET)):
            _add(cluster, name, node, "vlan", labels=labels)
        cluster.wire_pod(MACHINE, node=HERE, namespace=SPACE, networks=("apps",))
        sandbox.outside.add_address("10.19.0.1/24")
        sandbox.outside.add_address("fd00:10:19::1/64")
        yield cluster


def _add(cluster: LabCluster, name: str, node: str, *networks: str, labels: dict[str, str] | None = None) -> SandboxPod:
    return cluster.add_pod(name, node=node, namespace=SPACE, networks=networks, labels=labels or {})


@pytest.fixture
def kube_ovn(session_kube_ovn: KubeOvnCluster) -> Iterator[KubeOvnCluster]:
    """The same, without policies when the test ends."""
    yield session_kube_ovn
    session_kube_ovn.withdraw()


@pytest.fixture
def service(kube_ovn: KubeOvnCluster) -> Iterator[None]:
    """A load balancer of the Subnet apps, as Kube-OVN gives each Subnet those of its VPC, in front of one target."""
    backend = f"{_pod(kube_ovn, 'target3').address(version=4)}:{SERVICE_PORT}"
    central = kube_ovn.sandbox.central
    central.nbctl("lb-add", "service", f"{SERVICE}:{SERVICE_PORT}", backend, "tcp")
    central.nbctl("ls-lb-add", "apps", "service")
    yield
    central.nbctl("lb-del", "service")


def _policy(*rules: Document, networks: list[Document] | None = None) -> Document:
    return network_qos("gold", rules, namespace=SPACE, pods=SENDER, networks=networks)


def _pod(cluster: LabCluster, name: str) -> SandboxPod:
    return cluster.pods[f"{SPACE}/{name}"]


def _marks(cluster: LabCluster, sender: str, receiver: str, *, version: int = 4, network: str | None = None) -> Marks:
    to = _pod(cluster, receiver)
    address = to.address_on(network, version=version) if network else to.address(version=version)
    return read_marks(cluster.sandbox, Probe(sender=_pod(cluster, sender), receiver=to, address=address))


def _received(cluster: LabCluster, *pairs: tuple[str, str], offered_kbps: int = 3 * RATE_KBPS // 2) -> list[float]:
    streams = [
        Stream(
            sender=_pod(cluster, sender),
            receiver=_pod(cluster, receiver),
            address=_pod(cluster, receiver).address(version=4),
            port=PORT + index,
            offered=offered_kbps * 1000,
            seconds=SECONDS,
            payload=1200,
        )
        for index, (sender, receiver) in enumerate(pairs)
    ]
    return [one.bits_per_second for one in measure_rates(cluster.sandbox, streams)]


class TestKubeOvn:
    @pytest.mark.parametrize("version", [4, 6])
    def test_what_goes_to_selected_pods_is_marked_where_it_leaves(self, kube_ovn: KubeOvnCluster, version: int) -> None:
        kube_ovn.apply(_policy(rule(DSCP, TO_TARGETS), networks=DEFAULT_NETWORK))
        for index, (subnet, node) in enumerate(PLACES.values()):
            for sender, receiver, mark in (
                ("sender", f"target{index}", MARK),
                ("sender", f"other{index}", NONE),
                ("stranger", f"target{index}", NONE),
            ):
                seen = _marks(kube_ovn, sender, receiver, version=version)
                crossed = mark if node != HERE else frozenset[int]()
                assert (seen.received, seen.wire) == (mark, crossed), f"{sender} to {receiver}, {subnet} on {node}"

    @pytest.mark.parametrize("version", [4, 6])
    def test_an_address_of_another_vpc_is_another_pod(self, kube_ovn: KubeOvnCluster, version: int) -> None:
        twin, target = (_pod(kube_ovn, name).address(version=version) for name in ("twin", "target2"))
        assert twin == target, "the two VPCs are to use the same address"
        kube_ovn.apply(_policy(rule(DSCP, TO_TARGETS)))
        assert _marks(kube_ovn, "guest", "twin", version=version).wire == NONE
        assert _marks(kube_ovn, "guest", "mine", version=version).wire == MARK
        assert _marks(kube_ovn, "sender", "target3", version=version).wire == MARK

    def test_an_interface_by_a_nad_is_in_the_vpc_too(self, kube_ovn: KubeOvnCluster) -> None:
        kube_ovn.apply(_policy(rule(DSCP, TO_TARGETS)))
        assert _marks(kube_ovn, "sender", "fast-target", network="fast").wire == MARK
        assert _marks(kube_ovn, "sender", "fast-target", network="apps").wire == MARK
        kube_ovn.apply(_policy(rule(DSCP, TO_TARGETS), networks=DEFAULT_NETWORK))
        assert _marks(kube_ovn, "sender", "fast-target", network="fast").wire == NONE
        assert _marks(kube_ovn, "sender", "fast-target", network="apps").wire == MARK

    @pytest.mark.parametrize("version", [4, 6])
    def test_an_underlay_subnet_is_marked_on_the_wire(self, kube_ovn: KubeOvnCluster, version: int) -> None:
        kube_ovn.apply(_policy(rule(DSCP)))
        assert _marks(kube_ovn, "vlan-sender", "vlan-target", version=version).wire == MARK
        assert _marks(kube_ovn, "vlan-target", "vlan-sender", version=version).wire == NONE
        outside = kube_ovn.sandbox.outside
        address = {4: "10.19.0.1", 6: "fd00:10:19::1"}[version]
        probe = Probe(sender=_pod(kube_ovn, "vlan-sender"), receiver=outside, address=address)
        seen = read_marks(kube_ovn.sandbox, probe)
        assert (seen.received, seen.wire) == (MARK, MARK)

    @pytest.mark.parametrize("receiver", ["target0", "target1", "target3"])
    def test_a_limit_holds_once(self, kube_ovn: KubeOvnCluster, receiver: str) -> None:
        kube_ovn.apply(_policy(limited_rule(DSCP, PORT, RATE_KBPS, version=4)))
        (limited,) = _received(kube_ovn, ("sender", receiver))
        assert limited == pytest.approx(limit(RATE_KBPS), rel=0.05)
        (free,) = _received(kube_ovn, ("stranger", receiver))
        assert free == pytest.approx(1.5 * RATE_KBPS * 1000, rel=0.05)

    def test_two_senders_on_two_nodes_each_get_the_whole_rate(self, kube_ovn: KubeOvnCluster) -> None:
        """To each other, over the router: a second meter at the receiver would divide it."""
        both = {"ports": [*udp_ports(PORT), *udp_ports(PORT + 1)], "to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}
        kube_ovn.apply(_policy(rule(DSCP, both, rate_kbps=RATE_KBPS, burst_kbit=1000)))
        for rate in _received(kube_ovn, ("sender", "sender2"), ("sender2", "sender")):
            assert rate == pytest.approx(limit(RATE_KBPS), rel=0.05)

    @pytest.mark.parametrize("names", [("a", "b"), ("b", "a")], ids=["old first", "new first"])
    def test_of_two_launcher_pods_of_a_virtual_machine_the_stricter_limit_holds(
        self, kube_ovn: KubeOvnCluster, names: tuple[str, str]
    ) -> None:
        pod, compiler = _pod(kube_ovn, MACHINE), kube_ovn.compiler
        for name, rate_kbps in zip(names, (RATE_KBPS, 2 * RATE_KBPS), strict=True):
            annotations = {
                **kube_ovn.annotations(pod),
                "ovn.kubernetes.io/virtualmachine": MACHINE,
                **limits(egress=f"{rate_kbps}k", burst=BURST),
            }
            metadata = {"name": f"launcher-{name}", "namespace": SPACE, "annotations": annotations}
            document = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"nodeName": HERE}}
            compiler.apply(parse_object(document))
        try:
            kube_ovn.apply(expected=Code.PORT_CLAIMED)
            (limited,) = _received(kube_ovn, (MACHINE, "target0"), offered_kbps=3 * RATE_KBPS)
        finally:
            for name in names:
                compiler.delete("Pod", f"{SPACE}/launcher-{name}")
        assert limited == pytest.approx(limit(RATE_KBPS), rel=0.05)

    @pytest.mark.usefixtures("service")
    def test_a_services_backend_is_known_once_its_connection_is_established(self, kube_ovn: KubeOvnCluster) -> None:
        """from-lport runs before load balancing, but an established connection goes by its backend there too."""
        kube_ovn.apply(_policy(rule(DSCP, TO_TARGETS, rate_kbps=SERVICE_RATE_KBPS)))
        for sender, limited in (("sender", True), ("stranger", False)):
            stream = Stream(
                sender=_pod(kube_ovn, sender),
                receiver=_pod(kube_ovn, "target3"),
                address=SERVICE,
                balanced_to=_pod(kube_ovn, "target3").address(version=4),
                port=SERVICE_PORT,
                protocol="tcp",
                seconds=SECONDS if limited else 2,
            )
            (measured,) = measure([stream])
            most = 1.05 * limit(SERVICE_RATE_KBPS, None)
            assert (measured.bits_per_second <= most) is limited, f"{sender}: {measured}"


MAP: Final = {
    "networks": {
        "default": {
            "topology": "layer2",
            "switch": "lan",
            "port": "vm-{namespace}.{name}",
            "addresses": {"annotation": ADDRESSES},
        }
    },
    "pods": {f"{SPACE}/appliance": {"default": {"port": "appliance-7", "addresses": ["10.88.0.3"]}}},
}


@pytest.fixture
def static(programs: Programs) -> Iterator[StaticCluster]:
    """One switch on two nodes; the port of `appliance` does not go by the template."""
    with (
        LabSandbox((HERE, THERE), networks=(), programs=programs) as sandbox,
        Northbound.connect(sandbox.central.northbound.remote) as northbound,
    ):
        cluster = StaticCluster(sandbox, northbound, MAP)
        ports = {f"{SPACE}/appliance": "appliance-7"}
        template = "vm-{namespace}.{name}"
        sandbox.add_network(StaticNetwork("lan", subnets=["10.88.0.0/24"], port_template=template, ports=ports))
        _add(cluster, "appliance", THERE, "lan", labels=TARGET)
        _add(cluster, "target", THERE, "lan", labels=TARGET)
        _add(cluster, "sender", HERE, "lan", labels=SENDER)
        _add(cluster, "stranger", HERE, "lan")
        yield cluster


def test_a_topology_map_wires_rows_to_its_switches_and_ports(static: StaticCluster) -> None:
    static.apply(_policy(rule(DSCP, TO_TARGETS)))
    assert _marks(static, "sender", "target").wire == MARK
    assert _marks(static, "sender", "appliance").wire == MARK
    assert _marks(static, "sender", "stranger").received == NONE
    assert _marks(static, "stranger", "target").wire == NONE
    static.apply(_policy(limited_rule(DSCP, PORT, RATE_KBPS)))
    assert _received(static, ("sender", "target")) == [pytest.approx(limit(RATE_KBPS), rel=0.05)]
