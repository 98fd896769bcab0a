"""DSCPs by number and by name, as Calico's annotation takes them.

Source: Calico's list of names (its type `numorstring.DSCP`), in any case: DF, EF, AF11 to AF43, CS0 to CS6. The code
points are those of RFC 2474 (class selectors), RFC 2597 (assured) and RFC 3246 (expedited forwarding).
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING

from ovnqos.model.policy import DSCP_MAXIMUM
from ovnqos.sources.fields import InvalidValueError, show, suggest

if TYPE_CHECKING:
    from collections.abc import Mapping

DSCP_NAMES: Mapping[str, int] = MappingProxyType(
    {
        "DF": 0,
        "EF": 46,
        **{f"AF{group}{drop}": 8 * group + 2 * drop for group in range(1, 5) for drop in range(1, 4)},
        **{f"CS{group}": 8 * group for group in range(7)},
    }
)
"""The names that are taken, and the DSCP of each."""

_UNKNOWN_TO_CALICO = {"CS7": 56, "LE": 1, "VA": 44, "VOICE-ADMIT": 44}
_NUMBER = re.compile(r"[0-9]+")
_FORM = f"use a whole number from 0 to {DSCP_MAXIMUM}, or DF, EF, AF11 to AF43, or CS0 to CS6"


def parse_dscp(text: str) -> int:
    """Parse a DSCP.

    Args:
        text: a whole number from 0 to 63, or one of `DSCP_NAMES` in any case; spaces around it do not count.

    Returns:
        The DSCP.

    Raises:
        InvalidValueError: it is none.
    """
    word = text.strip()
    if _NUMBER.fullmatch(word):
        digits = word.lstrip("0") or "0"
        if len(digits) <= 2 and int(digits) <= DSCP_MAXIMUM:
            return int(digits)
    elif (named := DSCP_NAMES.get(word.upper())) is not None:
        return named
    raise InvalidValueError(f"{show(text)} is not a DSCP", _FORM, _hint(word.upper()))


def _hint(word: str) -> str:
    if word in _UNKNOWN_TO_CALICO:
        return f"for {word}, which is no name here, write {_UNKNOWN_TO_CALICO[word]}"
    if re.fullmatch(r"AF[0-9]{2}", word):
        return "AF takes a class from 1 to 4 and a drop precedence from 1 to 3"
    return suggest(word, DSCP_NAMES)
