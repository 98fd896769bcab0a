"""Answers to a question that cannot always be answered, and how they combine."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Truth(StrEnum):
    """One of three."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether a match takes a packet.

    Attributes:
        truth: whether it does.
        reason: why it does not, or on what it depends; a yes needs no reason.
        is_plain: whether the reason is one that nobody needs to be told beside another: the packet's IP version.
    """

    truth: Truth
    reason: str = ""
    is_plain: bool = False


YES: Final = Verdict(truth=Truth.YES)


def no(reason: str, *, is_plain: bool = False) -> Verdict:
    """It does not, and why."""
    return Verdict(truth=Truth.NO, reason=reason, is_plain=is_plain)


def unknown(reason: str) -> Verdict:
    """That is not known, and on what it depends."""
    return Verdict(truth=Truth.UNKNOWN, reason=reason)


def every(verdicts: Sequence[Verdict]) -> Verdict:
    """All are to hold; the first that does not tells why."""
    for verdict in verdicts:
        if verdict.truth is Truth.NO:
            return verdict
    doubts = [verdict for verdict in verdicts if verdict.truth is Truth.UNKNOWN]
    return unknown(_reasons(doubts, " and ")) if doubts else YES


def either(verdicts: Sequence[Verdict]) -> Verdict:
    """One is enough."""
    if any(verdict.truth is Truth.YES for verdict in verdicts):
        return YES
    doubts = [verdict for verdict in verdicts if verdict.truth is Truth.UNKNOWN]
    if doubts:
        return unknown(_reasons(doubts, " or "))
    told = [verdict for verdict in verdicts if not verdict.is_plain]
    return no(_reasons(told or verdicts, "; "), is_plain=not told)


def _reasons(verdicts: Iterable[Verdict], between: str) -> str:
    return between.join(dict.fromkeys(verdict.reason for verdict in verdicts))
