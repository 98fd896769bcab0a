"""NetworkQoS, `k8s.ovn.org/v1alpha1`: from the Kubernetes object to the policy.

The schema is that of the CRD of ovn-kubernetes, with `classifier.from` of its guide. An object that this CRD admits
means the same here; what it does not admit is refused here as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovnqos.diagnostics import Code
from ovnqos.model.advice import bandwidth_advice
from ovnqos.model.labels import EVERYTHING
from ovnqos.model.policy import (
    BANDWIDTH_MAXIMUM,
    DSCP_MAXIMUM,
    PRIORITY_MAXIMUM,
    RULES_MAXIMUM,
    Bandwidth,
    BandwidthScope,
    NetworkQoS,
    Rule,
)
from ovnqos.sources.classifiers import read_classifier
from ovnqos.sources.fields import UNNAMED, child_path, show, suggest
from ovnqos.sources.labels import read_selector
from ovnqos.sources.network_selectors import read_network_selectors
from ovnqos.sources.objects import ObjectKind, ObjectReader
from ovnqos.sources.rules import read_rules

if TYPE_CHECKING:
    from ovnqos.sources.fields import Fields, Warn

API_VERSION = "k8s.ovn.org/v1alpha1"
KIND = "NetworkQoS"
ANNOTATION_PREFIX = "ovnqos.io/"
"""Annotations with this prefix are for this project; one that it does not know is warned of."""
BANDWIDTH_SCOPE_ANNOTATION = "ovnqos.io/bandwidth-scope"
_KIND = ObjectKind(name=KIND, policed=True)
_GENERATION_MAXIMUM = 2**63 - 1


def parse_policy(document: object, *, origin: str = "", warn: Warn | None = None) -> NetworkQoS:
    """Parse one NetworkQoS object.

    Args:
        document: the object as JSON or YAML gives it: a mapping.
        origin: where it was read, e.g. a file's name; for the diagnostics.
        warn: called with each warning: unknown fields, host bits in CIDRs, entries that select nothing, a burst too
            small for its rate. Warnings come before the error is raised.

    Returns:
        The policy. An absent `metadata.namespace` is `default`.

    Raises:
        InvalidObject: with every error of the object.
    """
    reader = ObjectReader(document, _KIND, origin=origin)
    root = reader.root
    _check_type(root)
    scope = _bandwidth_scope(reader.metadata)
    generation = reader.metadata.integer("generation", "a generation", 0, _GENERATION_MAXIMUM)
    priority = 0
    pod_selector = network_selectors = None
    rules: tuple[Rule, ...] = ()
    spec = root.mapping("spec", required="give priority and egress")
    if spec is not None:
        priority = spec.integer("priority", "a priority", 0, PRIORITY_MAXIMUM, required=True) or 0
        pod_selector = read_selector(spec, "podSelector")
        network_selectors = read_network_selectors(spec)
        rules = read_rules(
            spec, _rule, maximum=RULES_MAXIMUM, beyond=f"keep {RULES_MAXIMUM}, the rest in another object"
        )
    reader.check(warn)
    return NetworkQoS(
        namespace=reader.namespace,
        name=reader.name,
        priority=priority,
        rules=rules,
        pod_selector=pod_selector if pod_selector is not None else EVERYTHING,
        network_selectors=network_selectors,
        bandwidth_scope=scope,
        generation=generation or 0,
    )


def _check_type(root: Fields) -> None:
    version = root.string("apiVersion", required=f"use {API_VERSION}")
    if version is not None and version != API_VERSION:
        root.error("apiVersion", f"{show(version)} is not read here", f"use {API_VERSION}")
    kind = root.string("kind", required=f"use {KIND}")
    if kind is not None and kind != KIND:
        root.error("kind", f"{show(kind)} is not {KIND}")


def _bandwidth_scope(metadata: Fields) -> BandwidthScope:
    annotations = metadata.mapping("annotations", policed=False)
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
    return Rule(
        dscp=rule.integer("dscp", "a DSCP", 0, DSCP_MAXIMUM, required=True),
        bandwidth=_bandwidth(rule),
        classifier=read_classifier(rule, "classifier"),
    )


def _bandwidth(rule: Fields) -> Bandwidth | None:
    bandwidth = rule.mapping("bandwidth")
    if bandwidth is None:
        return None
    rate = bandwidth.integer("rate", "a rate in kbps", 1, BANDWIDTH_MAXIMUM)
    burst = bandwidth.integer("burst", "a burst in kbit", 1, BANDWIDTH_MAXIMUM)
    if rate is None:
        if burst is not None and not bandwidth.has("rate"):
            bandwidth.error("burst", "does nothing without a rate", "add bandwidth.rate, or remove burst")
        return None
    limit = Bandwidth(rate_kbps=rate, burst_kbit=burst)
    bandwidth.add(bandwidth_advice(limit, UNNAMED, f"{bandwidth.path}.burst"))
    return limit
