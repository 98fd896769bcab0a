"""What a conversion returns, written as Kubernetes documents and kubectl commands: the inverse of the parsers."""

from __future__ import annotations

import shlex
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from ovnqos.model.labels import LabelSelector, Operator
from ovnqos.model.networks import NetworkSelectionType
from ovnqos.model.policy import BandwidthScope, IPBlock, PortMatch, Protocol
from ovnqos.model.workloads import CALICO_PREFIX
from ovnqos.sources.network_qos import API_VERSION, BANDWIDTH_SCOPE_ANNOTATION, KIND
from ovnqos.sources.pod_annotations import DSCP_KEY

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ovnqos.convert.conversion import AnnotatedObject
    from ovnqos.model.networks import NetworkSelector
    from ovnqos.model.policy import Bandwidth, Classifier, NetworkQoS, PodPeer, Rule
    from ovnqos.model.workloads import PodQos

_SELECTOR_FIELDS = {
    NetworkSelectionType.NETWORK_ATTACHMENT_DEFINITIONS: "networkAttachmentDefinitionSelector",
    NetworkSelectionType.SECONDARY_USER_DEFINED_NETWORKS: "secondaryUserDefinedNetworkSelector",
    NetworkSelectionType.PRIMARY_USER_DEFINED_NETWORKS: "primaryUserDefinedNetworkSelector",
    NetworkSelectionType.CLUSTER_USER_DEFINED_NETWORKS: "clusterUserDefinedNetworkSelector",
}
_SUFFIXES = "kMGT"
_NAMES_MAXIMUM = 100  # of one command, so that a line stays one that can be read and pasted
_NOTHING: dict[str, Any] = {"to": [{}]}


def network_qos_document(policy: NetworkQoS) -> dict[str, Any]:
    """Write a policy as a document of plain mappings, lists, strings and numbers, in the order of the CRD.

    Its generation is left out: it is the API server's to count. A rule without a mark, or with a range of ports, is
    taken by this project's CRD only, not by that of ovn-kubernetes.
    """
    metadata: dict[str, Any] = {"name": policy.name, "namespace": policy.namespace}
    if policy.bandwidth_scope is not BandwidthScope.POLICY:
        metadata["annotations"] = {BANDWIDTH_SCOPE_ANNOTATION: str(policy.bandwidth_scope)}
    spec: dict[str, Any] = {"priority": policy.priority, "podSelector": selector_document(policy.pod_selector)}
    if policy.network_selectors is not None:
        spec["networkSelectors"] = [_network_selector(one) for one in policy.network_selectors]
    spec["egress"] = [_rule(rule) for rule in policy.rules]
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "spec": spec}


def selector_document(selector: LabelSelector) -> dict[str, Any]:
    """Write a label selector: matchLabels as far as it goes, else matchExpressions."""
    labels: dict[str, str] = {}
    expressions: list[dict[str, Any]] = []
    for one in selector.requirements:
        if one.operator is Operator.IN and len(one.values) == 1 and one.key not in labels:
            labels[one.key] = next(iter(one.values))
            continue
        expression: dict[str, Any] = {"key": one.key, "operator": str(one.operator)}
        if one.values:
            expression["values"] = sorted(one.values)
        expressions.append(expression)
    document: dict[str, Any] = {}
    if labels:
        document["matchLabels"] = labels
    if expressions:
        document["matchExpressions"] = expressions
    return document


def _network_selector(selector: NetworkSelector) -> dict[str, Any]:
    document: dict[str, Any] = {"networkSelectionType": str(selector.type)}
    own = {}
    if selector.namespace_selector is not None:
        own["namespaceSelector"] = selector_document(selector.namespace_selector)
    if selector.network_selector is not None:
        own["networkSelector"] = selector_document(selector.network_selector)
    if own:
        document[_SELECTOR_FIELDS[selector.type]] = own
    return document


def _rule(rule: Rule) -> dict[str, Any]:
    document: dict[str, Any] = {} if rule.dscp is None else {"dscp": rule.dscp}
    if rule.bandwidth is not None:
        document["bandwidth"] = _bandwidth(rule.bandwidth)
    classifier = _classifier(rule.classifier)
    if classifier:
        document["classifier"] = classifier
    return document


