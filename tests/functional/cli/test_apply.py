"""`ovnqos apply`: from manifests to rows, and what it refuses."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from ovnqos import Northbound, Owner
from ovnqos.controller import EndedLimitsMaximum
from ovnqos.sandbox import NorthboundServer
from tests.functional.support_command import ovnqos, ovnqos_program
from tests.functional.support_database import add_row, as_map, dump, marks, of_others, wire
from tests.functional.support_manifests import PODS, attachment, pod, policy, rule, write
from tests.functional.support_states import OTHERS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.pki import Pki


@pytest.fixture
def server(northbound: NorthboundServer) -> NorthboundServer:
    """A Northbound with the pods' switches and ports, and a row of somebody else."""
    wire(northbound, ["node1", "node2"], ["shop_a", "shop_b"])
    add_row(northbound, ["node1"], **OTHERS[0])
    return northbound


class TestApply:
    def test_makes_the_rows_says_so_and_the_second_time_writes_nothing(
        self, server: NorthboundServer, tmp_path: Path
    ) -> None:
        write(tmp_path / "all.yaml", policy("gold", rule(46), rule(10)), *PODS)
        first = ovnqos("apply", "-f", tmp_path, "--nb", server.remote)
        assert (first.code, first.out) == (0, "")
        assert first.err == "new: NetworkQoS/shop/gold\napplied in 1 transaction: rows: 2 new; sets: 1 new\n"
        assert marks(server) == {"NetworkQoS/shop/gold/0/default": 46, "NetworkQoS/shop/gold/1/default": 10}

        before = server.file.read_bytes()
        second = ovnqos("apply", "-f", tmp_path, "--nb", server.remote)
        assert (second.code, second.err) == (0, "nothing to do: the Northbound is up to date\n")
        assert server.file.read_bytes() == before

    @pytest.mark.parametrize("options", [[], ["--yes"], ["--dry-run"]], ids=" ".join)
    def test_says_before_it_writes_which_objects_are_new_changed_and_ended(
        self, server: NorthboundServer, tmp_path: Path, options: list[str]
    ) -> None:
        write(tmp_path / "all.yaml", policy("gold"), policy("lead"), policy("tin"), *PODS)
        assert ovnqos("apply", "-f", tmp_path, "--nb", server.remote).code == 0
        many = [policy(f"p{number}", priority=20 + number) for number in range(7)]
        write(tmp_path / "all.yaml", policy("gold", rule(46)), policy("tin"), *many, *PODS)
        words = ["apply", "--prune", "--max-deletes", "100%", "-f", str(tmp_path), "--nb", server.remote, *options]
        lines = ovnqos(*words).err.splitlines()
        last = next(number for number, line in enumerate(lines) if line.startswith(("applied in", "to do: ")))
        said = [line for line in lines[:last] if line.startswith(("new: ", "changed: ", "ended: "))]
        assert said == [
            "new: " + ", ".join(f"NetworkQoS/shop/p{number}" for number in range(5)) + " and 2 more",
            "changed: NetworkQoS/shop/gold",
            "ended: NetworkQoS/shop/lead",
        ]

    def test_writes_nothing_when_an_object_is_invalid(self, server: NorthboundServer, tmp_path: Path) -> None:
        write(tmp_path / "all.yaml", policy("gold"), policy("lead", rule(64)), *PODS)
        before = server.file.read_bytes()
        ended = ovnqos("apply", "-f", tmp_path, "--nb", server.remote)

        assert ended.code == 1
        assert "nothing applied: 1 object is invalid; use --keep-going to apply the valid ones\n" in ended.err
        assert server.file.read_bytes() == before

    def test_keeps_going_past_an_invalid_object_whose_rows_and_sets_stay(
        self, server: NorthboundServer, tmp_path: Path
    ) -> None:
        to_pods = rule(8, to=[{"podSelector": {"matchLabels": {"app": "web"}}}])
        write(tmp_path / "all.yaml", policy("gold"), policy("lead", to_pods), policy("tin"), *PODS)
        assert ovnqos("apply", "-f", tmp_path, "--nb", server.remote).code == 0
        before = dump(server)
        lead = {
            uuid: row
            for uuid, row in before["QoS"].items()
            if as_map(row["external_ids"]).get("ovnqos.io/object") == "NetworkQoS/shop/lead"
        }
        assert len(lead) == 1

        broken = policy("lead", to_pods, priority=101)
        write(tmp_path / "all.yaml", policy("gold", rule(46)), broken, *PODS)
        ended = ovnqos("apply", "--keep-going", "-f", tmp_path, "--nb", server.remote)
        assert ended.code == 1
        assert len(ended.errors) == 1
        found = dump(server)
        assert {uuid: found["QoS"][uuid] for uuid in lead} == lead
        assert found["Address_Set"] == before["Address_Set"]
        assert found["Port_Group"] == before["Port_Group"]
        tin = "NetworkQoS/shop/tin/0/default"  # its object is not in the input, and not removed
        assert marks(server) == {"NetworkQoS/shop/gold/0/default": 46, "NetworkQoS/shop/lead/0/default": 8, tin: 20}
        assert of_others(found) == of_others(before)

    def test_an_object_of_networks_that_are_not_there_has_no_rows_and_a_line_says_so(
        self, server: NorthboundServer, tmp_path: Path
    ) -> None:
        udn = {
            "networkSelectionType": "PrimaryUserDefinedNetworks",
            "primaryUserDefinedNetworkSelector": {"namespaceSelector": {}},
        }
        write(tmp_path / "all.yaml", policy("gold"), policy("lead", networkSelectors=[udn]), *PODS)
        ended = ovnqos("apply", "-f", tmp_path, "--nb", server.remote)
        assert ended.code == 0
        assert "NetworkQoS shop/lead: spec.networkSelectors: matches no NetworkAttachmentDefinition" in ended.err
        assert marks(server) == {"NetworkQoS/shop/gold/0/default": 20}

    @pytest.mark.parametrize("broken", [{"metadata": {"name": "Lead!"}}, {"kind": "networkqos"}], ids=str)
    def test_does_not_keep_going_past_an_object_that_cannot_be_told_from_others(
        self, server: NorthboundServer, tmp_path: Path, broken: dict[str, Any]
    ) -> None:
        write(tmp_path / "all.yaml", policy("gold"), policy("lead"), *PODS)
        assert ovnqos("apply", "-f", tmp_path, "--nb", server.remote).code == 0
        before = dump(server)
        write(tmp_path / "all.yaml", policy("gold", rule(46)), {**policy("lead"), **broken}, *PODS)
        ended = ovnqos("apply", "--keep-going", "-f", tmp_path, "--nb", server.remote)

        assert ended.code == 1
        assert "nothing applied: 1 invalid object without a valid kind and name" in ended.err
        assert dump(server) == before

    def test_keeps_the_rows_on_a_network_whose_definition_has_become_invalid(
        self, server: NorthboundServer, tmp_path: Path
    ) -> None:
        config = {"name": "blue", "type": "ovn-k8s-cni-overlay", "topology": "layer3", "netAttachDefName": "shop/blue"}
        pods = [pod("a", "10.0.0.1", networks={"shop/blue": ["10.9.0.1"]}), PODS[1]]
        server.nbctl("ls-add", "blue_node1", "--", "lsp-add", "blue_node1", "shop.blue_shop_a")
        write(tmp_path / "all.yaml", policy("gold"), attachment("blue", json.dumps(config)), *pods)
        assert ovnqos("apply", "-f", tmp_path, "--nb", server.remote).code == 0
        on_blue = server.nbctl("qos-list", "blue_node1")
        assert "dscp=20" in on_blue
        sets = dump(server)["Port_Group"]

        write(tmp_path / "all.yaml", policy("gold", rule(46)), attachment("blue", "not JSON"), *pods)
        assert ovnqos("apply", "--keep-going", "-f", tmp_path, "--nb", server.remote).code == 1
        assert server.nbctl("qos-list", "blue_node1") == on_blue
        assert dump(server)["Port_Group"] == sets
        assert "dscp=46" in server.nbctl("qos-list", "node1")

    def test_only_pods_of_the_zone_are_sources(self, server: NorthboundServer, tmp_path: Path) -> None:
        write(tmp_path / "all.yaml", policy("gold"), *PODS)
        ended = ovnqos("apply", "-f", tmp_path, "--zone-node", "node2", "--nb", server.remote)

        assert ended.code == 0
        assert "dscp=20" in server.nbctl("qos-list", "node2")
        assert "dscp=20" not in server.nbctl("qos-list", "node1")

    def test_warns_of_switches_and_ports_that_are_missing(self, northbound: NorthboundServer, tmp_path: Path) -> None:
        wire(northbound, ["node1"], ["shop_a"])
        write(tmp_path / "all.yaml", policy("gold"), *PODS)
        ended = ovnqos("apply", "-f", tmp_path, "--nb", northbound.remote)

        assert ended.code == 0
        assert [(line.split(":")[0], line.split()[-1]) for line in ended.warnings] == [
            ("NetworkQoS shop/gold", "node2"),
            ("NetworkQoS shop/gold", "shop_b"),
        ]

    def test_takes_the_northbound_of_the_environment(self, server: NorthboundServer, tmp_path: Path) -> None:
        write(tmp_path / "all.yaml", policy("gold"), *PODS)
        ended = ovnqos_program("apply", "-f", tmp_path, environment={"OVN_NB_DB": server.remote})

        assert ended.code == 0
        assert marks(server)
        wrong = ovnqos_program("list", environment={"OVN_NB_DB": "nonsense"})
        assert wrong.code == 1
        assert wrong.errors[0].startswith("OVN_NB_DB: remote 'nonsense'")

    def test_in_the_daemons_container_its_settings_are_the_defaults(self, tmp_path: Path, pki: Pki) -> None:
        client = pki.client("daemon")
        write(tmp_path / "all.yaml", policy("gold"), *PODS)
        with NorthboundServer(listen=["pssl:0:127.0.0.1"], tls_options=pki.server("nb").options) as secured:
            wire(secured, ["node1", "node2"], ["shop_a", "shop_b"])
            settings = {
                "OVNQOSD_NB": secured.remotes[1],
                "OVNQOSD_PRIVATE_KEY": str(client.private_key),
                "OVNQOSD_CERTIFICATE": str(client.certificate),
                "OVNQOSD_CA_CERT": str(client.authority),
                "OVNQOSD_OWNER": "site-a",
            }
            assert ovnqos_program("apply", "-f", tmp_path, environment=settings).code == 0
            assert "ovnqos.io/owner=site-a" in secured.nbctl("--columns=external_ids", "list", "QoS").replace('"', "")
            listed = ovnqos_program("list", environment=settings)
            assert (listed.code, listed.err) == (0, "")
            assert "shop/gold" in listed.out

            zone = {"OVNQOSD_NODE": "node1", "OVNQOSD_CLUSTER_CIDRS": "10.0.0.0/8, fd00::/8", "OVNQOSD_OWNER": "site-b"}
            assert ovnqos_program("apply", "-f", tmp_path, environment={**settings, **zone}).code == 0
            listed = ovnqos_program("list", "-o", "json", environment={**settings, **zone})
            assert {row["switch"] for row in json.loads(listed.out)["rows"]} == {"node1"}

            none = f"unix:{tmp_path}/none.sock"
            assert none in ovnqos_program("list", environment={**settings, "OVN_NB_DB": none}).err
            given = ovnqos_program("list", "--nb", none, environment={**settings, "OVN_NB_DB": secured.remote})
            assert none in given.err
            assert "shop/gold" not in ovnqos_program("list", "--owner", "site-c", environment=settings).out

    def test_another_writer_is_no_hindrance_where_there_is_nothing_to_do(
        self, server: NorthboundServer, tmp_path: Path
    ) -> None:
        write(tmp_path / "all.yaml", policy("gold"), *PODS)
        assert ovnqos("apply", "-f", tmp_path, "--nb", server.remote).code == 0
        with Northbound.connect(server.remote) as other:
            other.lock()
            again = ovnqos("apply", "-f", tmp_path, "--nb", server.remote)
            assert (again.code, again.errors) == (0, [])
            assert "nothing to do" in again.err
            write(tmp_path / "all.yaml", policy("gold", rule(30)), *PODS)
            refused = ovnqos("apply", "-f", tmp_path, "--nb", server.remote)
            assert refused.code == 3
            assert len(refused.errors) == 1
            assert "ovnqosd" in refused.errors[0]
            assert "the lock ovnqos_ovnqos" in refused.errors[0]


