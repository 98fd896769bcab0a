"""`ovnqos prune`: rows whose object is gone go, all others stay."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.functional.support_command import ovnqos
from tests.functional.support_database import add_row, as_map, dump, of_others, update, wire
from tests.functional.support_manifests import kubectl_list, pod, policy, rule, write
from tests.functional.support_states import OTHERS

if TYPE_CHECKING:
    from pathlib import Path

    from ovnqos.sandbox import NorthboundServer

TO_PODS = rule(8, to=[{"podSelector": {"matchLabels": {"app": "web"}}}])
GOLD, LEAD = policy("gold", rule(46), TO_PODS), policy("lead", TO_PODS, podSelector={"matchLabels": {"app": "web"}})
PODS = [pod("a", "10.0.0.1", labels={"app": "web"}), pod("b", "10.0.0.2", node="node2")]


@pytest.fixture
def server(northbound: NorthboundServer, tmp_path: Path) -> NorthboundServer:
    """A Northbound with the rows of two policies, which share a set, and a row of somebody else."""
    wire(northbound, ["node1", "node2"], ["shop_a", "shop_b"])
    add_row(northbound, ["node1"], **OTHERS[0])
    write(tmp_path / "all.yaml", GOLD, LEAD, *PODS)
    assert ovnqos("apply", "-f", tmp_path, "--nb", northbound.remote).code == 0
    return northbound


def objects(server: NorthboundServer) -> list[str]:
    """The object of each row of ours."""
    found = (as_map(row["external_ids"]).get("ovnqos.io/object") for row in dump(server)["QoS"].values())
    return sorted(one for one in found if one)


def test_a_dry_run_shows_what_would_go_and_writes_nothing(server: NorthboundServer) -> None:
    before = server.file.read_bytes()
    ended = ovnqos("prune", "-f", "-", "--dry-run", "--nb", server.remote, stdin=kubectl_list([GOLD]))

    assert ended.code == 0
    signs = [line for line in ended.out.splitlines() if line[0] in "+-" and line[:3] not in {"---", "+++"}]
    assert {line[0] for line in signs} == {"-"}
    assert "to do: rows: 1 deleted; sets: 1 deleted" in ended.err
    assert server.file.read_bytes() == before


def test_the_rows_and_sets_of_an_object_that_is_gone_go_and_shared_sets_stay(server: NorthboundServer) -> None:
    before = dump(server)
    ended = ovnqos("prune", "-f", "-", "--nb", server.remote, stdin=kubectl_list([GOLD]))

    assert (ended.code, ended.errors) == (0, [])
    assert objects(server) == ["NetworkQoS/shop/gold"] * 2
    found = dump(server)
    assert found["QoS"].items() <= before["QoS"].items()
    assert found["Address_Set"] == before["Address_Set"]
    assert len(found["Port_Group"]) == len(before["Port_Group"]) - 1
    assert of_others(found) == of_others(before)
    again = ovnqos("prune", "-f", "-", "--nb", server.remote, stdin=kubectl_list([GOLD]))
    assert (again.code, again.err) == (0, "nothing to do: the Northbound is up to date\n")


def test_objects_that_are_there_keep_rows_that_are_not_as_they_should_be(
    server: NorthboundServer, tmp_path: Path
) -> None:
    for uuid in [uuid for uuid, row in dump(server)["QoS"].items() if row["priority"] > 1000]:
        update(server, "QoS", uuid, bandwidth={"rate": 1})
    before = server.file.read_bytes()
    changed = policy("gold", rule(1), priority=99)
    write(tmp_path / "all.yaml", changed, LEAD)  # and no pods at all
    assert ovnqos("prune", "-f", tmp_path, "--nb", server.remote).code == 0

    assert server.file.read_bytes() == before


def test_an_object_that_is_not_valid_keeps_its_rows(server: NorthboundServer, tmp_path: Path) -> None:
    before = dump(server)
    write(tmp_path / "all.yaml", policy("gold", rule(64)))
    ended = ovnqos("prune", "-f", tmp_path, "--nb", server.remote)

    assert ended.code == 0
    assert len(ended.warnings) == 1
    assert "spec.egress[0].dscp" in ended.warnings[0]
    assert objects(server) == ["NetworkQoS/shop/gold"] * 2
    found = dump(server)
    assert found["Address_Set"] == before["Address_Set"]


@pytest.mark.parametrize("broken", [{"metadata": {"name": "Gold!"}}, {"kind": "networkqos"}, {"kind": None}], ids=str)
def test_an_object_that_cannot_be_told_from_others_stops_it(
    server: NorthboundServer, tmp_path: Path, broken: dict[str, Any]
) -> None:
    before = dump(server)
    write(tmp_path / "all.yaml", {**GOLD, **broken}, LEAD)
    ended = ovnqos("prune", "-f", tmp_path, "--nb", server.remote)

    assert ended.code == 1
    assert "nothing deleted: 1 invalid object without a valid kind and name" in ended.err
    assert dump(server) == before


def test_no_policy_in_the_input_deletes_within_the_limit_only(server: NorthboundServer, tmp_path: Path) -> None:
    write(tmp_path / "all.yaml", *PODS)
    refused = ovnqos("prune", "-f", tmp_path, "--nb", server.remote, "--max-deletes", "50%")
    assert refused.code == 1
    assert len(objects(server)) == 3
    assert ovnqos("prune", "-f", tmp_path, "--nb", server.remote, "--max-deletes", "100%").code == 0
    assert objects(server) == []


def test_a_command_before_the_pipe_that_failed_deletes_nothing(server: NorthboundServer) -> None:
    assert ovnqos("prune", "-f", "-", "--nb", server.remote, stdin="").code == 1
    assert len(objects(server)) == 3


@pytest.mark.parametrize("text", ["apiVersion: v1\nitems: []\nkind: List\n", '{"kind": "List", "items": []}'])
def test_an_empty_list_is_an_answer(server: NorthboundServer, text: str) -> None:
    ended = ovnqos("prune", "-f", "-", "--dry-run", "--nb", server.remote, stdin=text)
    assert ended.code == 0, ended
    assert "rows: 3 deleted" in ended.err


def test_another_owner_prunes_its_own_rows_only(server: NorthboundServer, tmp_path: Path) -> None:
    write(tmp_path / "all.yaml", *PODS)
    words = ["prune", "-f", str(tmp_path), "--owner", "another", "--max-deletes", "100%", "--nb", server.remote]
    assert ovnqos(*words).code == 0
    assert len(objects(server)) == 3


def test_rows_of_pods_go_only_when_pods_were_given_and_theirs_is_not_among_them(
    server: NorthboundServer, tmp_path: Path
) -> None:
    limited = pod("a", "10.0.0.1", labels={"app": "web"})
    limited["metadata"]["annotations"]["kubernetes.io/egress-bandwidth"] = "10M"
    write(tmp_path / "all.yaml", GOLD, LEAD, limited, PODS[1])
    assert ovnqos("apply", "-f", tmp_path, "--nb", server.remote).code == 0
    write(tmp_path / "policies.yaml", GOLD, LEAD)
    before = objects(server)
    assert "Pod/shop/a" in before
    assert ovnqos("prune", "-f", tmp_path / "policies.yaml", "--nb", server.remote).code == 0
    assert objects(server) == before
    write(tmp_path / "others.yaml", GOLD, LEAD, PODS[1])
    assert ovnqos("prune", "-f", tmp_path / "others.yaml", "--nb", server.remote).code == 0
    assert objects(server) == [one for one in before if one != "Pod/shop/a"]
