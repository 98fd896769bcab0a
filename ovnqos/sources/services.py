"""Services: which pods are behind a name, as far as its selector says it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ovnqos.model.labels import LabelSelector
from ovnqos.model.policy import PORT_MAXIMUM
from ovnqos.sources.objects import ObjectKind, ObjectReader

if TYPE_CHECKING:
    from collections.abc import Mapping

_KIND = ObjectKind(name="Service")


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A Service: the selector of its backends, None where it has none, and their ports by its own."""

    namespace: str
    name: str
    selector: LabelSelector | None
    target_ports: Mapping[int, int] = field(default_factory=dict)


def parse_service(document: object, *, origin: str = "") -> Service:
    """Parse a Service.

    Raises:
        InvalidObject: with every error of the object.
    """
    reader = ObjectReader(document, _KIND, origin=origin)
    spec = reader.root.mapping("spec", warn_unknown=False)
    labels = spec.string_map("selector") if spec is not None else {}
    ports = {}
    for entry in (spec.mappings("ports", warn_unknown=False) if spec is not None else ()) or ():
        port = entry.integer("port", "a port", 1, PORT_MAXIMUM)
        target = entry.get("targetPort")
        if port is not None:
            ports[port] = target if isinstance(target, int) else port
    reader.check()
    return Service(
        namespace=reader.namespace,
        name=reader.name,
        selector=LabelSelector.from_labels(labels) if labels else None,
        target_ports=ports,
    )
