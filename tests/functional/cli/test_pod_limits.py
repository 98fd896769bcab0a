"""Pods' own limits on the command line: rows, warnings, and what stays when something is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.functional.support_command import ovnqos
from tests.functional.support_database import wire
from tests.functional.support_manifests import pod, policy, rule, write

if TYPE_CHECKING:
    from pathlib import Path

    from ovnqos.sandbox import NorthboundServer


def _annotated(name: str = "web", **annotations: str) -> dict[str, Any]:
    one = pod(name, "10.0.0.5")
    keys = {"egress": "kubernetes.io/egress-bandwidth", "ingress": "qos.projectcalico.org/ingressBandwidth"}
    given = {keys.get(key, f"qos.projectcalico.org/{key}"): value for key, value in annotations.items()}
    one["metadata"]["annotations"] |= given
    return one


@pytest.fixture
def server(northbound: NorthboundServer) -> NorthboundServer:
    wire(northbound, ["node1"], ["shop_web"])
    return northbound


def test_a_pods_limits_and_mark_are_shown_applied_and_gone(server: NorthboundServer, tmp_path: Path) -> None:
    shop = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
    write(tmp_path / "all.yaml", shop, _annotated(egress="10M", ingress="50M", dscp="EF"))
    arguments = ("-f", tmp_path, "--nb", server.remote, "--cluster-cidr", "10.0.0.0/8")
    shown = ovnqos("diff", *arguments)
    assert '+ from-lport  5000 (inport == "shop_web" && ip) rate=10000' in shown.out
    assert ovnqos("apply", *arguments).code == 0
    assert "dscp=46" in server.nbctl("qos-list", "node1")
    assert not ovnqos("diff", *arguments).out
    write(tmp_path / "all.yaml", shop, _annotated())
    assert ovnqos("apply", *arguments).code == 1  # three of three
    assert ovnqos("apply", *arguments, "--max-deletes", "3").code == 0
    assert not server.nbctl("qos-list", "node1")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"egress": "10Q"}, "metadata.annotations[kubernetes.io/egress-bandwidth]: "),
        ({"ingress": "-5M", "egress": "30M"}, "metadata.annotations[qos.projectcalico.org/ingressBandwidth]: "),
        ({"egress": ""}, "metadata.annotations[kubernetes.io/egress-bandwidth]: "),
        ({"egress": "1P"}, "4294967295"),
        ({"dscp": "AF99"}, "metadata.annotations[qos.projectcalico.org/dscp]: "),
        ({"egressBurst": "1M"}, "metadata.annotations[qos.projectcalico.org/egressBurst]: "),
        ({"egressPacketRate": "5"}, "OVN limits bits, not packets"),
        ({"dscp": "10"}, "cluster, whose CIDRs are unknown"),
    ],
)
def test_what_is_wrong_with_an_annotation_is_one_line_and_the_others_hold(
    given: dict[str, str], words: str, tmp_path: Path
) -> None:
    write(tmp_path / "all.yaml", _annotated(**{"ingress": "20M"} | given))
    found = ovnqos("render", "-f", tmp_path)
    assert found.code == 0
    lines = [line for line in found.err.splitlines() if "Pod shop/web: " in line]
    assert [words in line for line in lines] == [True]
    assert "rate=20000" in found.out or "rate=30000" in found.out


def test_a_shadowed_limit_is_warned_of(tmp_path: Path) -> None:
    receiver = policy("to-web", rule(10, to=[{"podSelector": {}}]))
    sender = _annotated("client", egress="20M")
    write(tmp_path / "all.yaml", receiver, _annotated(ingress="10M"), sender)
    found = ovnqos("render", "-f", tmp_path)
    assert "Pod shop/client: egress: limit may be shadowed from OVN 24.09 on by" in found.err


def test_without_policies_and_limits_a_line_says_that_there_is_nothing(tmp_path: Path) -> None:
    write(tmp_path / "all.yaml", pod("plain", "10.0.0.6"))
    assert "no NetworkQoS object, and no pod with a limit" in ovnqos("render", "-f", tmp_path).err


@pytest.mark.parametrize("cause", ["mark without cluster CIDRs", "not wired", "host network", "invalid annotation"])
def test_a_limit_or_mark_without_a_row_is_not_said_to_be_missing(cause: str, tmp_path: Path) -> None:
    given = {"mark without cluster CIDRs": {"dscp": "10"}, "invalid annotation": {"egress": "10Q"}}
    one = _annotated(**given.get(cause, {"egress": "10M"}))
    if cause == "not wired":
        one["metadata"]["annotations"].pop("k8s.ovn.org/pod-networks")
    if cause == "host network":
        one["spec"]["hostNetwork"] = True
    write(tmp_path / "all.yaml", one)
    found = ovnqos("render", "-f", tmp_path).err
    assert "Pod shop/web: " in found
    assert "no rows: the input has no NetworkQoS object, and no limit or mark of its pods gives a row" in found


@pytest.mark.parametrize(
    ("others", "words"),
    [
        ([policy("gold", rule(10))], "no rows: all pods of the input are invalid"),
        ([], "no rows: the input has no NetworkQoS object, and no valid pod with a limit or mark of its own"),
    ],
    ids=["with a policy", "without"],
)
def test_invalid_pods_are_not_said_to_be_missing(others: list[dict[str, Any]], words: str, tmp_path: Path) -> None:
    one = _annotated(egress="10M")
    one["spec"] = "none"
    write(tmp_path / "all.yaml", one, *others)
    assert words in ovnqos("render", "-f", tmp_path).err
