"""`ovnqos diff` in its three forms, and the audit of ovn-kubernetes' own rows."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.functional.support_command import ovnqos
from tests.functional.support_database import add_row, add_set, dump, of_others, update, wire
from tests.functional.support_manifests import GUIDE, PODS, pod, policy, rule, write
from tests.functional.support_states import OTHERS
from tests.support.cluster import mac_address

TCP = [{"protocol": "TCP"}]  # goes to no groups of receivers, so that a limit has one row

if TYPE_CHECKING:
    from pathlib import Path

    from ovnqos.sandbox import NorthboundServer


@pytest.fixture
def server(northbound: NorthboundServer) -> NorthboundServer:
    """A Northbound with the pods' switches and ports, and a row of somebody else."""
    wire(northbound, ["node1", "node2"], ["shop_a", "shop_b"])
    add_row(northbound, ["node1"], **OTHERS[0])
    return northbound


class TestDiff:
    @pytest.fixture
    def manifests(self, tmp_path: Path) -> Path:
        write(
            tmp_path / "all.yaml", policy("gold", rule(46, bandwidth={"rate": 1000, "burst": 2000}, ports=TCP)), *PODS
        )
        return tmp_path

    def test_shows_lines_of_qos_list_and_writes_nothing(self, server: NorthboundServer, manifests: Path) -> None:
        before = server.file.read_bytes()
        ended = ovnqos("diff", "-o", "diff", "-f", manifests, "--nb", server.remote)
        by_object = ovnqos("diff", "-f", manifests, "--nb", server.remote)
        assert (ended.code, by_object.code) == (0, 0)
        assert server.file.read_bytes() == before
        assert ovnqos("apply", "-f", manifests, "--nb", server.remote).code == 0

        lines = ended.out.splitlines()
        assert lines[:2] == ["--- switch node1 (is)", "+++ switch node1 (will be)"]
        listed = server.nbctl("qos-list", "node1").splitlines()
        assert [line[1:] for line in lines[3:5]] == listed
        assert re.fullmatch(r"\*\*\* port group ovnqos_src_[0-9a-f]{16} \(new, \+2\) sources: pods .*", lines[9])
        assert lines[10:] == ["+  shop_a", "+  shop_b"]
        row = next(line for line in listed if "10400" in line)
        assert by_object.out.splitlines()[:3] == [
            "NetworkQoS shop/gold (new): 1 rule on 2 switches",
            "  on 2 switches: node1, node2",
            f"    + {row.strip()}",
        ]
        assert by_object.out.splitlines()[4:] == ["    + 2 members: shop_a, shop_b"]
        assert ended.err == "to do: rows: 1 new; sets: 1 new\n"

    @pytest.mark.parametrize("command", ["diff", "apply"])
    def test_tells_of_annotations_with_addresses_that_their_ports_do_not_have(
        self, server: NorthboundServer, tmp_path: Path, command: str
    ) -> None:
        stolen = "10.244.0.7"
        for name, address in (("a", stolen), ("b", "10.244.0.8")):
            server.nbctl("lsp-set-addresses", f"shop_{name}", f"{mac_address(address)} {address}")
        words = [command, "--nb", server.remote, "-f"]
        honest, forged = tmp_path / "honest.yaml", tmp_path / "forged.yaml"
        gold, victim = policy("gold", rule(46)), pod("a", stolen)
        write(honest, gold, victim, pod("b", "10.244.0.8", node="node2"))
        write(forged, gold, victim, pod("b", stolen, node="node2"))
        assert "shop/b" not in ovnqos(*words, honest).err
        ended = ovnqos(*words, forged)
        assert ended.code == 0
        assert all(word in ended.err for word in ("shop/b", "shop_a", stolen))

    def test_says_by_exit_code_whether_there_is_drift(self, server: NorthboundServer, manifests: Path) -> None:
        words = ["diff", "-o", "diff", "--exit-code", "-f", str(manifests), "--nb", server.remote]
        assert ovnqos(*words).code == 2
        assert ovnqos("apply", "-f", manifests, "--nb", server.remote).code == 0
        same = ovnqos(*words)
        assert (same.code, same.out, same.err) == (0, "", "to do: no changes\n")

        row = next(uuid for uuid, one in dump(server)["QoS"].items() if one["priority"] == 10400)
        update(server, "QoS", row, bandwidth={"rate": 4_000_000})
        drift = ovnqos(*words)
        assert drift.code == 2
        assert [line[0] for line in drift.out.splitlines() if "@ovnqos_src" in line and line[0] in "+-"] == list("-+-+")
        assert ovnqos(*[word for word in words if word != "--exit-code"]).code == 0

    def test_prints_json_with_every_change(self, server: NorthboundServer, manifests: Path) -> None:
        ended = ovnqos("diff", "-o", "json", "-f", manifests, "--nb", server.remote)
        plan = json.loads(ended.out)

        assert plan["format"] == "ovnqos.io/plan/v2"
        assert plan["owner"] == "ovnqos"
        assert [one["change"] for one in plan["changes"]] == ["insert-set", "insert-row"]
        assert plan["changes"][0]["members"] == ["shop_a", "shop_b"]
        row = plan["changes"][1]
        assert row["switches"] == ["node1", "node2"]
        assert row["row"]["bandwidth"] == {"rate": 1000, "burst": 2000}
        assert row["row"]["external_ids"]["ovnqos.io/object"] == "NetworkQoS/shop/gold"
        assert ended.out == ovnqos("diff", "-o", "json", "-f", manifests, "--nb", server.remote).out

    def test_an_empty_plan_is_still_json_and_a_script(self, server: NorthboundServer, manifests: Path) -> None:
        assert ovnqos("apply", "-f", manifests, "--nb", server.remote).code == 0
        assert json.loads(ovnqos("diff", "-o", "json", "-f", manifests, "--nb", server.remote).out)["changes"] == []
        script = ovnqos("diff", "-o", "nbctl", "-f", manifests, "--nb", server.remote).out
        assert script.startswith("#!/bin/sh\n")
        assert "ovn-nbctl " not in re.sub("(?m)^#.*$", "", script)

    @pytest.mark.parametrize(("command", "code"), [(["diff", "--exit-code"], 2), (["apply"], 0)])
    def test_a_foreign_row_of_equal_priority_is_warned_of(
        self, server: NorthboundServer, manifests: Path, command: list[str], code: int
    ) -> None:
        limited = pod("c", "10.0.0.3")
        limited["metadata"]["annotations"]["kubernetes.io/egress-bandwidth"] = "20M"
        write(manifests / "limited.yaml", limited)
        server.nbctl("lsp-add", "node1", "shop_c")
        for priority, direction, match in (
            (10400, "to-lport", 'inport == "shop_a" && ip4'),
            (10400, "to-lport", 'inport == "another"'),  # takes no packet of ours
            (5000, "from-lport", "ip4"),
        ):
            add_row(server, ["node1"], priority=priority, direction=direction, match=match, action={"dscp": 9})
        words = [*command, "-f", str(manifests), "--nb", server.remote]
        elsewhere = ovnqos(*words, "-n", "other")
        assert not [line for line in elsewhere.warnings if "conflicts with" in line]
        ended = ovnqos(*words)
        assert ended.code == code
        assert sorted(line for line in ended.warnings if "conflicts with" in line) == [
            'NetworkQoS shop/gold: conflicts with foreign row to-lport 10400 (inport == "shop_a" && ip4) dscp=9 on '
            "switch node1: equal priority and overlapping matches; change one priority",
            "Pod shop/c: conflicts with foreign row from-lport  5000 (ip4) dscp=9 on switch node1: equal priority and "
            "overlapping matches; change one priority",
        ]

    def test_an_object_that_is_invalid_keeps_diff_from_saying_all_is_well(
        self, server: NorthboundServer, tmp_path: Path
    ) -> None:
        write(tmp_path / "all.yaml", policy("gold", rule(64)), *PODS)
        ended = ovnqos("diff", "--keep-going", "--exit-code", "-f", tmp_path, "--nb", server.remote)
        assert ended.code == 1


