"""EgressQoS, `k8s.ovn.org/v1`, of ovn-kubernetes: from the Kubernetes object to its rules.

Source: the CRD of ovn-kubernetes and its controller, which reads only the object named `default` of each namespace,
writes one row of OVN a rule, priority 1000 for the first and one less for each that follows, and takes 1000 at most.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ovnqos.model.labels import EVERYTHING, LabelSelector
from ovnqos.model.policy import DSCP_MAXIMUM
from ovnqos.sources.objects import ObjectKind, ObjectReader
from ovnqos.sources.rules import read_cidr, read_rules, read_selector
from ovnqos.sources.values import show

if TYPE_CHECKING:
    from collections.abc import Mapping

    from netaddr import IPNetwork

    from ovnqos.diagnostics import Diagnostic
    from ovnqos.sources.fields import Fields

EGRESS_QOS_API_VERSION = "k8s.ovn.org/v1"
EGRESS_QOS_KIND = "EgressQoS"
EGRESS_QOS_NAME = "default"
"""The one name that ovn-kubernetes reads."""
EGRESS_QOS_RULES_MAXIMUM = 1000
_KIND = ObjectKind(name=EGRESS_QOS_KIND, api_version=EGRESS_QOS_API_VERSION, warn_unknown=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class EgressQoSRule:
    """Mark with `dscp` what the selected pods send to `destination` (None: anywhere, of either family)."""

    dscp: int
    destination: IPNetwork | None = None
    pod_selector: LabelSelector = EVERYTHING


@dataclass(frozen=True, slots=True, kw_only=True)
class EgressQoS:
    """A valid EgressQoS object. Of the rules that match a packet the first holds, unlike in a NetworkQoS.

    `diagnostics` holds the warnings of its parser.
    """

    namespace: str
    name: str
    rules: tuple[EgressQoSRule, ...]
    diagnostics: tuple[Diagnostic, ...] = field(default=(), compare=False)

    @property
    def key(self) -> str:
        """`<namespace>/<name>`."""
        return f"{self.namespace}/{self.name}"


def is_egress_qos(document: Mapping[str, object]) -> bool:
    """Whether a document is an EgressQoS, by kind and API group: another group may have the kind, too."""
    version, group = document.get("apiVersion"), EGRESS_QOS_API_VERSION.rpartition("/")[0]
    of_group = not isinstance(version, str) or version.rpartition("/")[0] == group
    return document.get("kind") == EGRESS_QOS_KIND and of_group


def parse_egress_qos(document: object, *, origin: str = "") -> EgressQoS:
    """Parse one EgressQoS object.

    Args:
        document: the object as JSON or YAML gives it: a mapping.
        origin: where it was read, e.g. a file's name; for the diagnostics.

    Returns:
        The object. An absent `metadata.namespace` is `default`.

    Raises:
        InvalidObject: with every error of the object. A name other than `default` is one: ovn-kubernetes ignores such
            an object.
    """
    reader = ObjectReader(document, _KIND, origin=origin)
    root = reader.root
    if reader.name and reader.name != EGRESS_QOS_NAME:
        reader.metadata.error(
            "name",
            f"{show(reader.name)} has no effect: ovn-kubernetes reads one EgressQoS of each namespace",
            f"name it {EGRESS_QOS_NAME}, or remove it",
        )
    spec = root.mapping("spec", required="give egress")
    rules = (
        read_rules(spec, _rule, maximum=EGRESS_QOS_RULES_MAXIMUM, beyond="remove some: ovn-kubernetes takes no more")
        if spec is not None
        else ()
    )
    diagnostics = reader.check()
    return EgressQoS(namespace=reader.namespace, name=reader.name, rules=rules, diagnostics=diagnostics)


def _rule(rule: Fields) -> EgressQoSRule:
    dscp = rule.integer("dscp", "a DSCP", 0, DSCP_MAXIMUM, required=True)
    text = rule.string("dstCIDR")
    selector = read_selector(rule, "podSelector")
    return EgressQoSRule(
        dscp=dscp or 0,  # a missing one is an error, and no object comes of it
        destination=None if text is None else read_cidr(rule, "dstCIDR", text),
        pod_selector=selector if selector is not None else EVERYTHING,
    )
