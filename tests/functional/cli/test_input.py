"""What the command reads: files, folders, kubectl's lists, the guide."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.functional.support_command import ovnqos, ovnqos_program
from tests.functional.support_database import add_row, marks, wire
from tests.functional.support_manifests import GUIDE, PODS, kubectl_list, pod, policy, write
from tests.functional.support_states import OTHERS

if TYPE_CHECKING:
    from pathlib import Path

    from ovnqos.sandbox import NorthboundServer


@pytest.fixture
def server(northbound: NorthboundServer) -> NorthboundServer:
    """A Northbound with the pods' switches and ports, and a row of somebody else."""
    wire(northbound, ["node1", "node2"], ["shop_a", "shop_b"])
    add_row(northbound, ["node1"], **OTHERS[0])
    return northbound


class TestInput:
    def test_what_kubectl_prints_comes_by_standard_input(self, server: NorthboundServer) -> None:
        documents = [policy("gold"), *PODS, {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x"}}]
        for text in (kubectl_list(documents), json.dumps({"kind": "List", "apiVersion": "v1", "items": documents})):
            rendered = ovnqos_program("render", "-f", "-", stdin=text)
            assert (rendered.code, rendered.errors, rendered.warnings) == (0, [], []), rendered
            assert "dscp=20" in rendered.out
        assert ovnqos("apply", "-f", "-", "--nb", server.remote, stdin=kubectl_list(documents)).code == 0
        assert marks(server) == {"NetworkQoS/shop/gold/0/default": 20}

    def test_files_folders_and_standard_input_add_up(self, tmp_path: Path) -> None:
        (tmp_path / "more").mkdir()
        write(tmp_path / "more" / "gold.yml", policy("gold"))
        (tmp_path / "pods.json").write_text(json.dumps({"kind": "List", "apiVersion": "v1", "items": PODS}))
        tin = yaml.safe_dump(policy("tin"))
        ended = ovnqos("render", "-f", tmp_path / "more", "-f", tmp_path / "pods.json", "-f", "-", stdin=tin)

        assert ended.code == 0
        assert "to do: rows: 2 new; sets: 1 new" in ended.err

    def test_render_warns_of_a_conflict_of_policies(self, tmp_path: Path) -> None:
        write(tmp_path / "all.yaml", policy("gold"), policy("tin"), *PODS)
        ended = ovnqos("render", "-f", tmp_path)
        assert ended.code == 0
        assert [line.partition(": conflicts with ")[::2] for line in ended.warnings] == [
            (
                f"NetworkQoS shop/{name}: spec.priority",
                f"shop/{other}: equal priority and overlapping matches; change one priority",
            )
            for name, other in (("gold", "tin"), ("tin", "gold"))
        ]

    def test_says_why_there_are_no_rows(self, tmp_path: Path) -> None:
        write(tmp_path / "all.yaml", policy("gold"))
        assert any("has no pods" in line for line in ovnqos("render", "-f", tmp_path).warnings)
        write(tmp_path / "all.yaml", policy("gold", namespace="elsewhere"), *PODS)
        ended = ovnqos("render", "-f", tmp_path)
        assert ended.warnings == ["NetworkQoS elsewhere/gold: no pod in namespace elsewhere"]
        write(tmp_path / "all.yaml", *PODS)
        assert any("no NetworkQoS object" in line for line in ovnqos("render", "-f", tmp_path).warnings)

    def test_a_policy_that_is_there_and_invalid_is_not_called_missing(self, tmp_path: Path) -> None:
        broken = policy("gold")
        broken["spec"]["priority"] = 101
        write(tmp_path / "all.yaml", broken, *PODS)
        ended = ovnqos("render", "-f", tmp_path, "--keep-going")
        assert (ended.code, ended.warnings) == (1, [])
        assert "spec.priority" in ended.err

    def test_the_guide_as_it_is(self, northbound: NorthboundServer, tmp_path: Path) -> None:
        for name in ("nad.yaml", "nqos.yaml"):
            (tmp_path / name).write_text(GUIDE.joinpath(name).read_text())
        limited = {"nqos-app": "bw-limited"}
        on_stream = {"default/ovn-stream": ["10.245.1.5"]}
        write(
            tmp_path / "pods.yaml",
            pod("pod1", "10.244.1.5", namespace="default", node="ovn-worker", labels=limited, networks=on_stream),
        )
        wire(northbound, ["ovn-worker", "ovn.stream_ovn-worker"], ["default.ovn.stream_default_pod1"])
        ended = ovnqos("apply", "-f", tmp_path, "--nb", northbound.remote)

        assert ended.code == 0
        lines = northbound.nbctl("qos-list", "ovn.stream_ovn-worker").splitlines()
        assert all(line.endswith("rate=20000 burst=100 dscp=20") for line in lines)
        assert [line.split()[:2] for line in lines] == [["from-lport", "10400"], ["to-lport", "10400"]]
        assert northbound.nbctl("qos-list", "ovn-worker") == ""
        assert any("burst" in warning for warning in ended.warnings)