def _bandwidth(bandwidth: Bandwidth) -> dict[str, Any]:
    burst = {} if bandwidth.burst_kbit is None else {"burst": bandwidth.burst_kbit}
    return {"rate": bandwidth.rate_kbps, **burst}


def _classifier(classifier: Classifier) -> dict[str, Any]:
    """Lists that are there and empty match nothing, which a document says by an entry that selects nothing."""
    document: dict[str, Any] = {}
    if classifier.destinations is not None:
        document["to"] = [_peer(peer) for peer in classifier.destinations] or [{}]
    if classifier.sources is not None:
        document["from"] = [_ip_block(block) for block in classifier.sources] or [{}]
    if classifier.ports is not None:
        if not classifier.ports:
            return _NOTHING
        document["ports"] = [entry for match in classifier.ports for entry in _ports(match)]
    return document


def _peer(peer: IPBlock | PodPeer) -> dict[str, Any]:
    if isinstance(peer, IPBlock):
        return _ip_block(peer)
    document = {}
    if peer.pod_selector is not None:
        document["podSelector"] = selector_document(peer.pod_selector)
    if peer.namespace_selector is not None:
        document["namespaceSelector"] = selector_document(peer.namespace_selector)
    return document


def _ip_block(block: IPBlock) -> dict[str, Any]:
    document: dict[str, Any] = {"cidr": str(block.cidr)}
    if block.excluded:
        document["except"] = [str(cidr) for cidr in block.excluded]
    return {"ipBlock": document}


def _ports(match: PortMatch) -> list[dict[str, Any]]:
    if match == PortMatch():
        return [{"protocol": str(protocol)} for protocol in Protocol]
    document: dict[str, Any] = {}
    if match.protocol is not None:
        document["protocol"] = str(match.protocol)
    if match.port is not None:
        document["port"] = match.port
    if match.end_port is not None:
        document["endPort"] = match.end_port
    return [document]


def qos_annotations(qos: PodQos) -> dict[str, str]:
    """The annotations that set this: Calico's keys, rates in bit/s and bursts in bits as Kubernetes quantities."""
    annotations = {}
    for direction, limit in (("ingress", qos.ingress), ("egress", qos.egress)):
        if limit is not None:
            annotations[f"{CALICO_PREFIX}{direction}Bandwidth"] = _quantity(limit.rate_kbps)
            if limit.burst_kbit is not None:
                annotations[f"{CALICO_PREFIX}{direction}Burst"] = _quantity(limit.burst_kbit)
    if qos.dscp is not None:
        annotations[DSCP_KEY] = str(qos.dscp)
    return annotations


def _quantity(thousands: int) -> str:
    """Thousands of something as a quantity with the largest suffix that leaves it whole: 20000 is 20M."""
    power = 0
    while thousands % 1000 == 0 and power < len(_SUFFIXES) - 1:
        thousands //= 1000
        power += 1
    return f"{thousands}{_SUFFIXES[power]}"


def annotation_documents(annotated: Iterable[AnnotatedObject]) -> list[dict[str, Any]]:
    """A document for each object with nothing but its name and the annotations, for `kubectl apply --server-side`."""
    documents = []
    for one in annotated:
        metadata: dict[str, Any] = {"name": one.object.name}
        if one.object.namespace:
            metadata["namespace"] = one.object.namespace
        metadata["annotations"] = qos_annotations(one.qos)
        documents.append({"apiVersion": "v1", "kind": one.object.kind, "metadata": metadata})
    return documents


def annotate_commands(annotated: Iterable[AnnotatedObject]) -> list[str]:
    """`kubectl annotate` commands, one for all objects of a kind and namespace that get the same annotations."""
    alike: dict[tuple[str, str, tuple[str, ...]], list[str]] = defaultdict(list)
    for one in annotated:
        pairs = tuple(f"{key}={value}" for key, value in qos_annotations(one.qos).items())
        alike[one.object.kind.lower(), one.object.namespace, pairs].append(one.object.name)
    commands = []
    for (kind, namespace, pairs), names in alike.items():
        place = ["-n", namespace] if namespace else []
        for start in range(0, len(names), _NAMES_MAXIMUM):
            part = names[start : start + _NAMES_MAXIMUM]
            commands.append(shlex.join(["kubectl", "annotate", "--overwrite", *place, kind, *part, *pairs]))
    return commands
