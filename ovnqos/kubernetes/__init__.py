"""A client of the Kubernetes API: requests, lists, and lists that are kept up to date by a watch.

`connect` gives a `KubernetesClient`; `read_cluster` reads the objects of several kinds once; a `Reflector` lists and
watches those of one `Resource` in a thread of its own. The Python package `kubernetes` is loaded by `connect` only.
"""

from ovnqos.kubernetes.client import APPLY_PATCH, JSON_PATCH, MERGE_PATCH, KubernetesClient
from ovnqos.kubernetes.cluster import ClusterContents, read_cluster
from ovnqos.kubernetes.configuration import KubernetesConfigurationError, connect, context_names
from ovnqos.kubernetes.errors import (
    ApiStatusError,
    ApiUnreachableError,
    RequestError,
    RequestInterruptedError,
    UnreadableAnswerError,
)
from ovnqos.kubernetes.interruption import Interruption
from ovnqos.kubernetes.reflector import Reflector
from ovnqos.kubernetes.resources import (
    NAMESPACES,
    NETWORK_ATTACHMENT_DEFINITIONS,
    NETWORK_QOSES,
    NODES,
    PODS,
    RESOURCES,
    ChangeHandler,
    Changes,
    Emptied,
    Metadata,
    ObservedObject,
    Resource,
)
from ovnqos.kubernetes.retries import Backoff, Clock, RestartReason, RetryPolicy

__all__ = [
    "APPLY_PATCH",
    "JSON_PATCH",
    "MERGE_PATCH",
    "NAMESPACES",
    "NETWORK_ATTACHMENT_DEFINITIONS",
    "NETWORK_QOSES",
    "NODES",
    "PODS",
    "RESOURCES",
    "ApiStatusError",
    "ApiUnreachableError",
    "Backoff",
    "ChangeHandler",
    "Changes",
    "Clock",
    "ClusterContents",
    "Emptied",
    "Interruption",
    "KubernetesClient",
    "KubernetesConfigurationError",
    "Metadata",
    "ObservedObject",
    "Reflector",
    "RequestError",
    "RequestInterruptedError",
    "Resource",
    "RestartReason",
    "RetryPolicy",
    "UnreadableAnswerError",
    "connect",
    "context_names",
    "read_cluster",
]
