"""docs/topologies.md shows what the demo plays: its map and its policy."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import yaml

DOCS = Path(__file__).parents[3] / "docs" / "topologies.md"
DEMO = files("ovnqos.cli.demo")


def _yaml_blocks() -> list[str]:
    return re.findall(r"```yaml\n(.*?)```", DOCS.read_text(), flags=re.DOTALL)


def test_the_map_is_the_demos() -> None:
    assert DEMO.joinpath("static_files", "topology.yaml").read_text() in _yaml_blocks()


def test_the_policy_is_the_demos() -> None:
    (shown,) = [yaml.safe_load(block) for block in _yaml_blocks() if block.startswith("spec:")]
    played = yaml.safe_load(DEMO.joinpath("kube_ovn_files", "nqos.yaml").read_text())
    assert shown["spec"] == played["spec"]
