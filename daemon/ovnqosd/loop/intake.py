"""Takes changes of Kubernetes objects into the live compilation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ovnqos import Compiler
    from ovnqos.kubernetes.changes import Changes
    from ovnqosd.loop.policy_standing import PolicyStanding
    from ovnqosd.loop.remarks import Remarks

_log = structlog.get_logger()
_POLICY: Final = "NetworkQoS"


class Intake:
    """Hands objects on, and logs those that cannot be read."""

    def __init__(self, live: Compiler, standing: PolicyStanding, remarks: Remarks) -> None:
        self._live = live
        self._standing = standing
        self._remarks = remarks

    def take_up(self, batches: Iterable[Changes]) -> frozenset[str]:
        """Takes in changes, in the order they came; returns the keys of the policies that are gone in the end."""
        removed: set[str] = set()
        for changes in batches:
            is_policy = changes.kind == _POLICY
            self._take_objects(changes)
            for key in changes.removed:
                self._live.delete(changes.kind, key)
                self._remarks.forget(changes.kind, key)
            if is_policy:
                there = [*(one.metadata for one in changes.updated), *(one.metadata for one in changes.invalid)]
                for metadata in there:
                    self._standing.note(metadata)
                for key in changes.removed:
                    self._standing.forget(key)
                removed |= set(changes.removed)
                removed -= {metadata.key for metadata in there}
        return frozenset(removed)

    def _take_objects(self, changes: Changes) -> None:
        for updated in changes.updated:
            problem = self._live.apply(updated.object)
            self._remarks.note(updated.metadata, updated.object)
            if problem is not None:
                _log.warning("a pod whose networks cannot be read; it counts as having none", error=str(problem))
        for invalid in changes.invalid:
            self._live.apply(invalid.error)
            _log.warning("invalid object", kind=changes.kind, object=invalid.metadata.key, error=str(invalid.error))
