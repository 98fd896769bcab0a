"""The Kubernetes kinds that are read, and the parser of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeAlias

from ovnqos.diagnostics import Code, Diagnostic, ObjectRef
from ovnqos.errors import InvalidObject
from ovnqos.model.networks import NetworkAttachmentDefinition
from ovnqos.model.policy import NetworkQoS
from ovnqos.model.workloads import Namespace, Node, Pod
from ovnqos.sources.fields import describe, show
from ovnqos.sources.network_attachments import parse_network_attachment_definition
from ovnqos.sources.network_qos import parse_policy
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
) -> KubernetesObject | InvalidObject | None:
    """Parse an object of any kind.

    A kind is known by its API group too: other groups have a `Node` of their own. A `NetworkQoS` of another group or
    version is never passed over, but refused.

    Args:
        document: the object as JSON or YAML gives it.
        origin: where it was read, for the diagnostics.
        warn: called with each warning.
        also_keep: of pods, as in `parse_pod`.

    Returns:
        The object; or, for `Compiler.apply` to keep its last valid version in force, an InvalidObject with every error
        of it; None if it is of a kind that is not read.
    """
    kind = document.get("kind")
    if not isinstance(kind, str):
        hint = "give what it is, e.g. NetworkQoS"
        if kind is None:
            return _invalid_kind("missing", hint, origin, Code.MISSING_FIELD)
        return _invalid_kind(f"must be a string, not {describe(kind)}", hint, origin)
    if kind not in _PARSERS:
        meant = _SPELLINGS.get(kind.lower())
        if meant is None:
            return None
        return _invalid_kind(f"{show(kind)} is not a kind", f"it is spelt {meant}", origin)
    group, parse = _PARSERS[kind]
    version = document.get("apiVersion")
    if kind != "NetworkQoS" and isinstance(version, str) and version.rpartition("/")[0] != group:
        return None
    try:
        if kind == "Pod":
            return parse_pod(document, origin=origin, warn=warn, also_keep=also_keep)
        return parse(document, origin=origin, warn=warn)
    except InvalidObject as error:
        return error


def _invalid_kind(text: str, hint: str, origin: str, code: Code = Code.INVALID_FIELD) -> InvalidObject:
    ref = ObjectRef(kind="", origin=origin)
    return InvalidObject(ref, [Diagnostic.error(ref, code, text, path="kind", hint=hint)])
