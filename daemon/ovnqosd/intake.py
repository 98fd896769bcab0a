"""Takes changes of Kubernetes objects into the live compilation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ovnqos import LiveCompilation
    from ovnqosd.changes import Changes
    from ovnqosd.policy_standing import PolicyStanding

_log = structlog.get_logger()
_POLICY: Final = "NetworkQoS"


class Intake:
    """Hands objects on, and logs those that cannot be read."""

    def __init__(self, live: LiveCompilation, standing: PolicyStanding) -> None:
        self._live = live
        self._standing = standing
        self._problems: dict[str, str] = {}  # of pods, by subject

    def take_up(self, batches: Iterable[Changes]) -> frozenset[str]:
        """Takes in changes, in the order they came; returns the keys of the policies that are gone in the end."""
        removed: set[str] = set()
        pods = False
        for changes in batches:
            pods |= changes.kind == "Pod"
            is_policy = changes.kind == _POLICY
            self._take_objects(changes)
            for key in changes.removed:
                self._live.forget(changes.kind, key)
            if is_policy:
                there = [*(one.metadata for one in changes.updated), *(one.metadata for one in changes.invalid)]
                for metadata in there:
                    self._standing.note(metadata)
                for key in changes.removed:
                    self._standing.forget(key)
                removed |= set(changes.removed)
                removed -= {metadata.key for metadata in there}
        if pods:
            self._tell_problems()
        return frozenset(removed)

    def _take_objects(self, changes: Changes) -> None:
        for updated in changes.updated:
            self._live.update(updated.object)
        for invalid in changes.invalid:
            if changes.kind == _POLICY:
                self._live.hold(invalid.metadata.key, invalid.error)
            _log.warning("invalid object", kind=changes.kind, object=invalid.metadata.key, error=str(invalid.error))

    def _tell_problems(self) -> None:
        found = {problem.subject: str(problem) for problem in self._live.inventory.problems}
        for subject in found.keys() - self._problems.keys():
            _log.warning("a pod whose networks cannot be read; it counts as having none", error=found[subject])
        self._problems = found