class TestDeleteLimit:
    COUNT = 20

    @pytest.fixture
    def full(self, server: NorthboundServer, tmp_path: Path) -> Path:
        """A Northbound with 20 rows for two pods; returns manifests of only 8 of them, so 24 limits would end."""
        policies = [policy(f"p{number}", priority=number) for number in range(self.COUNT)]
        write(tmp_path / "all.yaml", *policies, *PODS)
        assert ovnqos("apply", "-f", tmp_path, "--nb", server.remote).code == 0
        write(tmp_path / "all.yaml", *policies[:8], *PODS)
        return tmp_path

    @pytest.mark.parametrize("limit", [[], ["--max-deletes", "23"], ["--max-deletes", "59%"], ["--max-deletes", "0.5"]])
    def test_a_plan_that_ends_too_much_is_refused(self, server: NorthboundServer, full: Path, limit: list[str]) -> None:
        before = server.file.read_bytes()
        ended = ovnqos("apply", "--prune", "-f", full, "--nb", server.remote, *limit)

        assert ended.code == 1
        (line,) = ended.errors
        assert "24 of 40 limits and marks of pods would end" in line
        assert "nothing was written" in line
        assert server.file.read_bytes() == before

    @pytest.mark.parametrize("limit", ["24", "60%", "0.6", "100%"])
    def test_a_higher_limit_lets_it_pass(self, server: NorthboundServer, full: Path, limit: str) -> None:
        assert ovnqos("apply", "--prune", "-f", full, "--nb", server.remote, "--max-deletes", limit).code == 0
        assert len(marks(server)) == 8

    def test_one_limit_may_end_by_default_but_not_where_a_share_is_given(
        self, server: NorthboundServer, tmp_path: Path
    ) -> None:
        only_a = {"matchLabels": {"app": "web"}}
        pods = [pod("a", "10.0.0.1", labels={"app": "web"}), PODS[1]]
        write(tmp_path / "all.yaml", policy("gold", podSelector=only_a), *pods)
        assert ovnqos("apply", "-f", tmp_path, "--nb", server.remote).code == 0
        write(tmp_path / "all.yaml", *pods)
        command = ["apply", "--prune", "--allow-incomplete", "-f", str(tmp_path), "--nb", server.remote]
        assert ovnqos(*command, "--max-deletes", "0.3").code == 1
        assert len(marks(server)) == 1
        assert ovnqos(*command).code == 0
        assert marks(server) == {}

    def test_members_of_sets_count(self, server: NorthboundServer, tmp_path: Path) -> None:
        selected = policy("gold", podSelector={"matchLabels": {"app": "web"}})
        both = [pod("a", "10.0.0.1", labels={"app": "web"}), pod("b", "10.0.0.2", node="node2", labels={"app": "web"})]
        write(tmp_path / "all.yaml", selected, *both)
        assert ovnqos("apply", "-f", tmp_path, "--nb", server.remote).code == 0
        before = dump(server)
        neither = [pod("a", "10.0.0.1"), pod("b", "10.0.0.2", node="node2")]
        write(tmp_path / "all.yaml", selected, *neither)
        ended = ovnqos("apply", "-f", tmp_path, "--nb", server.remote)
        assert ended.code == 1
        assert "2 of 2 limits and marks of pods would end" in ended.errors[0]
        assert dump(server) == before

    def test_the_help_tells_the_default(self) -> None:
        text = " ".join(ovnqos("apply", "--help").out.split())
        assert "[default: 30%, but at least 1]" in text
        assert EndedLimitsMaximum.parse("30%").allows(3, 10)


def test_owners_of_the_command_line_are_apart(server: NorthboundServer, tmp_path: Path) -> None:
    write(tmp_path / "all.yaml", policy("gold"), *PODS)
    assert ovnqos("apply", "-f", tmp_path, "--nb", server.remote, "--owner", "one").code == 0
    assert ovnqos("diff", "--exit-code", "-f", tmp_path, "--nb", server.remote, "--owner", "one").code == 0
    assert ovnqos("diff", "--exit-code", "-f", tmp_path, "--nb", server.remote).code == 2
    assert all(
        Owner("one").owns(as_map(row["external_ids"]))
        for row in dump(server)["QoS"].values()
        if row["priority"] == 10400
    )