class TestUpstreamRows:
    """Rows as ovn-kubernetes' own controller was seen to write them."""

    MATCH = (
        "ip4.src == {$a6430668309535955215} && ip4.dst == 0.0.0.0/0 && "
        "ip4.dst != {10.11.12.13/32,172.16.0.0/12,192.168.0.0/16}"
    )
    CONTROLLER = "default-network-controller"

    def ids(self, identity: str, **more: str) -> dict[str, str]:
        return {
            "k8s.ovn.org/owner-controller": self.CONTROLLER,
            "k8s.ovn.org/owner-type": "NetworkQoS",
            "k8s.ovn.org/name": "nqos-ns:qos-external",
            "k8s.ovn.org/id": f"{self.CONTROLLER}:NetworkQoS:nqos-ns:qos-external:{identity}",
            **more,
        }

    @pytest.fixture
    def audited(self, northbound: NorthboundServer) -> NorthboundServer:
        wire(northbound, ["node1"], ["nqos-ns_a"])
        add_row(
            northbound,
            ["node1"],
            direction="to-lport",
            priority=10100,
            match=self.MATCH,
            action={"dscp": 20},
            bandwidth={"rate": 20000, "burst": 100},
            external_ids=self.ids("0", **{"rule-index": "0"}),
        )
        add_set(
            northbound,
            "Address_Set",
            name="a6430668309535955215",
            addresses={"10.244.1.5"},
            external_ids=self.ids("src:0:v4", **{"rule-index": "src", "ip-block-index": "0", "ip-family": "v4"}),
        )
        add_row(northbound, ["node1"], **OTHERS[0])
        return northbound

    @pytest.fixture
    def manifests(self, tmp_path: Path) -> Path:
        guide = yaml.safe_load(GUIDE.joinpath("nqos.yaml").read_text())
        guide["metadata"]["namespace"] = "nqos-ns"
        del guide["spec"]["networkSelectors"]
        source = pod("a", "10.244.1.5", namespace="nqos-ns", labels={"nqos-app": "bw-limited"})
        write(tmp_path / "all.yaml", guide, source)
        return tmp_path

    @pytest.mark.parametrize("command", ["diff", "apply"])
    def test_their_controller_is_warned_of(self, audited: NorthboundServer, manifests: Path, command: str) -> None:
        add_row(audited, ["node1"], priority=10_900, external_ids=self.ids("1", **{"k8s.ovn.org/name": "a:other"}))
        ended = ovnqos(command, "-f", manifests, "--nb", audited.remote)
        assert ended.code == 0
        (told,) = (line for line in ended.warnings if "controller writes" in line)
        assert told.startswith("NetworkQoS a/other, NetworkQoS nqos-ns/qos-external: ovn-kubernetes' own NetworkQoS")
        own = ovnqos(command, "-f", manifests, "--nb", audited.remote, "-n", "nqos-ns")
        (told,) = (line for line in own.warnings if "controller writes" in line)
        assert told.startswith("NetworkQoS nqos-ns/qos-external: ovn-kubernetes' own")

    def test_apply_leaves_them_alone(self, audited: NorthboundServer, manifests: Path) -> None:
        before = dump(audited)
        assert ovnqos("apply", "-f", manifests, "--nb", audited.remote).code == 0
        found = dump(audited)
        assert len(found["QoS"]) == len(before["QoS"]) + 2
        assert of_others(found) == of_others(before)
