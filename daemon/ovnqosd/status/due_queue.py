"""Keys, each with the time from which on it is to be looked at."""

from __future__ import annotations

import heapq


class DueQueue:
    """A queue in the order of due times, with each key once.

    Times are seconds of one clock. Not for several threads.
    """

    def __init__(self) -> None:
        self._due: dict[str, float] = {}
        self._heap: list[tuple[float, int, str]] = []
        self._number = 0  # of keys due at the same time the one that came first goes first

    def __len__(self) -> int:
        return len(self._due)

    def __contains__(self, key: str) -> bool:
        return key in self._due

    def add(self, key: str, at: float) -> None:
        """Puts a key in; one that is in it keeps the earlier of the two times."""
        known = self._due.get(key)
        if known is None or at < known:
            self._put(key, at)

    def postpone(self, key: str, at: float) -> None:
        """Puts a key in, or moves it to this time."""
        self._put(key, at)

    def discard(self, key: str) -> None:
        """Takes a key out, if it is in."""
        self._due.pop(key, None)

    def pop(self, now: float) -> str | None:
        """Takes out the key that is due first; None if none is due."""
        self._clear_top()
        if not self._heap or self._heap[0][0] > now:
            return None
        _, _, key = heapq.heappop(self._heap)
        del self._due[key]
        return key

    def next_time(self) -> float | None:
        """When the next key is due; None if there is none."""
        self._clear_top()
        return self._heap[0][0] if self._heap else None

    def _put(self, key: str, at: float) -> None:
        self._due[key] = at
        self._number += 1
        heapq.heappush(self._heap, (at, self._number, key))

    def _clear_top(self) -> None:
        while self._heap and self._due.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)
