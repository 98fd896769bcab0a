"""Which collections of the Kubernetes API are read, and the values in which their objects come."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

from ovnqos.sources import parse_namespace, parse_network_attachment_definition, parse_node, parse_pod, parse_policy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ovnqos.errors import InvalidObject
    from ovnqos.sources import KubernetesObject


class ObjectParser(Protocol):
    """Parse a document to an object, or raise `InvalidObject` with everything that is wrong with it."""

    def __call__(self, document: object) -> KubernetesObject:
        """Parse."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """A collection of the Kubernetes API, in all namespaces.

    Attributes:
        kind: the kind of its objects.
        path: where the API serves it.
        parse: from a document to the object that is kept of it.
        parse_status: from a document to what is kept of its status; None keeps nothing.
        optional: whether a cluster may lack it; then HTTP 404 means that it has no objects.
    """

    kind: str
    path: str
    parse: ObjectParser
    parse_status: Callable[[Mapping[str, object]], Any] | None = None
    optional: bool = False

    @property
    def is_custom(self) -> bool:
        """Whether a CRD makes the API server serve it, so that its objects go when that is deleted."""
        return self.path.startswith("/apis/")


NETWORK_QOSES = Resource(kind="NetworkQoS", path="/apis/k8s.ovn.org/v1alpha1/networkqoses", parse=parse_policy)
PODS = Resource(kind="Pod", path="/api/v1/pods", parse=parse_pod)
NAMESPACES = Resource(kind="Namespace", path="/api/v1/namespaces", parse=parse_namespace)
NODES = Resource(kind="Node", path="/api/v1/nodes", parse=parse_node)
NETWORK_ATTACHMENT_DEFINITIONS = Resource(
    kind="NetworkAttachmentDefinition",
    path="/apis/k8s.cni.cncf.io/v1/network-attachment-definitions",
    parse=parse_network_attachment_definition,
    optional=True,  # a cluster without secondary networks
)
RESOURCES = (NETWORK_QOSES, PODS, NAMESPACES, NODES, NETWORK_ATTACHMENT_DEFINITIONS)
"""All that is compiled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """Which object, as the API server has it. `namespace` is empty for a cluster-wide kind."""

    namespace: str
    name: str
    uid: str
    generation: int
    resource_version: str

    @property
    def key(self) -> str:
        """`<namespace>/<name>`, or `<name>` of a cluster-wide kind."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedObject:
    """A version of an object that the API server holds.

    Attributes:
        metadata: which object and version.
        object: what was parsed; or the error, if the version is not valid.
        status: what `Resource.parse_status` kept of its status; None without such a parser.
    """

    metadata: Metadata
    object: KubernetesObject | InvalidObject
    status: Any = None


class Emptied(StrEnum):
    """Why a kind has no object left although none was seen to be deleted."""

    ABSENT = "absent"
    """The API server does not serve the resource any more: its custom resource definition was removed."""
    EMPTY = "empty list"


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """How the objects of one kind differ from what a handler was given before; no object is in both tuples.

    Attributes:
        kind: the kind.
        updated: the objects that are new or changed.
        deleted: the keys (`Metadata.key`) of the objects that are gone.
        listed: whether they differ because a list, or the absence of the whole resource, shows it. Otherwise watch
            events say so: of a deleted object, that somebody deleted it.
        emptied: why all objects of the kind are gone at once; None if they are not, or were seen to be deleted.
    """

    kind: str
    updated: tuple[ObservedObject, ...] = ()
    deleted: tuple[str, ...] = ()
    listed: bool = False
    emptied: Emptied | None = None

    def __bool__(self) -> bool:
        return bool(self.updated or self.deleted)


class ChangeHandler(Protocol):
    """Take what reflectors read. Each reflector calls from a thread of its own.

    After an exception of the handler the reflector logs it, waits, and delivers every object of its kind anew, so a
    change can come twice.
    """

    def changed(self, changes: Changes) -> None:
        """Take changes, never empty ones. The whole difference that a new list makes comes in one call."""

    def synced(self, kind: str) -> None:
        """Take note, once a kind, that all its objects have been delivered."""
