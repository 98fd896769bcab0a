"""`ovnqos verify -f` against real databases: what objects promise, and what all rows of a Northbound do to packets."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, Final

import pytest

from ovnqos.explain.pipeline import PipelineVersion
from ovnqos.verify import ObjectVerdict
from tests.functional.support_command import Ended, ovnqos
from tests.functional.support_manifests import attachment, pod, policy, rule, write
from tests.support import verdict_agreement
from tests.support.cluster import mac_address
from tests.support.ovn_programs import ovn_version
from tests.support.traced_ovn import TracedOvn

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROUTER: Final = "0a:00:00:00:00:fe"
LIMIT: Final = {"rate": 20_000, "burst": 20_000}
TO_WEB: Final = [{"ipBlock": {"cidr": "203.0.113.0/24", "except": ["203.0.113.64/26"]}}]
PODS: Final = [
    pod("a", "10.0.0.1", labels={"app": "web"}),
    pod("c", "10.0.0.3", labels={"app": "db"}),
    pod("b", "10.0.1.2", labels={"app": "web"}, node="node2"),
]
GOLD: Final = policy("gold", rule(10, bandwidth=LIMIT, to=TO_WEB), podSelector={"matchLabels": {"app": "web"}})
CONTROLLER: Final = "default-network-controller"


@pytest.fixture(scope="module")
def server() -> Iterator[TracedOvn]:
    """Two node switches with the pods' ports and a router between them, and a layer2 network over both."""
    with TracedOvn() as started:
        ports = {"node1": {"shop_a": "10.0.0.1", "shop_c": "10.0.0.3"}, "node2": {"shop_b": "10.0.1.2"}}
        started.run([["lr-add", "router"]])
        for number, (node, pods) in enumerate(ports.items(), start=1):
            started.add_switch(node, {port: f"{mac_address(address)} {address}" for port, address in pods.items()})
            started.run(
                [
                    ["lrp-add", "router", f"rtos-{node}", ROUTER, f"10.0.{number - 1}.254/24"],
                    ["lsp-add", node, f"stor-{node}"],
                    ["lsp-set-type", f"stor-{node}", "router"],
                    ["lsp-set-addresses", f"stor-{node}", "router"],
                    ["lsp-set-options", f"stor-{node}", f"router-port=rtos-{node}"],
                ]
            )
        flat = {
            f"shop.flat_shop_{name}": f"0a:00:00:00:09:0{index} 10.9.0.{index}"
            for index, name in ((1, "x"), (2, "y"), (3, "z"))
        }
        started.add_switch("flat_ovn_layer2_switch", flat)
        bare = {f"shop.bare_shop_{name}": f"0a:00:00:00:08:0{index}" for index, name in ((1, "x"), (2, "y"))}
        started.add_switch("bare_ovn_layer2_switch", bare)
        yield started


@pytest.fixture
def ovn(server: TracedOvn) -> Iterator[TracedOvn]:
    """The same without rows; what a test adds goes when it ends."""
    yield server
    switches = ("node1", "node2", "flat_ovn_layer2_switch", "bare_ovn_layer2_switch")
    server.run([["qos-del", name] for name in switches])
    server.central.nbctl("--all", "destroy", "Address_Set", "--", "--all", "destroy", "Port_Group")


def apply(ovn: TracedOvn, path: Path, *words: str) -> None:
    ended = ovnqos("apply", "-f", path, "--nb", ovn.central.northbound.remote, "--yes", *words)
    assert ended.code == 0, ended


def verify(ovn: TracedOvn, path: Path, *words: str) -> Ended:
    ovn.central.nbctl("--wait=sb", "sync")
    places = ("--nb", ovn.central.northbound.remote, "--sb", ovn.central.southbound.remote)
    return ovnqos("verify", "-f", path, *places, *words)


def promises(ovn: TracedOvn, path: Path, *words: str) -> dict[str, dict[str, Any]]:
    """The findings by object and rule, of one network each."""
    ended = verify(ovn, path, "-o", "json", *words)
    document = json.loads(ended.out)
    assert document["in_force"] is (ended.code == 0)
    return {f"{one['object']} {one['path']}": one for one in document["promises"]}


