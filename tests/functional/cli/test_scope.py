"""`-n`, `-l` and `--policy`: what is shown and written is a part, what is read is all."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.functional.support_command import ovnqos
from tests.functional.support_database import marks, wire
from tests.functional.support_manifests import Document, pod, policy, rule, write

if TYPE_CHECKING:
    from pathlib import Path

    from ovnqos.sandbox import NorthboundServer

SHOP, BANK = pod("a", "10.244.0.5"), pod("a", "10.244.0.6", namespace="bank", labels={"app": "db"})
NAMESPACES = [
    {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {"team": name}}}
    for name in ("shop", "bank")
]
GOLD = "NetworkQoS/shop/gold/0/default"
LEAD = "NetworkQoS/shop/lead/0/default"
TIN = "NetworkQoS/bank/tin/0/default"


def labelled(document: Document, **labels: str) -> Document:
    return document | {"metadata": document["metadata"] | {"labels": labels}}


@pytest.fixture
def server(northbound: NorthboundServer) -> NorthboundServer:
    wire(northbound, ["node1"], ["shop_a", "bank_a"])
    return northbound


@pytest.fixture
def manifests(tmp_path: Path) -> Path:
    to_bank = [{"namespaceSelector": {"matchLabels": {"team": "bank"}}}]
    return write(
        tmp_path / "all.yaml",
        *NAMESPACES,
        SHOP,
        BANK,
        labelled(policy("gold", rule(20, to=to_bank)), tier="gold"),
        policy("lead", rule(1), priority=9),
        labelled(policy("tin", rule(30), namespace="bank"), tier="tin"),
    )


@pytest.mark.parametrize(
    ("options", "changed"),
    [
        (["-n", "shop"], {GOLD: 20, LEAD: 1}),
        (["-n", "bank"], {TIN: 30}),
        (["-n", "nowhere"], {}),
        (["-n", "shop", "-A"], {GOLD: 20, LEAD: 1, TIN: 30}),
        (["-l", "tier"], {GOLD: 20, TIN: 30}),
        (["-l", "tier in (gold, lead)"], {GOLD: 20}),
        (["-l", "tier!=gold"], {LEAD: 1, TIN: 30}),
        (["-n", "shop", "-l", "!tier"], {LEAD: 1}),
        (["--policy", "bank/tin"], {TIN: 30}),
        (["-n", "shop", "--policy", "gold", "--policy", "lead"], {GOLD: 20, LEAD: 1}),
    ],
    ids=lambda given: " ".join(given) if isinstance(given, list) else "",
)
def test_only_the_rows_of_the_objects_in_scope_are_written(
    server: NorthboundServer, manifests: Path, options: list[str], changed: dict[str, int]
) -> None:
    assert ovnqos("apply", "-f", manifests, "--nb", server.remote, *options).code == 0
    assert marks(server) == changed


def test_members_of_other_namespaces_are_read_none_the_less(server: NorthboundServer, manifests: Path) -> None:
    assert ovnqos("apply", "-f", manifests, "--nb", server.remote, "-n", "shop").code == 0
    assert "10.244.0.6" in server.nbctl("--columns=addresses", "list", "Address_Set")


def test_prune_ends_nothing_outside_the_scope(server: NorthboundServer, manifests: Path, tmp_path: Path) -> None:
    assert ovnqos("apply", "-f", manifests, "--nb", server.remote).code == 0
    fewer = write(tmp_path / "fewer.yaml", *NAMESPACES, SHOP, BANK, policy("lead", rule(2), priority=9))
    words = ("apply", "-f", fewer, "--nb", server.remote, "--prune", "--max-deletes", "100%", "--yes")
    assert ovnqos(*words, "-l", "!tier").code == 0
    assert marks(server) == {GOLD: 20, LEAD: 2, TIN: 30}
    assert ovnqos(*words, "-n", "shop").code == 0
    assert marks(server) == {LEAD: 2, TIN: 30}
    assert ovnqos(*words).code == 0
    assert marks(server) == {LEAD: 2}


def test_a_wrong_object_elsewhere_stops_nothing_here(server: NorthboundServer, manifests: Path, tmp_path: Path) -> None:
    wrong = write(tmp_path / "wrong.yaml", policy("wrong", rule(99), namespace="bank"))
    words = ("apply", "-f", manifests, "-f", wrong, "--nb", server.remote)
    refused = ovnqos(*words)
    assert refused.code == 1
    assert "spec.egress[0].dscp" in refused.err
    ended = ovnqos(*words, "-n", "shop")
    assert (ended.code, ended.errors) == (0, [])
    assert "bank" not in ended.err
    assert marks(server) == {GOLD: 20, LEAD: 1}


def test_diff_and_render_show_the_scope_alone(server: NorthboundServer, manifests: Path) -> None:
    for command in (["render"], ["diff", "--nb", server.remote]):
        ended = ovnqos(*command, "-f", manifests, "-o", "json", "-n", "bank")
        assert ended.code == 0
        rows = [change["row"] for change in json.loads(ended.out)["changes"] if change["change"] == "insert-row"]
        assert [row["external_ids"]["ovnqos.io/id"] for row in rows] == [TIN]


def test_a_policy_that_is_not_there_is_told(manifests: Path) -> None:
    (line,) = ovnqos("render", "-f", manifests, "--policy", "shop/nope").errors
    assert line == "the input has no NetworkQoS/shop/nope; check --policy"


def test_list_and_explain_take_the_namespace(server: NorthboundServer, manifests: Path) -> None:
    assert ovnqos("apply", "-f", manifests, "--nb", server.remote).code == 0
    listed = json.loads(ovnqos("list", "-n", "bank", "-o", "json", "--nb", server.remote).out)["rows"]
    assert {row["object"] for row in listed} == {"NetworkQoS/bank/tin"}
    explained = ovnqos("explain", "-f", manifests, "-n", "bank", "--pod", "a", "--to", "10.244.0.5")
    assert explained.code == 0
    assert "Pod bank/a, port bank_a of" in explained.out
