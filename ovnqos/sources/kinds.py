"""The Kubernetes kinds that are read, and the parser of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeAlias

from ovnqos.errors import Fault, InvalidObject
from ovnqos.model.networks import NetworkAttachmentDefinition
from ovnqos.model.policy import NetworkQoS
from ovnqos.model.workloads import Namespace, Node, Pod
from ovnqos.sources.fields import describe, show
from ovnqos.sources.network_attachments import parse_network_attachment_definition
from ovnqos.sources.network_qos import parse_policy
from ovnqos.sources.objects import subject_of
from ovnqos.sources.workloads import parse_namespace, parse_node, parse_pod

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ovnqos.sources.fields import Warn

KubernetesObject: TypeAlias = NetworkQoS | NetworkAttachmentDefinition | Namespace | Node | Pod


class _Parser(Protocol):
    def __call__(self, document: object, *, origin: str = "", warn: Warn | None = None) -> KubernetesObject: ...


_PARSERS: dict[str, tuple[str, _Parser]] = {
    "NetworkQoS": ("k8s.ovn.org", parse_policy),
    "NetworkAttachmentDefinition": ("k8s.cni.cncf.io", parse_network_attachment_definition),
    "Namespace": ("", parse_namespace),
    "Node": ("", parse_node),
    "Pod": ("", parse_pod),
}
KINDS = frozenset(_PARSERS)
"""The kinds that are read."""
_SPELLINGS = {kind.lower(): kind for kind in _PARSERS}


def parse_object(
    document: Mapping[str, object],
    *,
    origin: str = "",
    warn: Warn | None = None,
    also_keep: frozenset[str] = frozenset(),
) -> KubernetesObject | None:
    """Parse an object of any kind.

    A kind is known by its API group too: other groups have a `Node` of their own. A `NetworkQoS` of another group or
    version is never passed over, but refused.

    Args:
        document: the object as JSON or YAML gives it.
        origin: where it was read; the error's subject tells it.
        warn: called with each warning.
        also_keep: of pods, as in `parse_pod`.

    Returns:
        The object; None if it is of a kind that is not read.

    Raises:
        InvalidObject: with every fault of the object; of a NetworkQoS an InvalidPolicy.
    """
    kind = document.get("kind")
    if not isinstance(kind, str):
        right = "give what it is, e.g. NetworkQoS"
        message = f"missing; {right}" if kind is None else f"must be a string, not {describe(kind)}; {right}"
        raise InvalidObject(subject_of("object", "", "", origin), [Fault(path="kind", message=message)])
    if kind not in _PARSERS:
        meant = _SPELLINGS.get(kind.lower())
        if meant is None:
            return None
        fault = Fault(path="kind", message=f"{show(kind)} is not a kind; it is spelt {meant}")
        raise InvalidObject(subject_of("object", "", "", origin), [fault])
    group, parse = _PARSERS[kind]
    version = document.get("apiVersion")
    if kind != "NetworkQoS" and isinstance(version, str) and version.rpartition("/")[0] != group:
        return None
    if kind == "Pod":
        return parse_pod(document, origin=origin, warn=warn, also_keep=also_keep)
    return parse(document, origin=origin, warn=warn)