def verdicts(ovn: TracedOvn, path: Path, *words: str) -> dict[str, str]:
    return {name: one["verdict"] for name, one in promises(ovn, path, *words).items()}


def upstream(ovn: TracedOvn, switch: str, match: str, *, priority: int = 10_100, **given: Any) -> None:
    """A row as ovn-kubernetes writes it for the object shop/gold."""
    known = {"name": "shop:gold", "owner-type": "NetworkQoS", "owner-controller": CONTROLLER}
    ids = [f'external_ids:"k8s.ovn.org/{key}"="{value}"' for key, value in known.items()]
    settings = [f"action:dscp={given.get('dscp', 10)}"]
    if given.get("limited", True):
        settings.append("bandwidth={burst=20000, rate=20000}")
    ovn.add_row(switch, "to-lport", priority, match, *settings, *ids, "external_ids:rule-index=0")


class TestInForce:
    @pytest.mark.parametrize("words", [(), ("--trace",)])
    def test_what_apply_has_written(self, ovn: TracedOvn, tmp_path: Path, words: tuple[str, ...]) -> None:
        limited = pod("c", "10.0.0.3", labels={"app": "db"})
        limited["metadata"]["annotations"]["kubernetes.io/egress-bandwidth"] = "10M"
        path = write(tmp_path / "all.yaml", GOLD, PODS[0], limited, PODS[2])
        apply(ovn, path)
        ended = verify(ovn, path, *words)
        assert (ended.code, ended.errors) == (0, []), ended
        found = promises(ovn, path, *words)
        assert {name: one["verdict"] for name, one in found.items()} == {
            "NetworkQoS/shop/gold spec.egress[0]": "in force",
            "Pod/shop/c egress": "in force",
        }
        assert all(one["packets"] > 5 for one in found.values())
        assert all((one["traced"] > 0) is bool(words) for one in found.values()), found

    def test_rows_of_ovn_kubernetes(self, ovn: TracedOvn, tmp_path: Path) -> None:
        ovn.add_sets({"web1": ["10.0.0.1"], "web2": ["10.0.1.2"]}, {})
        for number in (1, 2):
            rest = "ip4.dst == 203.0.113.0/24 && ip4.dst != {203.0.113.64/26}"
            upstream(ovn, f"node{number}", f"ip4.src == {{$web{number}}} && {rest}")
        path = write(tmp_path / "all.yaml", GOLD, *PODS)
        ended = verify(ovn, path, "--trace")
        assert ended.code == 0, ended
        assert ended.err == "1 rule of 1 object: 1 in force\n"

    @pytest.mark.parametrize("scope", ["pod", "policy"])
    def test_a_policy_beside_limits_of_its_sender_and_of_a_receiver(
        self, ovn: TracedOvn, tmp_path: Path, scope: str
    ) -> None:
        sender, receiver = pod("a", "10.0.0.1", labels={"app": "web"}), pod("c", "10.0.0.3")
        receiver["metadata"]["annotations"]["kubernetes.io/ingress-bandwidth"] = "6M"
        if scope == "pod":
            sender["metadata"]["annotations"]["kubernetes.io/egress-bandwidth"] = "3M"
        gold = policy("gold", rule(10, bandwidth={"rate": 9_000}), podSelector={"matchLabels": {"app": "web"}})
        gold["metadata"]["annotations"] = {"ovnqos.io/bandwidth-scope": scope}
        path = write(tmp_path / "all.yaml", gold, sender, receiver)
        apply(ovn, path)
        ended = verify(ovn, path, "--trace")
        assert (ended.code, ended.errors) == (0, []), ended

    def test_marks_and_limits_of_single_pods(self, ovn: TracedOvn, tmp_path: Path) -> None:
        web, db = pod("a", "10.0.0.1"), pod("c", "10.0.0.3")
        web["metadata"]["annotations"] |= {
            "qos.projectcalico.org/dscp": "EF",
            "qos.projectcalico.org/egressBandwidth": "3M",
        }
        db["metadata"]["annotations"]["qos.projectcalico.org/ingressBandwidth"] = "6M"
        path = write(tmp_path / "all.yaml", web, db)
        cluster = ("--cluster-cidr", "10.0.0.0/8")
        apply(ovn, path, *cluster)
        found = promises(ovn, path, "--trace", *cluster)
        assert {name: one["verdict"] for name, one in found.items()} == {
            "Pod/shop/a dscp": "in force",
            "Pod/shop/a egress": "in force",
            "Pod/shop/c ingress": "in force",
        }
        ovn.run([["qos-del", "node1", "from-lport"]])
        assert verdicts(ovn, path, *cluster) == {
            "Pod/shop/a dscp": "in force",
            "Pod/shop/a egress": "missing",
            "Pod/shop/c ingress": "in force",
        }

    def test_an_object_without_pods_is_idle(self, ovn: TracedOvn, tmp_path: Path) -> None:
        path = write(tmp_path / "all.yaml", policy("gold", podSelector={"matchLabels": {"app": "none"}}), *PODS)
        assert verdicts(ovn, path) == {"NetworkQoS/shop/gold spec.egress[0]": "idle"}
        assert verify(ovn, path).code == 0


