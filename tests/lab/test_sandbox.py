"""The sandbox's nodes and pods, and that its measurements tell true from false."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ovnqos.sandbox import (
    Host,
    Layer3Network,
    Marks,
    Probe,
    SandboxError,
    SandboxPod,
    Stream,
    measure,
    read_marks,
)
from tests.support.flat_networks import Layer2Network, LocalnetNetwork
from tests.support.lab_sandbox import LabSandbox, reaches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RATE_KBPS = 20_000
TOS_OF_DSCP_20 = 0x50
STREAM = "sandbox/ovn-stream"
FLAT = "sandbox/flat-l2"
LOCALNET = "sandbox/localnet"
NETWORKS = ("default", STREAM, FLAT, LOCALNET)

VERSIONS = pytest.mark.parametrize("version", [4, 6], ids=["IPv4", "IPv6"])
RECEIVERS = pytest.mark.parametrize("where", ["same node", "other node", "outside"])


pytestmark = pytest.mark.one_ovn


@pytest.fixture(scope="module")
def pods(sandbox: LabSandbox) -> Iterator[dict[str, SandboxPod]]:
    sandbox.add_network(Layer3Network("ovn-stream", subnets=["10.245.0.0/16/24", "fd10:245::/48/64"], nad=STREAM))
    sandbox.add_network(Layer2Network("flat-l2", subnets=["10.246.0.0/16", "fd10:246::/64"], nad=FLAT))
    sandbox.add_network(LocalnetNetwork("localnet", subnets=["10.247.0.0/16", "fd10:247::/64"], nad=LOCALNET))
    places = {"sender": "ovn-worker", "same": "ovn-worker", "other": "ovn-worker2"}
    made = {
        name: sandbox.add_pod(name, namespace="sandbox", node=node, networks=NETWORKS) for name, node in places.items()
    }
    yield made
    for pod in made.values():
        sandbox.remove_pod(pod)


@pytest.fixture
def receiver(sandbox: LabSandbox, pods: dict[str, SandboxPod], where: str) -> Host:
    return {"same node": pods["same"], "other node": pods["other"], "outside": sandbox.outside}[where]


@pytest.fixture
def qos(sandbox: LabSandbox, pods: dict[str, SandboxPod]) -> Iterator[Callable[[str, str], None]]:
    """Adds a row to the sender's switch: mark 20, and the rate."""
    switch = pods["sender"].attachment("default").switch

    def add(direction: str, match: str) -> None:
        sandbox.central.nbctl("qos-add", switch, direction, "100", match, "dscp=20", f"rate={RATE_KBPS}")
        sandbox.central.sync()

    yield add
    sandbox.central.nbctl("qos-del", switch)
    sandbox.central.sync()


class TestConnectivity:
    @VERSIONS
    @RECEIVERS
    def test_pods_reach_one_another_and_the_outside(
        self, pods: dict[str, SandboxPod], receiver: Host, version: int
    ) -> None:
        assert reaches(pods["sender"], receiver.address(version=version, interface="eth0"))

    @VERSIONS
    def test_the_outside_reaches_pods_on_every_node(
        self, sandbox: LabSandbox, pods: dict[str, SandboxPod], version: int
    ) -> None:
        for pod in pods.values():
            assert reaches(sandbox.outside, pod.address_on("default", version=version))

    @VERSIONS
    @pytest.mark.parametrize("network", [STREAM, FLAT, LOCALNET], ids=["layer3", "layer2", "localnet"])
    def test_pods_reach_one_another_on_secondary_networks(
        self, pods: dict[str, SandboxPod], network: str, version: int
    ) -> None:
        for name in ("same", "other"):
            assert reaches(pods["sender"], pods[name].address_on(network, version=version))

    def test_the_outside_can_have_further_addresses(self, sandbox: LabSandbox, pods: dict[str, SandboxPod]) -> None:
        for address in ("203.0.113.7", "2001:db8::7"):
            assert not reaches(pods["sender"], address, timeout=1)
            sandbox.outside.add_address(f"{address}/{128 if ':' in address else 32}")
            assert reaches(pods["sender"], address)

    def test_an_address_of_nobody_is_not_reached(self, pods: dict[str, SandboxPod]) -> None:
        assert not reaches(pods["sender"], "10.244.0.250", timeout=1)

    def test_a_removed_pod_is_not_reached_and_leaves_no_port(
        self, sandbox: LabSandbox, pods: dict[str, SandboxPod]
    ) -> None:
        short = sandbox.add_pod("short-lived", namespace="sandbox", node="ovn-worker2")
        address = short.address(version=4)
        assert reaches(pods["sender"], address)
        sandbox.remove_pod(short)
        assert not reaches(pods["sender"], address, timeout=1)
        assert "short-lived" not in sandbox.central.nbctl("show")

    def test_unknown_nodes_and_networks_are_refused(self, sandbox: LabSandbox) -> None:
        with pytest.raises(SandboxError, match="no node nowhere"):
            sandbox.add_pod("a", node="nowhere")
        with pytest.raises(SandboxError, match="no network default/none"):
            sandbox.add_pod("a", node="ovn-worker", networks=["default", "default/none"])


