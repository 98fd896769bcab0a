"""What tests of reflectors have in common: a handler that remembers, and the life of a reflector."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ovnqos import InvalidObject
from ovnqos.kubernetes import RestartReason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ovnqos.kubernetes import Changes, Reflector

PATIENCE = 20.0
"""Seconds after which something that was to happen is taken for never to happen."""


class Recorder:
    """A handler that keeps what it is told.

    Attributes:
        calls: every call: the changes, or the kind that is synced.
        world: the objects by key, as the calls leave them.
    """

    def __init__(self) -> None:
        self.calls: list[Changes | str] = []
        self.world: dict[str, object] = {}
        self._changed = threading.Condition()

    def changed(self, changes: Changes) -> None:
        with self._changed:
            self.calls.append(changes)
            for updated in changes.updated:
                if not isinstance(updated.object, InvalidObject):
                    self.world[updated.metadata.key] = updated.object
            for key in changes.deleted:
                del self.world[key]
            self._changed.notify_all()

    def synced(self, kind: str) -> None:
        with self._changed:
            self.calls.append(kind)
            self._changed.notify_all()

    @property
    def changes(self) -> list[Changes]:
        return [call for call in self.calls if not isinstance(call, str)]

    @property
    def told(self) -> list[tuple[list[str], list[str], list[str]]]:
        """Of each change the keys: updated, invalid, removed, each sorted."""
        return [
            (
                sorted(one.metadata.key for one in changes.updated if not isinstance(one.object, InvalidObject)),
                sorted(one.metadata.key for one in changes.updated if isinstance(one.object, InvalidObject)),
                sorted(changes.deleted),
            )
            for changes in self.changes
        ]

    def wait_until(self, holds: Callable[[], bool]) -> None:
        """Wait until this holds; it is looked at after each call."""
        with self._changed:
            assert self._changed.wait_for(holds, PATIENCE), self.calls[-3:]

    def wait_for_calls(self, count: int) -> None:
        self.wait_until(lambda: len(self.calls) >= count)

    def wait_for_objects(self, *keys: str) -> None:
        """Wait until exactly these objects are there."""
        self.wait_until(lambda: self.world.keys() == set(keys))


@contextmanager
def running(reflector: Reflector, *, handler_raises: bool = False) -> Iterator[Reflector]:
    """Start the reflector and stops it; its thread must have ended by then, and the handler have raised or not."""
    reflector.start()
    try:
        yield reflector
    finally:
        reflector.stop()
    assert not reflector.is_alive
    assert bool(reflector.restarts[RestartReason.ERROR]) is handler_raises
