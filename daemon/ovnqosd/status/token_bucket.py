"""How many requests may go out: a rate, and a burst."""

from __future__ import annotations


class TokenBucket:
    """A bucket of tokens that fills at a steady rate. Times are seconds of one clock; not for several threads."""

    def __init__(self, *, rate: float, burst: int) -> None:
        """A full bucket: `rate` tokens come in a second, and it holds `burst`."""
        self._rate = rate
        self._burst = float(burst)
        self._tokens = float(burst)
        self._filled_at: float | None = None

    def delay(self, now: float) -> float:
        """Seconds until a token can be taken; 0 when it can be now."""
        self._fill(now)
        return max(0.0, (1.0 - self._tokens) / self._rate)

    def take(self, now: float) -> bool:
        """Takes a token, if there is one."""
        self._fill(now)
        if self._tokens < 1.0 - 1e-9:  # a wait of exactly `delay` must be enough in floating point too
            return False
        self._tokens = max(0.0, self._tokens - 1.0)
        return True

    def _fill(self, now: float) -> None:
        if self._filled_at is not None:
            self._tokens = min(self._burst, self._tokens + max(0.0, now - self._filled_at) * self._rate)
        self._filled_at = now
