"""The daemon and what pods and networks say: annotations of running pods, layouts of networks that come and go."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import yaml

from tests.cluster.support_daemon import (
    APPLIED,
    Daemon,
    apply,
    delete,
    eventually,
    guide_policy,
    guide_text,
    pod,
    wait_for_status,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from ovnqos.sandbox import NorthboundServer
    from tests.support.kubernetes.api import KubernetesApi

SWITCH = "ovn-worker"
FLAT = "ovn.stream_ovn_layer2_switch"


def _annotated(name: str = "pod0", **annotations: str) -> dict[str, Any]:
    """A pod of the guide, on the default network too."""
    networks = {
        "default": {"ip_addresses": ["10.244.1.9/24"]},
        "default/ovn-stream": {"ip_addresses": ["10.245.4.4/24"]},
    }
    document = pod(name, annotation=json.dumps(networks))
    keys = {"egress": "kubernetes.io/egress-bandwidth", "ingress": "qos.projectcalico.org/ingressBandwidth"}
    document["metadata"]["annotations"] |= {
        keys.get(key, f"qos.projectcalico.org/{key}"): value for key, value in annotations.items()
    }
    return document


@eventually
def _wait_for_rates(northbound: NorthboundServer, *rates: str) -> None:
    found = sorted(line.partition("rate=")[2].split()[0] for line in northbound.nbctl("qos-list", SWITCH).splitlines())
    assert found == sorted(rates)


@eventually
def _wait_for_events(api: KubernetesApi, name: str, reason: str, *messages: str) -> None:
    status, answer = api.request("GET", f"/api/v1/namespaces/default/events?fieldSelector=reason={reason}")
    assert status == 200
    found = [(one["message"], one["count"]) for one in answer["items"] if one["involvedObject"]["name"] == name]
    assert sorted(found) == [(message, 1) for message in sorted(messages)]


@eventually
def _wait_for_event(api: KubernetesApi, kind: str, name: str, words: str, namespace: str = "default") -> None:
    status, answer = api.request("GET", f"/api/v1/namespaces/{namespace}/events")
    assert status == 200
    told = [one for one in answer["items"] if one["reason"] == "QosAnnotations"]
    found = [one["message"] for one in told if one["involvedObject"].items() >= {"kind": kind, "name": name}.items()]
    assert any(words in message for message in found), (words, [one["message"] for one in told])


def test_a_limit_on_a_running_pod_comes_changes_and_goes(
    start: Callable[..., Daemon], cluster: KubernetesApi, northbound: NorthboundServer
) -> None:
    northbound.nbctl("ls-add", SWITCH, "--", "lsp-add", SWITCH, "default_pod0")
    first = start("--cluster-cidrs", "10.244.0.0/16,10.245.0.0/16")
    apply(cluster, _annotated(egress="10M"))
    _wait_for_rates(northbound, "10000")
    _wait_for_events(cluster, "pod0", "QosApplied", "in force: egress 10000 kbps")
    first.terminate()
    second = start("--cluster-cidrs", "10.244.0.0/16,10.245.0.0/16")
    second.wait_for_line("reconciled", trigger="full")
    apply(cluster, _annotated(egress="20M", ingress="30M"))
    _wait_for_rates(northbound, "20000", "30000")
    _wait_for_events(
        cluster,
        "pod0",
        "QosApplied",
        "in force: egress 10000 kbps",
        "in force: egress 20000 kbps; ingress 30000 kbps",
    )
    apply(cluster, _annotated())
    _wait_for_rates(northbound)
    _wait_for_events(cluster, "pod0", "QosRemoved", "no limit or mark is in force any more")
    second.wait_for_line("reconciled", objects="Pod/default/pod0")


def test_what_is_wrong_with_an_annotation_is_an_event_on_the_pod_and_the_others_hold(
    start: Callable[..., Daemon], cluster: KubernetesApi, northbound: NorthboundServer
) -> None:
    northbound.nbctl("ls-add", SWITCH, "--", "lsp-add", SWITCH, "default_pod0")
    daemon = start()
    apply(cluster, _annotated(egress="10Q", ingress="30M", egressPacketRate="5"))
    _wait_for_rates(northbound, "30000")
    _wait_for_event(cluster, "Pod", "pod0", "metadata.annotations[kubernetes.io/egress-bandwidth]: ")
    _wait_for_event(cluster, "Pod", "pod0", "OVN limits bits, not packets")
    daemon.wait_for_line("object diagnostics", object="default/pod0")


def test_a_namespaces_defaults_hold_for_its_pods_and_its_faults_are_told_of_it(
    start: Callable[..., Daemon], cluster: KubernetesApi, northbound: NorthboundServer
) -> None:
    northbound.nbctl("ls-add", SWITCH, "--", "lsp-add", SWITCH, "default_pod0")
    apply(cluster, _annotated())
    start()
    broken = {"kubernetes.io/ingress-bandwidth": "7M", "qos.projectcalico.org/dscp": "AF99"}
    path, kind = "/api/v1/namespaces/default", "application/merge-patch+json"
    cluster.request("PATCH", path, {"metadata": {"annotations": broken}}, content_type=kind)
    try:
        _wait_for_rates(northbound, "7000")
        _wait_for_event(cluster, "Namespace", "default", "AF99")
    finally:
        gone = dict.fromkeys(broken)
        cluster.request("PATCH", path, {"metadata": {"annotations": gone}}, content_type=kind)
    _wait_for_rates(northbound)


def test_a_network_that_becomes_layer2_is_enforced_where_its_packets_leave(
    start: Callable[..., Daemon], cluster: KubernetesApi, northbound: NorthboundServer
) -> None:
    start()
    apply(cluster, guide_policy())
    wait_for_status(cluster, APPLIED)
    document = yaml.safe_load(guide_text("nad.yaml"))
    config = json.loads(document["spec"]["config"]) | {"topology": "layer2", "subnets": "10.245.0.0/16"}
    delete(cluster, "NetworkAttachmentDefinition", document["metadata"]["name"])
    document["spec"]["config"] = json.dumps(config)
    apply(cluster, document)
    waiting = wait_for_status(cluster, "Waiting")
    assert FLAT in waiting["conditions"][0]["message"]
    northbound.nbctl("ls-add", FLAT)
    wait_for_status(cluster, APPLIED)
    assert "from-lport" in northbound.nbctl("qos-list", FLAT)


def test_a_selected_network_of_another_cni_is_named_in_the_status(
    start: Callable[..., Daemon], cluster: KubernetesApi
) -> None:
    other = yaml.safe_load(guide_text("nad.yaml"))
    other["metadata"]["name"] = "fast"
    other["spec"]["config"] = json.dumps({"cniVersion": "1.0.0", "name": "fast", "type": "sriov"})
    apply(cluster, other, guide_policy())
    start()

    @eventually
    def wait_for_the_note() -> None:
        conditions = wait_for_status(cluster, APPLIED)["conditions"]
        assert any("default/fast" in one["message"] and "sriov" in one["message"] for one in conditions), conditions

    wait_for_the_note()
