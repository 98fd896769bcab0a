"""How a release of OVN looks up the QoS rows of a switch: the mark and the limit apart, or together.

Measured: a mark-only row above a rate-only row limits to 20.5 Mbit/s of 60 offered on 23.03, and to nothing on 25.03.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

from ovnqos.errors import InvalidRow

_RELEASE: Final = re.compile(r"(?P<year>[0-9]{2})\.(?P<month>[0-9]{2})(?:\.[0-9]+)?")
_FIRST_JOINED: Final = (24, 9)


class Generation(StrEnum):
    """Two ways of looking up rows."""

    SPLIT = "split"  # up to 24.03: the highest row with an action marks, the highest with a rate limits
    JOINED = "joined"  # from 24.09: the highest row decides both

    @classmethod
    def of_release(cls, release: str) -> Generation:
        """The generation of a release such as `23.03` or `24.03.2`. Raises InvalidRow for a text that is none."""
        found = _RELEASE.fullmatch(release)
        if found is None:
            raise InvalidRow(f"{release!r} is no release of OVN; write it as year and month, e.g. 23.03")
        later = (int(found["year"]), int(found["month"])) >= _FIRST_JOINED
        return cls.JOINED if later else cls.SPLIT

    @property
    def releases(self) -> str:
        """Which releases of OVN it stands for."""
        return "OVN from 24.09" if self is Generation.JOINED else "OVN up to 24.03"
