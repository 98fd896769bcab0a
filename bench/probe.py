"""The same few pods and rules in a cluster of any size: what they cost shows what the cluster's size costs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from netaddr import IPNetwork

from bench.generate import pod_document
from bench.sizes import uid

if TYPE_CHECKING:
    from bench.generate import Cluster

NAMESPACE = "probe"
SETS = 4
"""Destinations of the probe's one policy: each of its pods is in so many address sets, in no port group but one's."""

_PODS = 9
_LABELS = {"app": "probe", "version": "v1"}
_SUBNET = IPNetwork("10.97.0.0/24")


def with_probe(cluster: Cluster) -> Cluster:
    """The cluster with a namespace more: a pod that a policy selects as its source, and eight that are destinations."""
    selected = {f"set-{number}": "in" for number in range(SETS)}
    pods = [  # on the node of zone mode
        pod_document(
            NAMESPACE, f"probe-{number}", 0, {"app": "probe", "version": "v1", **labels}, [(_SUBNET, 3 + number)]
        )
        for number, labels in enumerate([{"source": "yes"}, *[selected] * (_PODS - 1)])
    ]
    return replace(
        cluster,
        namespaces=[*cluster.namespaces, _named("Namespace", "v1", NAMESPACE)],
        pods=[*cluster.pods, *pods],
        policies=[*cluster.policies, _policy()],
    )


def _policy() -> dict[str, Any]:
    rules = [
        {"dscp": number, "classifier": {"to": [{"podSelector": {"matchLabels": {f"set-{number}": "in"}}}]}}
        for number in range(SETS)
    ]
    policy = _named("NetworkQoS", "k8s.ovn.org/v1alpha1", "probe")
    policy["metadata"]["namespace"] = NAMESPACE
    return policy | {"spec": {"priority": 50, "podSelector": {"matchLabels": {"source": "yes"}}, "egress": rules}}


def _named(kind: str, version: str, name: str) -> dict[str, Any]:
    metadata = {"name": name, "uid": uid(f"probe/{kind}"), "resourceVersion": "1", "generation": 1}
    return {"apiVersion": version, "kind": kind, "metadata": metadata}
