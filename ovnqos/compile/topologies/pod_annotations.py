"""Reading what a CNI wrote on a pod, with a fault that says where it is broken."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovnqos.diagnostics import Code, Diagnostic, ObjectRef
from ovnqos.errors import InvalidObject
from ovnqos.match.addresses import canonical_address

if TYPE_CHECKING:
    from ovnqos.model.workloads import Pod


def broken(pod: Pod, annotation: str, path: str, what: str, *, author: str) -> InvalidObject:
    """The error for a pod's annotation: what is wrong at a path inside it, and who writes it."""
    where = f"metadata.annotations[{annotation}]" + (f".{path}" if path else "")
    ref = ObjectRef(kind="Pod", namespace=pod.namespace, name=pod.name)
    return InvalidObject(ref, [Diagnostic.error(ref, Code.INVALID_FIELD, what, path=where, hint=f"{author} writes it")])


def bare_address(text: object) -> str | None:
    """An IP address in canonical text, without the prefix length behind it; None for text that is none."""
    try:
        return canonical_address(str(text).strip().partition("/")[0])
    except ValueError:
        return None
