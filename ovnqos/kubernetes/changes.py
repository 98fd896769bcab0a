"""What a reflector tells its handler."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ovnqos.diagnostics import Diagnostic
    from ovnqos.errors import InvalidObject
    from ovnqos.kubernetes.resources import WatchedObject


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
class Updated:
    """An object that is new or changed, with what its parser warns of."""

    metadata: Metadata
    object: WatchedObject
    warnings: tuple[Diagnostic, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Invalid:
    """An object that is there but cannot be read. Its last valid version is the handler's to keep."""

    metadata: Metadata
    error: InvalidObject
    warnings: tuple[Diagnostic, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """How the objects of one kind differ from what was told before; no object is in two of the lists.

    `removed` holds keys (`Metadata.key`).
    """

    kind: str
    updated: tuple[Updated, ...] = ()
    invalid: tuple[Invalid, ...] = ()
    removed: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.updated or self.invalid or self.removed)


class Handler(Protocol):
    """Takes what reflectors tell. Each reflector calls from a thread of its own.

    After an exception of the handler the reflector logs it, waits, and tells every object of its kind anew, so what
    was told once can come twice.
    """

    def changed(self, changes: Changes) -> None:
        """Takes in changes, never empty ones. The whole difference that a new list makes comes in one call."""

    def synced(self, kind: str) -> None:
        """Hears, once a kind, that all its objects have been told."""
