"""Topology maps as people write them, and what is said of those that are wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ovnqos import Code, InvalidObject, UnreadableInput
from ovnqos.controller import NetworkTopology
from ovnqos.model.networks import MappedInterface, MappedNetwork, NameTemplate, TopologyMap
from ovnqos.sources.topology_map import load_topology_map, parse_topology_map
from tests.support import invalid_documents as cases
from tests.support.invalid_documents import outline

if TYPE_CHECKING:
    from pathlib import Path


WHOLE = """
networks:
  default:
    topology: layer3
    switch: "{node}"
    port: "{namespace}-{name}"
    addresses:
      annotation: example.com/addresses
  infra/fast:
    topology: layer2
    direction: to-lport
    switch: fast
pods:
  shop/web:
    default: {switch: lan7, port: vm7, addresses: [10.0.0.7, "FD00::7"]}
    infra/fast: {port: vm7-fast}
"""


def _load(folder: Path, text: str) -> TopologyMap:
    path = folder / "topology.yaml"
    path.write_text(text)
    return load_topology_map(path)


def _faults(folder: Path, text: str) -> list[str]:
    with pytest.raises(InvalidObject) as raised:
        _load(folder, text)
    subject = f"topology map ({folder / 'topology.yaml'}): "
    lines = str(raised.value).splitlines()
    assert all(line.startswith(subject) for line in lines)
    return [line.removeprefix(subject) for line in lines]


def test_a_whole_map(tmp_path: Path) -> None:
    found = _load(tmp_path, WHOLE)
    assert found == TopologyMap(
        networks={
            "default": MappedNetwork(
                name="default",
                topology=NetworkTopology.LAYER3,
                switch=NameTemplate(text="{node}"),
                port=NameTemplate(text="{namespace}-{name}"),
                address_annotation="example.com/addresses",
            ),
            "infra/fast": MappedNetwork(
                name="infra/fast",
                topology=NetworkTopology.LAYER2,
                direction="to-lport",
                switch=NameTemplate(text="fast"),
            ),
        },
        pods={
            "shop/web": {
                "default": MappedInterface(switch="lan7", port="vm7", addresses=("10.0.0.7", "fd00::7")),
                "infra/fast": MappedInterface(port="vm7-fast"),
            }
        },
    )
    assert found.annotations == {"example.com/addresses"}
    assert found.diagnostics == ()


def test_a_template_is_filled_with_what_tells_a_pod() -> None:
    template = NameTemplate(text="{node}/{namespace}.{name}.{name}")
    assert template.fill(namespace="shop", name="{node}", node="n1") == "n1/shop.{node}.{node}"
    assert template.placeholders == ("node", "namespace", "name", "name")


@pytest.mark.parametrize(("text", "expected"), cases.TOPOLOGY_MAPS)
def test_all_errors_are_said_with_their_paths(tmp_path: Path, text: str, expected: list[str]) -> None:
    with pytest.raises(InvalidObject) as raised:
        _load(tmp_path, text)
    assert outline(raised.value.diagnostics) == expected
    assert raised.value.object.origin == str(tmp_path / "topology.yaml")


def test_a_misspelt_field_draws_a_warning(tmp_path: Path) -> None:
    text = "networks: {lan: {topology: layer2, switch: lan, adresses: {annotation: x}}}"
    (warning,) = _load(tmp_path, text).diagnostics
    assert (warning.code, warning.path) == (Code.UNKNOWN_FIELD, "networks.lan.adresses")
    assert warning.hint == "did you mean addresses?"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "0 documents"),
        (b"networks: {}\n---\nnetworks: {}\n", "2 documents"),
        (b"networks: [", "topology.yaml:2:1: "),
        (b"\xff\xfe\xfa", "not text in UTF-8"),
    ],
)
def test_a_file_that_is_no_yaml_is_told_in_one_line(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "topology.yaml"
    path.write_bytes(content)
    with pytest.raises(UnreadableInput) as raised:
        load_topology_map(path)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "words"), [("missing.yaml", "no such file"), ("", "is a directory"), ("\0", "not a path")]
)
def test_a_file_that_cannot_be_read_is_told_in_one_line(tmp_path: Path, name: str, words: str) -> None:
    with pytest.raises(UnreadableInput, match=words):
        load_topology_map(f"{tmp_path}/{name}")


def test_without_a_file_the_subject_is_the_map() -> None:
    with pytest.raises(InvalidObject, match=r"^topology map: networks: missing"):
        parse_topology_map({})
