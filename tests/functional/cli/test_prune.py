"""`ovnqos apply`: absence from the input is not removal; `--prune` removes what is gone, and nothing that is not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.functional.support_command import ovnqos
from tests.functional.support_database import add_row, as_map, dump, of_others, wire
from tests.functional.support_manifests import kubectl_list, pod, policy, rule, write
from tests.functional.support_states import OTHERS

if TYPE_CHECKING:
    from pathlib import Path

    from ovnqos.sandbox import NorthboundServer

WEB = {"matchLabels": {"app": "web"}}
TO_PODS = rule(8, to=[{"podSelector": WEB}])
GOLD, LEAD = policy("gold", rule(46), TO_PODS), policy("lead", TO_PODS, podSelector=WEB)
PODS = [pod("a", "10.0.0.1", labels={"app": "web"}), pod("b", "10.0.0.2", node="node2")]


@pytest.fixture
def server(northbound: NorthboundServer, tmp_path: Path) -> NorthboundServer:
    """A Northbound with the rows of two policies, which share a set, and a foreign row."""
    wire(northbound, ["node1", "node2"], ["shop_a", "shop_b"])
    northbound.nbctl("lsp-set-addresses", "shop_a", "0a:58:0a:00:00:01 10.0.0.1")
    northbound.nbctl("lsp-set-addresses", "shop_b", "0a:58:0a:00:00:02 10.0.0.2")
    add_row(northbound, ["node1"], **OTHERS[0])
    write(tmp_path / "all.yaml", GOLD, LEAD, *PODS)
    assert ovnqos("apply", "-f", tmp_path, "--nb", northbound.remote).code == 0
    return northbound


def objects(server: NorthboundServer) -> list[str]:
    """The object of each row of ours."""
    found = (as_map(row["external_ids"]).get("ovnqos.io/object") for row in dump(server)["QoS"].values())
    return sorted(one for one in found if one)


def reported(text: str, severity: str) -> list[dict[str, Any]]:
    """The lines of this severity among those of `-o json`."""
    return [one for one in map(json.loads, text.splitlines()) if one["severity"] == severity]


@pytest.mark.parametrize("command", [["apply"], ["diff", "--exit-code"]])
def test_objects_that_are_not_in_the_input_stay(server: NorthboundServer, tmp_path: Path, command: list[str]) -> None:
    before = dump(server)
    write(tmp_path / "all.yaml", GOLD, *PODS)
    ended = ovnqos(*command, "-f", tmp_path, "--nb", server.remote)
    assert ended.code == 0
    assert "NetworkQoS/shop/lead" in ended.err
    assert dump(server) == before


def test_prune_removes_the_rows_and_sets_of_an_object_that_is_gone_and_shared_sets_stay(
    server: NorthboundServer, tmp_path: Path
) -> None:
    before = dump(server)
    write(tmp_path / "all.yaml", GOLD, *PODS)
    planned = ovnqos("apply", "--prune", "--dry-run", "-f", tmp_path, "--nb", server.remote)
    assert planned.code == 0
    assert "NetworkQoS/shop/lead" in planned.err
    assert dump(server) == before
    assert "- to-lport" in ovnqos("diff", "--prune", "-f", tmp_path, "--nb", server.remote).out
    ended = ovnqos("apply", "--prune", "-f", tmp_path, "--nb", server.remote)

    assert (ended.code, ended.errors) == (0, [])
    assert objects(server) == ["NetworkQoS/shop/gold"] * 2
    found = dump(server)
    assert found["Address_Set"] == before["Address_Set"]
    assert len(found["Port_Group"]) == len(before["Port_Group"]) - 1
    assert of_others(found) == of_others(before)


@pytest.mark.parametrize(
    "documents",
    [[GOLD, LEAD], [GOLD, LEAD, PODS[1]], [GOLD, LEAD, PODS[0]], [policy("gold", rule(46)), LEAD]],
    ids=["no pods", "without a", "without b", "a rule fewer and no pods"],
)
@pytest.mark.parametrize("prune", [[], ["--prune"]], ids=["", "prune"])
def test_a_pod_that_the_northbound_has_and_the_input_has_not_makes_it_incomplete(
    server: NorthboundServer, tmp_path: Path, documents: list[dict[str, Any]], prune: list[str]
) -> None:
    before = dump(server)
    write(tmp_path / "all.yaml", *documents)
    ended = ovnqos("apply", *prune, "-f", tmp_path, "--nb", server.remote)
    assert ended.code == 1
    assert "shop_a" in ended.err or "shop_b" in ended.err
    assert dump(server) == before
    assert ovnqos("diff", *prune, "-f", tmp_path, "--nb", server.remote).code == 1

    allowed = ovnqos("apply", *prune, "--allow-incomplete", "-f", tmp_path, "--nb", server.remote)
    assert allowed.code == 0
    assert dump(server) == before  # what depends on what is missing is left as it is


def test_a_pod_whose_port_is_gone_leaves_the_sets(server: NorthboundServer, tmp_path: Path) -> None:
    server.nbctl("lsp-del", "shop_a")
    write(tmp_path / "all.yaml", GOLD, PODS[1])
    ended = ovnqos("apply", "-f", tmp_path, "--nb", server.remote)
    assert (ended.code, ended.errors) == (0, [])
    (found,) = dump(server)["Address_Set"].values()
    assert found["addresses"] == ["set", []]


def test_a_policy_that_changes_loses_the_rule_that_it_has_no_more(server: NorthboundServer, tmp_path: Path) -> None:
    write(tmp_path / "all.yaml", policy("gold", rule(46)), *PODS)
    ended = ovnqos("apply", "-f", tmp_path, "--max-deletes", "2", "--nb", server.remote)
    assert (ended.code, ended.errors) == (0, [])
    assert objects(server) == ["NetworkQoS/shop/gold", "NetworkQoS/shop/lead"]


def test_namespaces_that_a_selector_needs_have_to_be_in_the_input(server: NorthboundServer, tmp_path: Path) -> None:
    team = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": {"team": "x"}}}
    to_team = policy("team", rule(4, to=[{"namespaceSelector": {"matchLabels": {"team": "x"}}}]), priority=50)
    write(tmp_path / "all.yaml", GOLD, LEAD, to_team, team, *PODS)
    assert ovnqos("apply", "-f", tmp_path, "--nb", server.remote).code == 0
    before = dump(server)
    write(tmp_path / "all.yaml", GOLD, LEAD, to_team, *PODS)
    ended = ovnqos("apply", "-f", tmp_path, "--nb", server.remote)
    assert ended.code == 1
    assert "Namespace" in ended.errors[0]
    assert "shop" in ended.errors[0]
    assert ovnqos("apply", "--allow-incomplete", "-f", tmp_path, "--nb", server.remote).code == 0
    assert dump(server) == before


def test_the_nodes_that_are_not_of_the_zone_but_wired_here_are_named(server: NorthboundServer, tmp_path: Path) -> None:
    ended = ovnqos("diff", "-o", "json", "-f", tmp_path, "--zone-node", "node2", "--nb", server.remote)
    assert ended.code == 1
    (error,) = reported(ended.err, "error")
    assert (error["code"], error["object"]["kind"]) == ("IncompleteInput", "Node")
    assert "node1" in error["text"]
    assert "NetworkQoS/shop/gold" in error["text"]
    assert "--zone-node" in error["hint"]


@pytest.mark.parametrize(
    ("options", "incomplete"),
    [
        (["--zone-node", "nod1"], 1),
        (["--zone-node", "node2", "--zone-node", "nod1"], 1),
        (["--zone-node", "node2"], 0),
        (["--zone-node", "node1"], 0),
        (["--topology", "kube-ovn"], 0),
    ],
    ids=["a typo in a node", "a typo in one of two nodes", "another node", "too few nodes", "another topology"],
)
def test_options_that_do_not_fit_the_cluster_end_nothing(
    server: NorthboundServer, tmp_path: Path, options: list[str], incomplete: int
) -> None:
    before = dump(server)
    allowed = ["--allow-incomplete", "--max-deletes", "100%", "--yes"]
    for command, code in (
        (["apply"], 1),
        (["apply", "--prune"], 1),
        (["apply", *allowed], incomplete),
        (["apply", "--prune", *allowed], incomplete),
    ):
        ended = ovnqos(*command, *options, "-f", tmp_path, "--nb", server.remote)
        assert ended.code == code
        assert dump(server) == before


def test_a_node_that_the_input_does_not_name_is_an_error_of_the_option(
    server: NorthboundServer, tmp_path: Path
) -> None:
    words = ["diff", "-o", "json", "--zone-node", "nod1", "--allow-incomplete", "-f", str(tmp_path)]
    ended = ovnqos(*words, "--nb", server.remote)
    (error,) = reported(ended.err, "error")
    assert (ended.code, ended.out) == (1, "")
    assert (error["code"], error["object"]["kind"]) == ("IncompleteInput", "Node")
    assert "--zone-node" in error["hint"]


def test_a_topology_by_which_no_pod_has_a_port_is_told_as_such(server: NorthboundServer, tmp_path: Path) -> None:
    ended = ovnqos("diff", "-o", "json", "--topology", "kube-ovn", "-f", tmp_path, "--nb", server.remote)
    (error,) = reported(ended.err, "error")
    assert ended.code == 1
    assert (error["code"], error["object"]["kind"]) == ("IncompleteInput", "Pod")
    assert "kube-ovn" in error["text"]
    assert "not in the input" not in error["text"]
    assert "--topology" in error["hint"]


def test_a_mark_stays_where_the_clusters_cidrs_are_not_given(server: NorthboundServer, tmp_path: Path) -> None:
    marked = pod("a", "10.0.0.1", labels={"app": "web"})
    marked["metadata"]["annotations"]["qos.projectcalico.org/dscp"] = "EF"
    write(tmp_path / "all.yaml", GOLD, LEAD, marked, PODS[1])
    arguments = ["apply", "-f", str(tmp_path), "--nb", server.remote]
    assert ovnqos(*arguments, "--cluster-cidr", "10.0.0.0/8").code == 0
    before = dump(server)
    ended = ovnqos(*arguments)
    assert ended.code == 1
    assert "--cluster-cidr" in ended.errors[-1]
    assert dump(server) == before


def test_an_object_that_is_not_valid_keeps_its_rows(server: NorthboundServer, tmp_path: Path) -> None:
    before = dump(server)
    write(tmp_path / "all.yaml", policy("gold", rule(64)), *PODS)
    assert ovnqos("apply", "--prune", "-f", tmp_path, "--nb", server.remote).code == 1
    assert dump(server) == before
    ended = ovnqos("apply", "--prune", "--keep-going", "-f", tmp_path, "--nb", server.remote, "--max-deletes", "50%")
    assert ended.code == 1
    assert dump(server) == before  # no valid policy is left to tell a list that is complete from one that is not


@pytest.mark.parametrize("broken", [{"metadata": {"name": "Gold!"}}, {"kind": "networkqos"}, {"kind": None}], ids=str)
def test_an_object_that_cannot_be_told_from_others_stops_it(
    server: NorthboundServer, tmp_path: Path, broken: dict[str, Any]
) -> None:
    before = dump(server)
    write(tmp_path / "all.yaml", {**GOLD, **broken}, LEAD, *PODS)
    assert ovnqos("apply", "--prune", "--keep-going", "-f", tmp_path, "--nb", server.remote).code == 1
    assert dump(server) == before


@pytest.mark.parametrize("text", ["", "apiVersion: v1\nitems: []\nkind: List\n", kubectl_list(PODS)])
def test_no_policy_in_the_input_removes_nothing(server: NorthboundServer, text: str) -> None:
    before = dump(server)
    assert ovnqos("apply", "--prune", "-f", "-", "--max-deletes", "100%", "--nb", server.remote, stdin=text).code == 1
    assert dump(server) == before


def test_all_policies_can_be_removed_on_purpose(server: NorthboundServer, tmp_path: Path) -> None:
    write(tmp_path / "all.yaml", *PODS)
    words = ["apply", "--prune", "--allow-incomplete", "-f", str(tmp_path), "--nb", server.remote]
    assert ovnqos(*words).code == 1  # all limits: more than 30 %
    assert ovnqos(*words, "--owner", "another", "--max-deletes", "100%").code == 0
    assert len(objects(server)) == 3
    assert ovnqos(*words, "--max-deletes", "100%").code == 0
    assert objects(server) == []


def test_prune_names_an_object_whose_rows_go_though_no_pod_loses_a_limit(
    server: NorthboundServer, tmp_path: Path
) -> None:
    server.nbctl("lsp-del", "shop_a")  # the only one that `lead` is for
    write(tmp_path / "all.yaml", GOLD, PODS[1])
    words = ["--prune", "-f", str(tmp_path), "--nb", server.remote]
    for command in (["diff"], ["apply", "--dry-run"], ["apply"]):
        ended = ovnqos(*command, *words)
        assert ended.code == 0
        assert any(line.startswith("NetworkQoS/shop/lead: ") for line in ended.err.splitlines())
    assert objects(server) == ["NetworkQoS/shop/gold"] * 2


def test_an_empty_list_lifts_what_policies_ask_for_and_leaves_the_limits_that_pods_ask_for(
    server: NorthboundServer, tmp_path: Path
) -> None:
    limited = pod("a", "10.0.0.1", labels={"app": "web"})
    limited["metadata"]["annotations"]["kubernetes.io/egress-bandwidth"] = "10M"
    write(tmp_path / "all.yaml", policy("gold", rule(46)), limited, PODS[1])
    assert ovnqos("apply", "--prune", "-f", tmp_path, "--nb", server.remote, "--max-deletes", "100%").code == 0
    words = ["apply", "-f", "-", "--prune", "--allow-incomplete", "--max-deletes", "100%", "--nb", server.remote]
    ended = ovnqos(*words, stdin="{apiVersion: v1, kind: List, items: []}")
    assert ended.code == 0
    assert set(objects(server)) == {"Pod/shop/a"}
    assert "shop_a" in ended.err


def test_rows_of_a_pod_go_when_its_port_is_gone(server: NorthboundServer, tmp_path: Path) -> None:
    limited = pod("a", "10.0.0.1", labels={"app": "web"})
    limited["metadata"]["annotations"]["kubernetes.io/egress-bandwidth"] = "10M"
    write(tmp_path / "all.yaml", GOLD, LEAD, limited, PODS[1])
    assert ovnqos("apply", "-f", tmp_path, "--nb", server.remote).code == 0
    before = objects(server)
    assert "Pod/shop/a" in before
    write(tmp_path / "all.yaml", GOLD, LEAD, PODS[1])
    assert ovnqos("apply", "--prune", "-f", tmp_path, "--nb", server.remote).code == 1
    assert objects(server) == before
    server.nbctl("lsp-del", "shop_a")
    assert ovnqos("apply", "--prune", "-f", tmp_path, "--nb", server.remote).code == 0
    assert "Pod/shop/a" not in objects(server)
