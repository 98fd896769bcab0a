"""`--topology`: told by the pods, or chosen; the rows that come of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.functional.support_command import ovnqos
from tests.functional.support_database import marks, wire
from tests.functional.support_manifests import PODS, attachment, policy, write
from tests.support.kube_ovn import interface

if TYPE_CHECKING:
    from pathlib import Path

    from ovnqos.sandbox import NorthboundServer

ASSUMED = "ovn-kubernetes is assumed; choose with --topology: ovn-kubernetes, kube-ovn or static:FILE"
MAP = {
    "networks": {
        "default": {
            "topology": "layer2",
            "switch": "lan",
            "port": "vm-{namespace}-{name}",
            "addresses": {"annotation": "example.com/addresses"},
        }
    }
}


def _pod(name: str, annotations: dict[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "shop", "annotations": annotations},
        "spec": {"nodeName": "node1"},
    }


KUBE_OVN = _pod("web", interface("10.16.0.5", switch="blue"))
BARE = _pod("web", {"example.com/addresses": "10.0.0.5"})


def test_kube_ovn_is_told_by_the_pods_and_applied(northbound: NorthboundServer, tmp_path: Path) -> None:
    wire(northbound, ["blue"], ["web.shop"])
    write(tmp_path / "all.yaml", policy("gold"), KUBE_OVN)
    for expected in ("applied in 1 transaction", "nothing to do"):
        ended = ovnqos("apply", "-f", tmp_path, "--nb", northbound.remote)
        assert (ended.code, ended.warnings, ended.errors) == (0, [], [])
        assert expected in ended.err
    assert marks(northbound) == {"NetworkQoS/shop/gold/0/default": 20}
    assert northbound.nbctl("qos-list", "blue").startswith("from-lport 10400")
    assert ovnqos("diff", "-f", tmp_path, "--nb", northbound.remote, "--exit-code").code == 0


def test_a_topology_map_is_applied(northbound: NorthboundServer, tmp_path: Path) -> None:
    wire(northbound, ["lan"], ["vm-shop-web"])
    write(tmp_path / "all.yaml", policy("gold"), BARE)
    (tmp_path / "map.yml.txt").write_text(yaml.safe_dump(MAP))
    topology = f"static:{tmp_path / 'map.yml.txt'}"
    ended = ovnqos("apply", "-f", tmp_path, "--nb", northbound.remote, "--topology", topology)
    assert (ended.code, ended.warnings, ended.errors) == (0, [], [])
    assert northbound.nbctl("qos-list", "lan").startswith("from-lport 10400")
    assert northbound.nbctl("--bare", "--columns=ports", "list", "Port_Group").strip()


@pytest.mark.parametrize(
    ("pods", "words"),
    [
        ([KUBE_OVN, *PODS], f"there are pods of ovn-kubernetes and of Kube-OVN; {ASSUMED}"),
        ([BARE], f"no pod has an annotation of ovn-kubernetes or Kube-OVN; {ASSUMED}"),
    ],
)
def test_an_uncertain_topology_is_one_warning_and_a_choice_ends_it(
    tmp_path: Path, pods: list[dict[str, Any]], words: str
) -> None:
    write(tmp_path / "all.yaml", policy("gold"), *pods)
    ended = ovnqos("render", "-f", tmp_path)
    assert ended.code == 0
    assert [line for line in ended.warnings if "--topology" in line] == [f"Pod: {words}"]
    chosen = ovnqos("render", "-f", tmp_path, "--topology", "ovn-kubernetes")
    assert not [line for line in chosen.warnings if "--topology" in line]
    assert chosen.out == ended.out


def test_a_choice_goes_before_what_the_pods_tell(tmp_path: Path) -> None:
    write(tmp_path / "all.yaml", policy("gold"), KUBE_OVN, *PODS)
    rendered = ovnqos("render", "-f", tmp_path, "--topology", "kube-ovn")
    assert rendered.warnings == []
    assert "switch blue" in rendered.out
    assert "switch node1" not in rendered.out


def test_policies_on_a_kube_ovn_nad_that_is_not_valid_keep_their_rows(
    northbound: NorthboundServer, tmp_path: Path
) -> None:
    """Whatever VPC its pods are in."""
    wire(northbound, ["fast"], ["web.shop.fast.shop.ovn"])
    nad = attachment("fast", '{"type": "kube-ovn", "provider": "fast.shop.ovn"}')
    pod = _pod("web", interface("10.9.0.5", provider="fast.shop.ovn", switch="fast", vpc="tenant"))
    write(tmp_path / "all.yaml", policy("gold"), nad, pod)
    assert ovnqos("apply", "-f", tmp_path, "--nb", northbound.remote).code == 0
    before = marks(northbound)
    assert before == {"NetworkQoS/shop/gold/0/vpc:tenant": 20}
    write(tmp_path / "all.yaml", policy("gold"), attachment("fast", "{"), pod)
    assert ovnqos("apply", "-f", tmp_path, "--nb", northbound.remote, "--keep-going").code == 1
    assert marks(northbound) == before


class TestRefused:
    def test_another_word(self, tmp_path: Path) -> None:
        write(tmp_path / "all.yaml", policy("gold"))
        ended = ovnqos("render", "-f", tmp_path, "--topology", "calico")
        assert ended.code == 1
        (error,) = ended.errors
        assert error.startswith("Invalid value for '--topology'")
        assert all(word in error for word in ("auto", "ovn-kubernetes", "kube-ovn", "static:FILE"))

    def test_a_map_that_is_not_there(self, tmp_path: Path) -> None:
        write(tmp_path / "all.yaml", policy("gold"), BARE)
        ended = ovnqos("render", "-f", tmp_path, "--topology", f"static:{tmp_path}/none.yaml")
        assert (ended.code, ended.out) == (1, "")
        assert ended.errors == [f"{tmp_path}/none.yaml: no such file or folder"]

    def test_a_map_with_faults_names_all_of_them(self, tmp_path: Path) -> None:
        write(tmp_path / "all.yaml", policy("gold"), BARE)
        path = tmp_path / "map.txt"
        path.write_text("networks: {lan: {topology: star, port: x}}\n")
        ended = ovnqos("render", "-f", tmp_path / "all.yaml", "--topology", f"static:{path}")
        assert (ended.code, ended.out) == (1, "")
        assert len(ended.errors) == 3
        assert all(line.startswith(f"topology map ({path}): networks.lan.") for line in ended.errors)

    def test_pods_whose_addresses_cannot_be_read_are_named(self, tmp_path: Path) -> None:
        write(tmp_path / "all.yaml", policy("gold"), _pod("web", {"example.com/addresses": "nowhere"}))
        (tmp_path / "map.txt").write_text(yaml.safe_dump(MAP))
        ended = ovnqos("render", "-f", tmp_path / "all.yaml", "--topology", f"static:{tmp_path / 'map.txt'}")
        assert any("'nowhere' is not an IP address; the topology map takes" in line for line in ended.warnings)


def test_a_field_of_a_map_that_nobody_knows_is_warned_of(tmp_path: Path) -> None:
    write(tmp_path / "all.yaml", policy("gold"), BARE)
    path = tmp_path / "map.txt"
    path.write_text(yaml.safe_dump({**MAP, "podz": {}}))
    ended = ovnqos("render", "-f", tmp_path / "all.yaml", "--topology", f"static:{path}")
    assert ended.code == 0
    assert ended.warnings == [f"topology map ({path}): podz: unknown field, ignored; did you mean pods?"]