class TestAnnotation:
    def test_it_says_how_the_pod_is_wired(self, sandbox: LabSandbox, pods: dict[str, SandboxPod]) -> None:
        pod = pods["other"]
        annotation = json.loads(pod.annotation)
        assert list(annotation) == ["default", STREAM, FLAT, LOCALNET]
        for key, interface in (("default", "eth0"), (STREAM, "net1"), (FLAT, "net2"), (LOCALNET, "net3")):
            link = json.loads(_ip(pod, "-json", "address", "show", "dev", interface))[0]
            held = {f"{a['local']}/{a['prefixlen']}" for a in link["addr_info"] if a["scope"] == "global"}
            assert set(annotation[key]["ip_addresses"]) == held
            assert annotation[key]["mac_address"] == link["address"]
        assert annotation["default"]["gateway_ips"] == ["10.244.1.1", "fd10:244:0:1::1"]
        assert [annotation[key]["role"] for key in annotation] == ["primary", *["secondary"] * 3]
        assert "gateway_ips" not in annotation[FLAT]

    def test_switches_and_ports_bear_ovn_kubernetes_names(
        self, sandbox: LabSandbox, pods: dict[str, SandboxPod]
    ) -> None:
        wired = {key: (pods["other"].attachment(key).switch, pods["other"].attachment(key).port) for key in NETWORKS}
        assert wired["default"] == ("ovn-worker2", "sandbox_other")
        assert wired[STREAM] == ("ovn.stream_ovn-worker2", "sandbox.ovn.stream_sandbox_other")
        assert wired[FLAT] == ("flat.l2_ovn_layer2_switch", "sandbox.flat.l2_sandbox_other")
        assert wired[LOCALNET] == ("localnet_ovn_localnet_switch", "sandbox.localnet_sandbox_other")
        for switch, port in wired.values():
            assert f"({port})" in sandbox.central.nbctl("lsp-list", switch)


class TestMarks:
    @VERSIONS
    @RECEIVERS
    @pytest.mark.parametrize("protocol", ["icmp", "udp", "tcp"])
    def test_an_unmarked_packet_reads_zero(
        self,
        *,
        sandbox: LabSandbox,
        pods: dict[str, SandboxPod],
        receiver: Host,
        version: int,
        where: str,
        protocol: str,
    ) -> None:
        address = receiver.address(version=version, interface="eth0")
        probe = Probe(sender=pods["sender"], receiver=receiver, address=address, protocol=protocol)  # type: ignore[arg-type]  # parametrized
        wire = frozenset[int]() if where == "same node" else frozenset([0])
        assert read_marks(sandbox, probe) == Marks(received=frozenset([0]), wire=wire)

    @VERSIONS
    @RECEIVERS
    def test_a_marked_packet_reads_its_mark_and_others_stay_unmarked(
        self,
        *,
        sandbox: LabSandbox,
        pods: dict[str, SandboxPod],
        qos: Callable[[str, str], None],
        receiver: Host,
        version: int,
        where: str,
    ) -> None:
        qos("to-lport", f'inport == "{pods["sender"].attachment("default").port}" && ip{version} && udp')
        address = receiver.address(version=version, interface="eth0")
        marked = Probe(sender=pods["sender"], receiver=receiver, address=address, protocol="udp")
        tos = frozenset([TOS_OF_DSCP_20])
        assert read_marks(sandbox, marked) == Marks(received=tos, wire=frozenset() if where == "same node" else tos)
        unmarked = Probe(sender=pods["sender"], receiver=receiver, address=address, protocol="tcp")
        assert read_marks(sandbox, unmarked).received == frozenset([0])

    def test_a_localnet_network_reaches_the_outside(self, sandbox: LabSandbox, pods: dict[str, SandboxPod]) -> None:
        sandbox.outside.add_address("10.247.255.1/16")
        probe = Probe(sender=pods["sender"], receiver=sandbox.outside, address="10.247.255.1", protocol="udp")
        assert read_marks(sandbox, probe) == Marks(received=frozenset([0]), wire=frozenset([0]))

    def test_a_layer2_switchs_mark_comes_after_the_wire(self, sandbox: LabSandbox, pods: dict[str, SandboxPod]) -> None:
        sender, other = pods["sender"], pods["other"]
        switch, port = sender.attachment(FLAT).switch, sender.attachment(FLAT).port
        sandbox.central.nbctl("qos-add", switch, "to-lport", "100", f'inport == "{port}" && ip4', "dscp=20")
        sandbox.central.sync()
        marks = read_marks(sandbox, Probe(sender=sender, receiver=other, address=other.address_on(FLAT)))
        assert marks == Marks(received=frozenset([TOS_OF_DSCP_20]), wire=frozenset([0]))

    def test_a_dropped_packet_reads_nothing_where_it_should_arrive(
        self, sandbox: LabSandbox, pods: dict[str, SandboxPod]
    ) -> None:
        switch, address = pods["same"].attachment("default").switch, pods["same"].address_on("default")
        sandbox.central.nbctl("acl-add", switch, "to-lport", "1000", f"ip4.dst == {address} && udp", "drop")
        sandbox.central.sync()
        probe = Probe(sender=pods["sender"], receiver=pods["same"], address=address, protocol="udp")
        assert read_marks(sandbox, probe, timeout=1) == Marks(received=frozenset(), wire=frozenset())
        sandbox.central.nbctl("acl-del", switch)
        sandbox.central.sync()

    def test_an_address_must_be_the_receivers(self, sandbox: LabSandbox, pods: dict[str, SandboxPod]) -> None:
        probe = Probe(sender=pods["sender"], receiver=pods["same"], address=pods["other"].address(version=4))
        with pytest.raises(SandboxError, match="not an address of sandbox/same"):
            read_marks(sandbox, probe)


