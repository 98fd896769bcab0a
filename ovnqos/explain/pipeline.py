"""Pipeline versions of OVN: a release looks up the mark and the limit of a packet apart, or together.

Measured: a mark-only row above a rate-only row limits to 20.5 Mbit/s of 60 offered on 23.03, and to nothing on 25.03.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from ovnqos.compile.rows import Direction
from ovnqos.errors import InvalidRow

if TYPE_CHECKING:
    from collections.abc import Mapping

_RELEASE: Final = re.compile(r"(?P<year>[0-9]{2})\.(?P<month>[0-9]{2})(?:\.[0-9]+)?")
_FIRST_JOINED: Final = (24, 9)


class PipelineVersion(StrEnum):
    """How the logical switch pipelines of a release look up QoS rows."""

    SPLIT = "split"  # up to 24.03: the highest row with an action marks, the highest with a rate limits
    JOINED = "joined"  # from 24.09: the highest row decides both

    @classmethod
    def of_release(cls, release: str) -> PipelineVersion:
        """The version of a release such as `23.03` or `24.03.2`. Raises InvalidRow for other text."""
        found = _RELEASE.fullmatch(release)
        if found is None:
            raise InvalidRow(f"{release!r} is no release of OVN; write it as year and month, e.g. 23.03")
        later = (int(found["year"]), int(found["month"])) >= _FIRST_JOINED
        return cls.JOINED if later else cls.SPLIT

    @property
    def releases(self) -> str:
        """Which releases of OVN have it."""
        return "OVN from 24.09" if self is PipelineVersion.JOINED else "OVN up to 24.03"


QOS_STAGES: Final[Mapping[str, PipelineVersion]] = {
    f"{prefix}qos{suffix}": version
    for prefix in ("ls_in_", "ls_out_")
    for suffix, version in (
        ("_mark", PipelineVersion.SPLIT),
        ("_meter", PipelineVersion.SPLIT),
        ("", PipelineVersion.JOINED),
    )
}
"""The stages of a logical switch that hold QoS rows, by the names that the Southbound has for them."""


def direction_of_stage(stage: str) -> Direction:
    """The direction of the rows that a stage of a logical switch holds."""
    return Direction.FROM_LPORT if stage.startswith("ls_in_") else Direction.TO_LPORT
