"""A NetworkQoS as a Kubernetes document: what `ovnqos.parse_policy` reads, written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ovnqos.diagnostics import Code, Diagnostic, ObjectRef
from ovnqos.errors import Unsupported
from ovnqos.model.labels import LabelSelector, Operator
from ovnqos.model.networks import NetworkSelectionType
from ovnqos.model.policy import BandwidthScope, IPBlock, PortMatch, Protocol
from ovnqos.sources.network_qos import API_VERSION, BANDWIDTH_SCOPE_ANNOTATION, KIND

if TYPE_CHECKING:
    from ovnqos.model.networks import NetworkSelector
    from ovnqos.model.policy import Bandwidth, Classifier, NetworkQoS, PodPeer, Rule

_SELECTOR_FIELDS = {
    NetworkSelectionType.NETWORK_ATTACHMENT_DEFINITIONS: "networkAttachmentDefinitionSelector",
    NetworkSelectionType.SECONDARY_USER_DEFINED_NETWORKS: "secondaryUserDefinedNetworkSelector",
    NetworkSelectionType.PRIMARY_USER_DEFINED_NETWORKS: "primaryUserDefinedNetworkSelector",
    NetworkSelectionType.CLUSTER_USER_DEFINED_NETWORKS: "clusterUserDefinedNetworkSelector",
}
_NOTHING: dict[str, Any] = {"to": [{}]}


def network_qos_document(policy: NetworkQoS) -> dict[str, Any]:
    """Write a policy as a document of plain mappings, lists, strings and numbers, in the order of the CRD.

    Its generation is left out: it is the API server's to count.

    Raises:
        Unsupported: a rule has no mark, which the CRD requires.
    """
    ref = ObjectRef(kind=KIND, namespace=policy.namespace, name=policy.name)
    text, hint = "missing", "the CRD of NetworkQoS requires it"
    missing = [
        Diagnostic.error(ref, Code.MISSING_FIELD, text, path=f"spec.egress[{index}].dscp", hint=hint)
        for index, rule in enumerate(policy.rules)
        if rule.dscp is None
    ]
    if missing:
        raise Unsupported(ref, missing)
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
    document: dict[str, Any] = {"dscp": rule.dscp}
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
    return [document]