class TestRates:
    @pytest.mark.alone  # 20 and 30 Mbit/s at once
    @VERSIONS
    def test_a_metered_stream_gets_its_rate_and_another_its_own(
        self, pods: dict[str, SandboxPod], qos: Callable[[str, str], None], version: int
    ) -> None:
        qos("to-lport", f'inport == "{pods["sender"].attachment("default").port}" && ip{version}')
        address = pods["other"].address_on("default", version=version)
        offered, seconds = 1.5 * RATE_KBPS * 1000, 5
        metered, free = measure(
            [
                Stream(sender=pods["sender"], receiver=pods["other"], address=address, offered=offered),
                Stream(sender=pods["same"], receiver=pods["other"], address=address, offered=offered, port=5202),
            ]
        )
        burst = RATE_KBPS * 1000  # OVN's default: one second of the rate
        assert metered.bits_per_second == pytest.approx(RATE_KBPS * 1000 + burst / seconds, rel=0.05)
        assert free.bits_per_second == pytest.approx(offered, rel=0.02)

    def test_tcp_is_far_above_the_limits_of_these_tests(self, pods: dict[str, SandboxPod]) -> None:
        address = pods["other"].address_on("default")
        stream = Stream(sender=pods["sender"], receiver=pods["other"], address=address, protocol="tcp", seconds=2)
        assert measure([stream])[0].bits_per_second > 5 * RATE_KBPS * 1000


class TestLife:
    def test_two_sandboxes_live_side_by_side_and_leave_nothing(self, lab: None, sandbox: LabSandbox) -> None:
        with LabSandbox(nodes=("ovn-worker",)) as second:
            pod = second.add_pod("pod", node="ovn-worker")
            assert reaches(pod, second.outside.address(version=4))
            folder, processes = second.folder, _processes_in(second.folder)
            assert len(processes) >= 8
        assert not folder.exists()
        assert _processes_in(folder) == set()
        assert sandbox.central.nbctl("ls-list")

    def test_a_start_that_fails_half_way_leaves_nothing(
        self, lab: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        one_subnet_for_two_nodes = Layer3Network(subnets=["10.244.0.0/24/24"])
        with (
            pytest.raises(SandboxError, match="fewer node subnets"),
            LabSandbox(networks=[one_subnet_for_two_nodes]),
        ):
            pass
        assert list(tmp_path.iterdir()) == []
        assert _processes_in(tmp_path) == set()

    def test_nothing_outlives_a_killed_parent(self, lab: None, tmp_path: Path) -> None:
        script = textwrap.dedent("""
            from tests.support.lab_sandbox import LabSandbox
            with LabSandbox(nodes=("ovn-worker",)) as sandbox:
                sandbox.add_pod("pod", node="ovn-worker")
                print("ready", flush=True)
                input()
        """)
        with subprocess.Popen(
            [sys.executable, "-c", script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"TMPDIR": str(tmp_path)},
        ) as parent:
            assert parent.stdout is not None
            assert parent.stdout.readline() == "ready\n"
            children = _children_of(parent.pid)
            assert len(children) >= 8
            parent.send_signal(signal.SIGKILL)
        for child in children:
            _await_end(child)


def _ip(pod: SandboxPod, *arguments: str) -> str:
    return subprocess.run(pod.namespace.command(["ip", *arguments]), check=True, capture_output=True, text=True).stdout


def _processes_in(folder: Path) -> set[int]:
    """The processes whose output goes to a file under the folder, as every process of a sandbox's does."""
    found = set()
    for process in Path("/proc").iterdir():
        try:
            if process.name.isdigit() and str((process / "fd/2").readlink()).startswith(f"{folder}/"):
                found.add(int(process.name))
        except OSError:  # it has ended
            continue
    return found


def _children_of(pid: int) -> list[int]:
    return [
        int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()
    ]


def _await_end(pid: int) -> None:
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    ended = poll.poll(5000)
    os.close(pidfd)
    assert ended, f"process {pid} outlives its parent"