class TestNotInForce:
    NAME: Final = "NetworkQoS/shop/gold spec.egress[0]"

    def test_without_rows_it_is_missing(self, ovn: TracedOvn, tmp_path: Path) -> None:
        path = write(tmp_path / "all.yaml", GOLD, *PODS)
        ended = verify(ovn, path)
        assert ended.code == 1
        (error,) = ended.errors
        assert error.startswith("NetworkQoS shop/gold: spec.egress[0]: network default: missing: shop_a to 203.0.113.1")
        assert "promised dscp 10 and 20000 kbps (burst 20000 kbit), leaves with nothing" in error

    def test_on_one_of_two_nodes_it_is_partly_in_force(self, ovn: TracedOvn, tmp_path: Path) -> None:
        path = write(tmp_path / "all.yaml", GOLD, *PODS)
        apply(ovn, path)
        ovn.run([["qos-del", "node2"]])
        found = promises(ovn, path)[self.NAME]
        assert (found["verdict"], found["example"]["switch"]) == ("partly", "node2")

    def test_a_foreign_row_that_re_marks_is_named(self, ovn: TracedOvn, tmp_path: Path) -> None:
        path = write(tmp_path / "all.yaml", GOLD, *PODS)
        apply(ovn, path)
        ovn.add_row("node1", "to-lport", 30_000, "ip4.dst == 203.0.113.9", "action:dscp=46")
        found = promises(ovn, path)[self.NAME]
        assert found["verdict"] == "differs"
        (actual,) = found["example"]["actual"]
        assert (actual["dscp"], actual["rows"][0]["priority"]) == (46, 30_000)
        assert found["example"]["promised"]["dscp"] == 10
        assert "shop_a to 203.0.113.9" in found["reason"]

    def test_a_foreign_row_of_equal_priority_is_undefined(self, ovn: TracedOvn, tmp_path: Path) -> None:
        path = write(tmp_path / "all.yaml", GOLD, *PODS)
        apply(ovn, path)
        ovn.add_row("node1", "to-lport", 10_400, "ip4.dst == 203.0.113.9", "action:dscp=46")
        assert verdicts(ovn, path) == {self.NAME: "undefined"}
        assert verdicts(ovn, path, "--trace") == {self.NAME: "undefined"}

    def test_a_row_that_takes_more_than_the_rule(self, ovn: TracedOvn, tmp_path: Path) -> None:
        """The exception is lost: packets to it are marked, which nobody promises."""
        path = write(tmp_path / "all.yaml", GOLD, *PODS)
        for number, address in ((1, "10.0.0.1"), (2, "10.0.1.2")):
            upstream(ovn, f"node{number}", f"ip4.src == {address} && ip4.dst == 203.0.113.0/24")
        found = promises(ovn, path)[self.NAME]
        assert found["verdict"] == "differs"
        assert found["example"]["promised"] == {"dscp": None, "limits": []}
        assert found["example"]["actual"][0]["rows"][0]["object"] == "NetworkQoS/shop/gold"

    def test_what_the_southbound_does_otherwise_is_found_by_trace(self, ovn: TracedOvn, tmp_path: Path) -> None:
        path = write(tmp_path / "all.yaml", GOLD, *PODS)
        apply(ovn, path)
        ovn.central.nbctl("--wait=sb", "sync")
        ovn.central.northd.freeze()
        try:
            ovn.run([["qos-del", "node1"], ["qos-del", "node2"]])
            apply(ovn, path)
            flows = ovn.central.sbctl("--bare", "--columns=_uuid", "find", "Logical_Flow", "priority=10400").split()
            ovn.central.sbctl(*[word for one in flows for word in ("--", "destroy", "Logical_Flow", one)][1:])
            places = ("--nb", ovn.central.northbound.remote, "--sb", ovn.central.southbound.remote)
            assert ovnqos("verify", "-f", path, *places).code == 0
            ended = ovnqos("verify", "-f", path, *places, "--trace")
        finally:
            ovn.central.northd.thaw()
        assert ended.code == 1
        assert "differs: " in ended.errors[0]
        assert "ovn-trace: to-lport: OVN applies nothing" in ended.errors[0]


