"""`ovnqos convert`: what it prints where, its exit codes, and that other commands take what it prints."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from ovnqos.controller import parse_policy
from tests.functional.support_command import ovnqos
from tests.functional.support_manifests import kubectl_list, pod, policy, rule, write

if TYPE_CHECKING:
    from pathlib import Path

    from tests.functional.support_command import Ended

CALICO = "qos.projectcalico.org"
CIDR = ("--cluster-cidr", "10.0.0.0/8")
EGRESS_QOS: dict[str, Any] = {
    "apiVersion": "k8s.ovn.org/v1",
    "kind": "EgressQoS",
    "metadata": {"name": "default", "namespace": "calls"},
    "spec": {"egress": [{"dscp": 46, "dstCIDR": "203.0.113.0/24"}, {"dscp": 0}]},
}
NAMESPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "calls"}}


def _limited(name: str, address: str, **annotations: str) -> dict[str, Any]:
    made = pod(name, address, labels={"app": name})
    made["metadata"]["annotations"] |= {f"{CALICO}/{key}": value for key, value in annotations.items()}
    return made


WEB = _limited("web", "10.0.0.1", egressBandwidth="10M", dscp="EF")
DB = _limited("db", "10.0.0.2", ingressBandwidth="20M", egressBandwidth="5M")


def _convert(*words: str, stdin: str) -> Ended:
    return ovnqos("convert", "-f", "-", *words, stdin=stdin)


def test_network_qos_goes_to_standard_output_and_each_warning_to_standard_error() -> None:
    ended = _convert(*CIDR, stdin=kubectl_list([WEB, DB, NAMESPACE, EGRESS_QOS]))
    assert ended.code == 0
    made = [parse_policy(document) for document in yaml.safe_load_all(ended.out)]
    assert [one.key for one in made] == ["calls/egress-qos", "shop/pod-qos-app-db", "shop/pod-qos-app-web"]
    assert ended.out.startswith("---\napiVersion: k8s.ovn.org/v1alpha1\nkind: NetworkQoS\n")
    assert [warning.split(":")[0] for warning in ended.warnings] == [
        "Pod shop/db",
        "Pod shop/web",
    ]
    for replaced, by in (
        ("egress limit of Pod shop/db", "NetworkQoS shop/pod-qos-app-db"),
        ("dscp of Pod shop/web", "NetworkQoS shop/pod-qos-app-web"),
        ("EgressQoS calls/default", "NetworkQoS calls/egress-qos"),
    ):
        assert f"remove after applying: {replaced} (replaced by {by})" in ended.err


def test_of_one_namespace_only_what_belongs_to_it_is_said() -> None:
    text = kubectl_list([WEB, DB, NAMESPACE, EGRESS_QOS])
    ended = _convert(*CIDR, "-n", "calls", stdin=text)
    assert ended.code == 0
    assert [parse_policy(one).key for one in yaml.safe_load_all(ended.out)] == ["calls/egress-qos"]
    assert "EgressQoS calls/default" in ended.err
    assert "shop" not in ended.err
    assert _convert(*CIDR, "-n", "calls", "-A", stdin=text).out == _convert(*CIDR, stdin=text).out


def test_the_outcome_is_what_the_other_commands_read(tmp_path: Path) -> None:
    ended = _convert(*CIDR, "--dscp", "0", stdin=kubectl_list([WEB, DB]))
    assert ended.code == 0
    (tmp_path / "converted.yaml").write_text(ended.out)
    write(
        tmp_path / "pods.yaml",
        pod("web", "10.0.0.1", labels={"app": "web"}),
        pod("db", "10.0.0.2", labels={"app": "db"}),
    )
    rendered = ovnqos("render", "-f", tmp_path)
    assert (rendered.code, rendered.errors, rendered.warnings) == (0, [], [])
    added = [line for line in rendered.out.splitlines() if "+ to-lport" in line]
    assert any('inport == "shop_web"' in line and line.endswith("rate=10000 dscp=46") for line in added)
    assert any('inport == "shop_db"' in line and line.endswith("rate=5000 dscp=0") for line in added)


def test_json_is_one_list() -> None:
    listed = json.loads(_convert("-o", "json", stdin=kubectl_list([EGRESS_QOS])).out)
    assert (listed["kind"], [one["metadata"]["name"] for one in listed["items"]]) == ("List", ["egress-qos"])
    nothing = _convert("-o", "json", stdin=kubectl_list([pod("a", "10.0.0.1")]))
    assert json.loads(nothing.out)["items"] == []


def test_nothing_to_convert_is_said_and_no_failure() -> None:
    for target, words in (("network-qos", "no annotation or EgressQoS"), ("annotations", "no NetworkQoS")):
        ended = _convert("--to", target, stdin=kubectl_list([pod("a", "10.0.0.1")]))
        assert (ended.code, ended.out) == (0, "")
        assert f"nothing to convert: {words} that" in ended.err


def test_annotations_are_commands_or_documents() -> None:
    spec: dict[str, Any] = {
        "podSelector": {"matchLabels": {"app": "web"}},
        "networkSelectors": [{"networkSelectionType": "DefaultNetwork"}],
    }
    gold = policy("gold", rule(46, bandwidth={"rate": 20_000}), **spec)
    gold["metadata"]["annotations"] = {"ovnqos.io/bandwidth-scope": "pod"}
    given = kubectl_list([gold, pod("web", "10.0.0.1", labels={"app": "web"})])
    ended = _convert("--to", "annotations", *CIDR, stdin=given)
    assert (ended.code, ended.out) == (
        0,
        f"kubectl annotate --overwrite -n shop pod web {CALICO}/egressBandwidth=20M {CALICO}/dscp=46\n",
    )
    (warning,) = ended.warnings
    assert warning.startswith("NetworkQoS shop/gold: spec.egress[0].dscp: 46 ")
    assert "remove after applying: NetworkQoS shop/gold (replaced by Pod shop/web)" in ended.err
    documents = list(yaml.safe_load_all(_convert("--to", "annotations", "-o", "yaml", stdin=given).out))
    assert [(one["kind"], one["metadata"]["annotations"][f"{CALICO}/dscp"]) for one in documents] == [("Pod", "46")]


@pytest.mark.parametrize(
    ("spoilt", "words"),
    [
        ({**EGRESS_QOS, "spec": {"egress": [{"dscp": 64}]}}, "spec.egress[0].dscp: 64 is not a DSCP"),
        ({**EGRESS_QOS, "metadata": {"name": "mine", "namespace": "calls"}}, "ovn-kubernetes reads one EgressQoS"),
        (policy("gold", rule(99)), "spec.egress[0].dscp: 99 is not a DSCP"),
    ],
)
def test_an_invalid_object_stops_it(spoilt: dict[str, Any], words: str) -> None:
    ended = _convert(*CIDR, stdin=kubectl_list([WEB, spoilt]))
    assert (ended.code, ended.out) == (1, "")
    assert words in ended.errors[0]


def test_the_same_egress_qos_twice_is_a_fault() -> None:
    ended = _convert(stdin=kubectl_list([EGRESS_QOS, EGRESS_QOS]))
    assert ended.code == 1
    assert "keep one of the two" in ended.errors[0]


def test_what_is_odd_of_an_egress_qos_is_a_warning() -> None:
    odd = {**EGRESS_QOS, "spec": {"egress": [{"dscp": 46, "dstCidr": "1.2.3.0/24"}]}}
    ended = _convert(stdin=kubectl_list([odd]))
    assert ended.code == 0
    assert "did you mean dstCIDR?" in ended.warnings[0]


def test_an_object_of_another_group_is_passed_over() -> None:
    ended = _convert(stdin=kubectl_list([{**EGRESS_QOS, "apiVersion": "example.org/v1"}]))
    assert (ended.code, ended.out) == (0, "")


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["-o", "commands"], "-o commands goes with --to annotations"),
        (["--to", "annotations", "--dscp", "0"], "--dscp goes with --to network-qos"),
        (["--dscp", "64"], "64 is not in the range 0<=x<=63"),
        (["--cluster-cidr", "10.0.0.0/255.0.0.0"], "prefix length"),
        (["--cluster-cidr", "10.0.0.0"], "10.0.0.0 has no prefix length; write 10.0.0.0/32"),
    ],
)
def test_options_that_do_not_fit_are_refused(words: list[str], error: str) -> None:
    ended = _convert(*words, stdin=kubectl_list([WEB]))
    assert (ended.code, ended.out) == (1, "")
    assert error in ended.errors[0]
