"""NetworkQoS, `k8s.ovn.org/v1alpha1`: from the Kubernetes object to the policy.

The schema is that of the CRD of ovn-kubernetes, with `classifier.from` of its guide, and two things beyond both: `dscp`
may be absent beside a rate, and a port may have an `endPort`. An object that their CRD admits means the same here; what
else it does not admit is refused here as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ovnqos.diagnostics import Code
from ovnqos.model.labels import EVERYTHING, LabelSelector
from ovnqos.model.networks import NetworkSelectionType, NetworkSelector
from ovnqos.model.policy import (
    BANDWIDTH_MAXIMUM,
    CIDRS_MAXIMUM,
    DSCP_MAXIMUM,
    PEER_SELECTORS_MAXIMUM,
    PRIORITY_MAXIMUM,
    RULES_MAXIMUM,
    Bandwidth,
    BandwidthScope,
    IPBlock,
    NetworkQoS,
    Rule,
    bandwidth_advice,
)
from ovnqos.sources.fields import UNNAMED
from ovnqos.sources.objects import ObjectKind, ObjectReader
from ovnqos.sources.rules import read_classifier, read_rules, read_selector
from ovnqos.sources.values import child_path, show, suggest

if TYPE_CHECKING:
    from ovnqos.sources.fields import Fields

API_VERSION = "k8s.ovn.org/v1alpha1"
KIND = "NetworkQoS"
ANNOTATION_PREFIX = "ovnqos.io/"
"""Annotations with this prefix are for this project; one that it does not know is warned of."""
BANDWIDTH_SCOPE_ANNOTATION = "ovnqos.io/bandwidth-scope"
_KIND = ObjectKind(name=KIND, api_version=API_VERSION, warn_unknown=True)
_GENERATION_MAXIMUM = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class _Form:
    """The field that a type goes with, and the selectors in it."""

    field: str
    by_namespace: bool
    by_network: bool


_FORMS = {
    NetworkSelectionType.NETWORK_ATTACHMENT_DEFINITIONS: _Form(
        field="networkAttachmentDefinitionSelector", by_namespace=True, by_network=True
    ),
    NetworkSelectionType.SECONDARY_USER_DEFINED_NETWORKS: _Form(
        field="secondaryUserDefinedNetworkSelector", by_namespace=True, by_network=True
    ),
    NetworkSelectionType.PRIMARY_USER_DEFINED_NETWORKS: _Form(
        field="primaryUserDefinedNetworkSelector", by_namespace=True, by_network=False
    ),
    NetworkSelectionType.CLUSTER_USER_DEFINED_NETWORKS: _Form(
        field="clusterUserDefinedNetworkSelector", by_namespace=False, by_network=True
    ),
}
_TYPES = {kind.value: kind for kind in NetworkSelectionType}
_TYPE_WORDS = ", ".join(list(_TYPES)[:-1]) + " or " + list(_TYPES)[-1]


def parse_policy(document: object, *, origin: str = "") -> NetworkQoS:
    """Parse one NetworkQoS object.

    Args:
        document: the object as JSON or YAML gives it: a mapping.
        origin: where it was read, e.g. a file's name; for the diagnostics.

    Returns:
        The policy. An absent `metadata.namespace` is `default`. Its diagnostics are warnings: unknown fields, host bits
        in CIDRs, entries that select nothing, a burst too small for its rate.

    Raises:
        InvalidObject: with every error of the object.
    """
    reader = ObjectReader(document, _KIND, origin=origin)
    root = reader.root
    scope = _bandwidth_scope(reader.metadata)
    generation = reader.metadata.integer("generation", "a generation", 0, _GENERATION_MAXIMUM)
    priority = 0
    pod_selector = network_selectors = None
    rules: tuple[Rule, ...] = ()
    spec = root.mapping("spec", required="give priority and egress")
    if spec is not None:
        priority = spec.integer("priority", "a priority", 0, PRIORITY_MAXIMUM, required=True) or 0
        pod_selector = read_selector(spec, "podSelector")
        network_selectors = _network_selectors(spec)
        rules = read_rules(spec, _rule, maximum=RULES_MAXIMUM, beyond="move the rest to another object")
        _check_sizes(spec, rules)
    diagnostics = reader.check()
    return NetworkQoS(
        namespace=reader.namespace,
        name=reader.name,
        priority=priority,
        rules=rules,
        pod_selector=pod_selector if pod_selector is not None else EVERYTHING,
        network_selectors=network_selectors,
        bandwidth_scope=scope,
        generation=generation or 0,
        labels=reader.labels,
        diagnostics=diagnostics,
    )


def _bandwidth_scope(metadata: Fields) -> BandwidthScope:
    annotations = metadata.mapping("annotations", warn_unknown=False)
    if annotations is None:
        return BandwidthScope.POLICY
    for key in annotations.keys_with_prefix(ANNOTATION_PREFIX):
        if key != BANDWIDTH_SCOPE_ANNOTATION:
            likely = suggest(key, [BANDWIDTH_SCOPE_ANNOTATION])
            metadata.warn(Code.UNKNOWN_FIELD, child_path("annotations", key), "unknown annotation, ignored", likely)
    place = f"annotations[{BANDWIDTH_SCOPE_ANNOTATION}]"
    value = annotations.get(BANDWIDTH_SCOPE_ANNOTATION)
    if value is None:
        return BandwidthScope.POLICY
    if isinstance(value, str) and value in set(BandwidthScope):
        return BandwidthScope(value)
    metadata.error(place, f"{show(value)} is not a scope", "use pod (each pod gets the rate) or policy (they share it)")
    return BandwidthScope.POLICY


def _rule(rule: Fields) -> Rule:
    dscp = rule.integer("dscp", "a DSCP", 0, DSCP_MAXIMUM)
    bandwidth = _bandwidth(rule)
    if not rule.has("dscp") and not _has_rate(rule):
        rule.missing("dscp", "give dscp, bandwidth.rate or both")
    return Rule(dscp=dscp, bandwidth=bandwidth, classifier=read_classifier(rule, "classifier"))


def _check_sizes(spec: Fields, rules: tuple[Rule, ...]) -> None:
    """Bound what the rules come to in the database.

    Of a block less an exception there are left up to as many CIDRs as the exception's prefix is longer.
    """
    found = [one for rule in rules for one in (*(rule.classifier.destinations or ()), *(rule.classifier.sources or ()))]
    selectors = len({one for one in found if not isinstance(one, IPBlock)})
    if selectors > PEER_SELECTORS_MAXIMUM:
        text = f"{selectors} different selectors of pods are above the maximum of {PEER_SELECTORS_MAXIMUM}"
        spec.error("egress", text, "select by common labels, or use several objects")
    blocks = [one for one in found if isinstance(one, IPBlock)]
    count = sum(1 + sum(exception.prefixlen - block.cidr.prefixlen for exception in block.excluded) for block in blocks)
    if count > CIDRS_MAXIMUM:
        text = f"the address blocks less their exceptions may be {count} CIDRs, above the maximum of {CIDRS_MAXIMUM}"
        spec.error("egress", text, "use fewer exceptions or shorter prefixes, or several objects")


def _has_rate(rule: Fields) -> bool:
    """Whether a rate is given, or something that is an error in its place."""
    given = rule.get("bandwidth")
    return given.get("rate") is not None if isinstance(given, Mapping) else given is not None


def _bandwidth(rule: Fields) -> Bandwidth | None:
    bandwidth = rule.mapping("bandwidth")
    if bandwidth is None:
        return None
    rate = bandwidth.integer("rate", "a rate in kbps", 1, BANDWIDTH_MAXIMUM)
    burst = bandwidth.integer("burst", "a burst in kbit", 1, BANDWIDTH_MAXIMUM)
    if rate is None:
        if burst is not None and not bandwidth.has("rate"):
            bandwidth.warn(Code.NO_EFFECT, "burst", "no effect without a rate", "add bandwidth.rate, or remove burst")
        return None
    limit = Bandwidth(rate_kbps=rate, burst_kbit=burst)
    bandwidth.add(bandwidth_advice(limit, UNNAMED, f"{bandwidth.path}.burst"))
    return limit


def _network_selectors(spec: Fields) -> tuple[NetworkSelector, ...] | None:
    """Read `networkSelectors`. An absent or empty list is None: every network that the pods are on."""
    entries = spec.mappings("networkSelectors", maximum=len(NetworkSelectionType))
    if not entries:
        return None
    selectors = [_selector(entry) for entry in entries]
    return tuple(selector for selector in selectors if selector is not None)


def _selector(entry: Fields) -> NetworkSelector | None:
    word = entry.string("networkSelectionType", required=f"use {_TYPE_WORDS}")
    selected = _TYPES.get(word) if word is not None else None
    if word is not None and selected is None:
        entry.error(
            "networkSelectionType",
            f"{show(word)} is not a network selection type",
            f"use {_TYPE_WORDS}",
            suggest(word, _TYPES),
        )
    found = None
    for owner, form in _FORMS.items():
        if owner is selected:
            found = entry.mapping(form.field, required=f"required by networkSelectionType {selected}")
        elif entry.has(form.field) and selected is not None:
            entry.error(
                form.field,
                f"goes with networkSelectionType {owner}, but the type is {selected}",
                "remove it or change the type",
            )
    if selected is None or selected not in _FORMS:
        return NetworkSelector(type=selected) if selected is not None else None
    if found is None:
        return None
    form = _FORMS[selected]
    return NetworkSelector(
        type=selected,
        namespace_selector=_required(found, "namespaceSelector") if form.by_namespace else None,
        network_selector=_required(found, "networkSelector") if form.by_network else None,
    )


def _required(fields: Fields, key: str) -> LabelSelector | None:
    return read_selector(fields, key, required="give a label selector; {} selects all")
