"""The one thread that starts all programs."""

from __future__ import annotations

import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")


class Starter(Generic[_T]):
    """Runs tasks in a thread that lasts: the kernel kills a program when the thread that started it ends.

    A daemon thread, and queues written in C, because of Ctrl-C: one that comes while a thread pool starts its thread
    leaves it unknown to the pool, and the interpreter waits for it for ever (measured: 1 in 160 under load).
    """

    def __init__(self) -> None:
        """The thread starts with the first task."""
        self._tasks: SimpleQueue[tuple[Callable[[], _T], SimpleQueue[_T | BaseException]]] = SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def run(self, task: Callable[[], _T]) -> _T:
        """Returns what the task returns, and raises what it raises; it may be called from any thread."""
        outcome: SimpleQueue[_T | BaseException] = SimpleQueue()
        self._tasks.put((task, outcome))
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="ovnqos-sandbox", daemon=True)
                self._thread.start()
        found = outcome.get()
        if isinstance(found, BaseException):
            raise found
        return found

    def _work(self) -> None:
        while True:
            task, outcome = self._tasks.get()
            try:
                outcome.put(task())
            except BaseException as error:  # whoever asked for the task gets it
                outcome.put(error)
