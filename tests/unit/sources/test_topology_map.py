"""Topology maps as people write them, and what is said of those that are wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ovnqos import Code, InvalidObject, NetworkTopology, UnreadableInput
from ovnqos.model.topology_map import MappedInterface, MappedNetwork, NameTemplate, TopologyMap
from ovnqos.sources.topology_map import load_topology_map, parse_topology_map

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


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("networks: {}", ["networks: is empty; name the networks, e.g. default"]),
        ("pods: {}", ["networks: missing; name the networks, e.g. default"]),
        ("- a", ["must be a mapping, not a list; it begins with `networks:`"]),
        (
            "networks: {default: {topology: star}}",
            [
                'networks.default.topology: "star" is not a topology; use layer3 (a switch a node), layer2 or localnet '
                "(one switch for all nodes)"
            ],
        ),
        (
            "networks: {default: {topology: layer3, switch: lan, port: '{namespace}'}}",
            [
                'networks.default.port: "{namespace}" is the same port for all pods; write e.g. {namespace}-{name}',
                'networks.default.switch: "lan" is not a switch a node, as layer3 is; write {node} in it, or topology: '
                "layer2",
            ],
        ),
        (
            "networks: {default: {topology: layer2, port: '{pod}', direction: up, switch: '{lan', "
            "addresses: {annotation: a b}}}",
            [
                'networks.default.direction: "up" is not a direction; use from-lport or to-lport',
                'networks.default.switch: "{lan": the placeholders are {name}, {namespace}, {node}',
                'networks.default.port: "{pod}": the placeholders are {name}, {namespace}, {node}',
                'networks.default.addresses.annotation: "a b" is not the key of an annotation; use at most 63 letters, '
                "digits, -, _ and ., with a letter or digit at both ends, and before it, if need be, a DNS name and /",
            ],
        ),
        (
            "networks: {default: {topology: layer2, switch: lan, port: '{nam}-{name}'}}",
            [
                'networks.default.port: "{nam}-{name}": the placeholders are {name}, {namespace}, {node}; '
                "did you mean name?"
            ],
        ),
        (
            "networks: {default: {topology: layer2, port: '{name}', addresses: {}}}",
            [
                "networks.default.switch: missing; say which switch the ports are on, e.g. {node}",
                "networks.default.addresses.annotation: missing; name the annotation that holds a pod's addresses",
            ],
        ),
        (
            "networks: {Upper: {topology: layer2}, a/b/c: {topology: layer2}, x: }",
            [
                'networks: "Upper" cannot name a network; use default, the <namespace>/<name> of a NAD, or a DNS name',
                'networks: "a/b/c" cannot name a network; use default, the <namespace>/<name> of a NAD, or a DNS name',
                "networks.x: missing; give its topology: layer3 (a switch a node), layer2 or localnet (one switch for "
                "all nodes)",
            ],
        ),
        (
            "networks: {plain: {topology: layer2, switch: lan}}\n"
            "pods:\n"
            "  web: {plain: {port: a}}\n"
            "  shop/a: {plane: {port: a}, plain: {}}\n"
            "  shop/b: {plain: {port: '', addresses: [10.0.0.1/24, x, 5]}}\n",
            [
                'pods: "web" cannot name a pod; write <namespace>/<name>',
                'pods.shop/a: "plane" is not one of the networks above; did you mean plain?',
                "pods.shop/a.plain.port: missing; network plain has no template for it",
                'pods.shop/b.plain.port: "" cannot name a switch or port; use 1 to 255 printable characters',
                'pods.shop/b.plain.addresses[2]: must be a string, but reads as the number 5; quote it, e.g. "5"',
                'pods.shop/b.plain.addresses[0]: "10.0.0.1/24" is not an IP address; give it without a prefix length',
                'pods.shop/b.plain.addresses[1]: "x" is not an IP address; give it without a prefix length',
            ],
        ),
        (
            "networks: {lan: {topology: layer2, switch: lan}}\n"
            "pods: {shop/a: {lan: {port: vm1}}, shop/b: {lan: {port: vm1}}}",
            ['pods.shop/b.lan.port: "vm1" is a port of pod shop/a already'],
        ),
        (
            "networks: {lan: {topology: layer2}}\npods: {shop/a: {lan: {port: vm1}}}",
            ["pods.shop/a.lan.switch: missing; network lan has no template for it"],
        ),
        (
            "networks: {lan: {topology: layer2}, lan: {topology: layer2}}",
            ["networks.lan: given twice, the second time in line 1; keep one"],
        ),
        (
            "networks: {lan: {topology: layer2, switch: ' lan'}}",
            ['networks.lan.switch: " lan" cannot name a switch or port; use 1 to 255 printable characters'],
        ),
    ],
)
def test_all_faults_are_told_with_their_paths(tmp_path: Path, text: str, faults: list[str]) -> None:
    assert _faults(tmp_path, text) == faults


def test_a_misspelt_field_draws_a_warning(tmp_path: Path) -> None:
    text = "networks: {lan: {topology: layer2, switch: lan, adresses: {annotation: x}}}"
    (warning,) = _load(tmp_path, text).diagnostics
    assert (warning.code, warning.path) == (Code.UNKNOWN_FIELD, "networks.lan.adresses")
    assert warning.hint == "did you mean addresses?"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "0 YAML documents in it; a topology map is one"),
        (b"networks: {}\n---\nnetworks: {}\n", "2 YAML documents in it; a topology map is one"),
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
