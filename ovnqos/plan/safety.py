"""The limit on what a plan may remove."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ovnqos.errors import InvalidRow

_COUNT = re.compile(r"[0-9]{1,9}\Z")
_SHARE = re.compile(r"(?:0?\.[0-9]{1,6}|1\.0{1,6}|0\.[0-9]{1,6})\Z")
_ROUNDING = 1e-6  # 0.29 * 100 is 28.999999999999996
_PERCENT = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,3})?)%\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteLimit:
    """At most `count` rows, or at most a `share` (0.0 to 1.0) of the owner's rows, may go. Exactly one is set.

    With a share, `at_least` rows may go in any case.
    """

    count: int | None = None
    share: float | None = None
    at_least: int = 0

    @classmethod
    def parse(cls, text: str) -> DeleteLimit:
        """Read `10` (rows), `30%` or `0.3` (share). Raises InvalidRow for anything else."""
        if _COUNT.match(text):
            return cls(count=int(text))
        percent = _PERCENT.match(text)
        share = float(percent[1]) / 100 if percent else float(text) if _SHARE.match(text) else None
        if share is None or share > 1:
            raise InvalidRow(f"delete limit {text!r}: use a number of rows such as 10, or a share such as 30% or 0.3")
        return cls(share=share)

    @classmethod
    def of(cls, limit: int | float | DeleteLimit) -> DeleteLimit:
        """A count from an int, a share from a float. Raises InvalidRow for a negative one, or a share above 1."""
        if isinstance(limit, DeleteLimit):
            return limit
        if not limit >= 0 or (isinstance(limit, float) and limit > 1):  # not a number is not >= 0 either
            raise InvalidRow(f"delete limit {limit}: use a count of 0 or more, or a share from 0.0 to 1.0")
        return cls(count=limit) if isinstance(limit, int) else cls(share=limit)

    def allows(self, deleted: int, total: int) -> bool:
        """Whether `deleted` of `total` rows may go."""
        if self.count is not None:
            return deleted <= self.count
        return deleted <= max(self.at_least, (self.share or 0.0) * total + _ROUNDING)

    def __str__(self) -> str:
        return str(self.count) if self.count is not None else f"{(self.share or 0.0) * 100:g} %"
