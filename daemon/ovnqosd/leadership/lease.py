"""A Lease of coordination.k8s.io/v1: its record, and the requests that read and write it."""

from __future__ import annotations

import math
import os
import socket
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ovnqos.kubernetes import ApiStatusError, UnreadableAnswerError

if TYPE_CHECKING:
    from ovnqos.kubernetes import Interruption, KubernetesClient

_API_VERSION: Final = "coordination.k8s.io/v1"
_NAMESPACE_FILE: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_NOT_FOUND: Final = 404
_CONFLICT: Final = 409
INT32_MAXIMUM: Final = 2**31 - 1
"""The highest that a number of a Lease may be; the API refuses more."""


def own_namespace(file: Path = _NAMESPACE_FILE) -> str:
    """Return the namespace of the pod that this process runs in; `default` outside of a pod."""
    try:
        return file.read_text(encoding="utf-8").strip() or "default"
    except OSError:
        return "default"


def own_identity() -> str:
    """Return a name for this process that no other one has, not even the next one in the same pod."""
    return f"{os.environ.get('POD_NAME') or socket.gethostname()}_{uuid.uuid4().hex[:12]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseRecord:
    """The content of a Lease.

    Attributes:
        holder: the identity of the process that holds it; empty when it was released.
        duration: seconds after which it is free unless it was renewed.
        acquired: when the holder took it, as the API has it.
        renewed: when it last renewed it, by its own clock, as the API has it.
        transitions: how often the holder changed.
        resource_version: of the object; empty for one that is to be created.
    """

    holder: str
    duration: int
    acquired: str
    renewed: str
    transitions: int = 0
    resource_version: str = ""


def micro_time(seconds: float) -> str:
    """Render a time since 1970 as `metav1.MicroTime`."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Lease:
    """One Lease object of a cluster."""

    def __init__(self, client: KubernetesClient, namespace: str, name: str) -> None:
        self.namespace = namespace
        self.name = name
        self._client = client
        self._collection = f"/apis/{_API_VERSION}/namespaces/{namespace}/leases"

    def read(self, interruption: Interruption, *, timeout: float) -> LeaseRecord | None:
        """Read it; return None if it is not there; raises RequestError: the API gave no usable answer."""
        try:
            document = self._client.request(
                "GET", f"{self._collection}/{self.name}", interruption=interruption, timeout=timeout
            )
        except ApiStatusError as error:
            if error.status == _NOT_FOUND:
                return None
            raise
        return _record(document)

    def write(self, record: LeaseRecord, interruption: Interruption, *, timeout: float) -> LeaseRecord | None:
        """Write it, if it is still at the record's resource_version, or create it.

        Returns:
            The record as written; None if another process wrote, created or deleted it in between.

        Raises:
            RequestError: the API refused, or did not answer; then it may have been written.
        """
        new = not record.resource_version
        metadata = {"namespace": self.namespace, "name": self.name}
        spec: dict[str, object] = {
            "leaseDurationSeconds": record.duration,
            "acquireTime": record.acquired,
            "renewTime": record.renewed,
            "leaseTransitions": record.transitions,
        }
        if record.holder:  # a released one has none: what must not be empty in one version may be absent in all
            spec["holderIdentity"] = record.holder
        if not new:
            metadata["resourceVersion"] = record.resource_version
        body = {"apiVersion": _API_VERSION, "kind": "Lease", "metadata": metadata, "spec": spec}
        path = self._collection if new else f"{self._collection}/{self.name}"
        method = "POST" if new else "PUT"
        try:
            document = self._client.request(method, path, body, interruption=interruption, timeout=timeout)
        except ApiStatusError as error:
            if error.status == _CONFLICT or (error.status == _NOT_FOUND and not new):
                return None
            raise
        return _record(document)


def _record(document: Mapping[str, object]) -> LeaseRecord:
    metadata, spec = document.get("metadata"), document.get("spec", {})
    version = metadata.get("resourceVersion") if isinstance(metadata, Mapping) else None
    if not isinstance(version, str) or not isinstance(spec, Mapping):
        raise UnreadableAnswerError("a Lease without metadata.resourceVersion")
    return LeaseRecord(
        holder=str(spec.get("holderIdentity") or ""),
        duration=_number(spec, "leaseDurationSeconds"),
        acquired=str(spec.get("acquireTime") or ""),
        renewed=str(spec.get("renewTime") or ""),
        transitions=_number(spec, "leaseTransitions"),
        resource_version=version,
    )


def _number(spec: Mapping[str, object], field: str) -> int:
    value = 0 if spec.get(field) is None else spec[field]
    if not isinstance(value, (int, float)) or not 0 <= value <= INT32_MAXIMUM:  # `nan` is not either
        raise UnreadableAnswerError(f"a Lease whose spec.{field} is no number of 32 bits")
    return math.floor(value)