class TestFaultsOfOvnKubernetes:
    """What its controller writes where users meet its faults; each is found with a packet."""

    NAME: Final = TestNotInForce.NAME
    SOURCE: Final = "ip4.src == 10.0.0.1"
    WEB: Final[dict[str, Any]] = {"podSelector": {"matchLabels": {"app": "web"}}}

    def found(self, ovn: TracedOvn, tmp_path: Path, *documents: Any) -> dict[str, Any]:
        found = promises(ovn, write(tmp_path / "all.yaml", *documents))[self.NAME]
        assert found["example"]["microflow"]
        return found

    def test_ports_without_to(self, ovn: TracedOvn, tmp_path: Path) -> None:
        gold = policy("gold", rule(10, bandwidth=LIMIT, ports=[{"protocol": "TCP", "port": 80}]), **self.WEB)
        upstream(ovn, "node1", f"{self.SOURCE} &&  && tcp && tcp.dst == {{80}}")
        found = self.found(ovn, tmp_path, gold, PODS[0])
        assert found["verdict"] == "missing"
        assert ", tcp port 80" in found["example"]["packet"]

    def test_a_protocol_beside_a_port_of_it(self, ovn: TracedOvn, tmp_path: Path) -> None:
        ports = [{"protocol": "TCP"}, {"protocol": "TCP", "port": 80}]
        gold = policy("gold", rule(10, bandwidth=LIMIT, to=TO_WEB, ports=ports), **self.WEB)
        rest = "ip4.dst == 203.0.113.0/24 && ip4.dst != {203.0.113.64/26}"
        upstream(ovn, "node1", f"{self.SOURCE} && {rest} && tcp && tcp.dst == {{80}}")
        found = self.found(ovn, tmp_path, gold, PODS[0])
        assert found["verdict"] == "partly"
        assert ", tcp port 9" in found["example"]["packet"]

    def test_a_port_without_protocol_takes_everything(self, ovn: TracedOvn, tmp_path: Path) -> None:
        gold = policy("gold", rule(10, bandwidth=LIMIT, to=TO_WEB, ports=[{"port": 80}]), **self.WEB)
        upstream(ovn, "node1", f"{self.SOURCE} && ip4.dst == 203.0.113.0/24 && ip4.dst != {{203.0.113.64/26}}")
        found = self.found(ovn, tmp_path, gold, PODS[0])
        assert found["verdict"] == "differs"
        assert found["example"]["promised"] == {"dscp": None, "limits": []}

    def test_priorities_that_collide(self, ovn: TracedOvn, tmp_path: Path) -> None:
        """Rule 10 of priority 9 and rule 0 of priority 10 are both 10000 + 100."""
        many = [rule(1, to=[{"ipBlock": {"cidr": f"198.51.100.{number}/32"}}]) for number in range(10)]
        rival = policy("rival", *many, rule(20, to=TO_WEB), priority=9, **self.WEB)
        rest = "ip4.dst == 203.0.113.0/24 && ip4.dst != {203.0.113.64/26}"
        upstream(ovn, "node1", f"{self.SOURCE} && {rest}")
        upstream(ovn, "node1", f"{self.SOURCE} && {rest} && 1", dscp=20, limited=False)
        found = self.found(ovn, tmp_path, GOLD, rival, PODS[0])
        assert found["verdict"] == "undefined"

    def test_to_lport_on_a_layer2_network(self, ovn: TracedOvn, tmp_path: Path) -> None:
        config = {"cniVersion": "1.0.0", "name": "flat", "type": "ovn-k8s-cni-overlay", "topology": "layer2"}
        flat = attachment("flat", json.dumps({**config, "subnets": "10.9.0.0/24", "netAttachDefName": "shop/flat"}))
        pods = [
            pod(name, f"10.0.7.{number}", node=f"node{node}", networks={"shop/flat": [f"10.9.0.{number}"]})
            for number, name, node in ((1, "x", 1), (2, "y", 2), (3, "z", 1))
        ]
        select = [
            {
                "networkSelectionType": "NetworkAttachmentDefinitions",
                "networkAttachmentDefinitionSelector": {"namespaceSelector": {}, "networkSelector": {}},
            }
        ]
        gold = policy("gold", rule(10, bandwidth=LIMIT), networkSelectors=select)
        upstream(ovn, "flat_ovn_layer2_switch", "ip4.src == {10.9.0.1, 10.9.0.2, 10.9.0.3}")
        found = self.found(ovn, tmp_path, gold, *pods, flat)
        assert found["verdict"] == "partly"
        assert found["example"]["packet"].startswith("shop.flat_shop_x to 10.9.0.2")
        assert "on the receiver's chassis" in found["reason"]

    def test_pods_without_ipam_are_left_out(self, ovn: TracedOvn, tmp_path: Path) -> None:
        config = {"cniVersion": "1.0.0", "name": "bare", "type": "ovn-k8s-cni-overlay", "topology": "layer2"}
        bare_network = attachment("bare", json.dumps({**config, "netAttachDefName": "shop/bare"}))
        bare = pod("x", "10.0.7.1", networks={"shop/bare": []})
        gold = policy("gold", rule(10, bandwidth=LIMIT))
        ovn.add_sets({"none": []}, {})
        upstream(ovn, "bare_ovn_layer2_switch", "ip4.src == {$none}")
        ended = verify(ovn, write(tmp_path / "all.yaml", gold, bare, bare_network), "-o", "json")
        found = [one for one in json.loads(ended.out)["promises"] if one["network"] == "bare"]
        assert [one["verdict"] for one in found] == ["missing"]
        assert found[0]["example"]["packet"].startswith("shop.bare_shop_x to ")


def test_verdicts_on_random_packets_are_what_ovn_trace_shows() -> None:
    """1,000 packets with HYPOTHESIS_PROFILE=explore."""
    packets = 1_000 if os.environ.get("HYPOTHESIS_PROFILE") == "explore" else 150
    version = PipelineVersion.of_release(ovn_version())
    compared = verdict_agreement.compare_verdicts(version=version, packets=packets)
    assert not compared.wrong, compared.wrong[:3]
    assert compared.packets >= packets
    assert compared.affected > packets / 5
    assert compared.undefined < packets / 5
    assert compared.kept[True] > packets / 10
    assert compared.kept[False]
    assert {ObjectVerdict.IN_FORCE, ObjectVerdict.IDLE} < compared.verdicts.keys()
