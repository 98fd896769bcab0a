"""Takes changes of Kubernetes objects into the live compilation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog

from ovnqos import InvalidObject, Pod

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ovnqos import Compiler
    from ovnqos.kubernetes import Changes
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
            for key in changes.deleted:
                self._live.delete(changes.kind, key)
                self._remarks.forget(changes.kind, key)
            if is_policy:
                there = [one.metadata for one in changes.updated]
                for metadata in there:
                    self._standing.note(metadata)
                for key in changes.deleted:
                    self._standing.forget(key)
                removed |= set(changes.deleted)
                removed -= {metadata.key for metadata in there}
        return frozenset(removed)

    def _take_objects(self, changes: Changes) -> None:
        for updated in changes.updated:
            problems, key = self._live.inventory.problems, updated.metadata.key
            known = str(problems.get(key))
            self._live.apply(updated.object)
            if isinstance(updated.object, InvalidObject):
                _log.warning("invalid object", kind=changes.kind, object=key, error=str(updated.object))
                continue
            self._remarks.note(updated.metadata, updated.object)
            if isinstance(updated.object, Pod) and key in problems and str(problems[key]) != known:
                _log.warning("networks of a pod cannot be read; it counts as having none", error=str(problems[key]))
