"""Whether a match takes a packet, with the reason: three-valued verdicts, and how they combine."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from ovnqos.match.syntax import Comparison, Constant, ConstantKind, Relation

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ovnqos.match.named_sets import NamedSets

_SHOWN_MAXIMUM: Final = 3
_LITERAL: Final = frozenset({ConstantKind.NUMBER, ConstantKind.STRING})
_OF_EQUALITY: Final = frozenset({Relation.EQUAL, Relation.NOT_EQUAL})


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
        is_plain: whether the reason is left out beside another one: the packet is of the other IP version.
    """

    truth: Truth
    reason: str = ""
    is_plain: bool = False


YES: Final = Verdict(truth=Truth.YES)


def no(reason: str, *, is_plain: bool = False) -> Verdict:
    """The verdict that the match does not take the packet."""
    return Verdict(truth=Truth.NO, reason=reason, is_plain=is_plain)


def unknown(reason: str) -> Verdict:
    """The verdict that it depends on something that is not known."""
    return Verdict(truth=Truth.UNKNOWN, reason=reason)


def every(verdicts: Sequence[Verdict]) -> Verdict:
    """Combine verdicts of which all must be yes; the reason is that of the first no."""
    for verdict in verdicts:
        if verdict.truth is Truth.NO:
            return verdict
    doubts = [verdict for verdict in verdicts if verdict.truth is Truth.UNKNOWN]
    return unknown(_reasons(doubts, " and ")) if doubts else YES


def either(verdicts: Sequence[Verdict]) -> Verdict:
    """Combine verdicts of which one yes is enough."""
    if any(verdict.truth is Truth.YES for verdict in verdicts):
        return YES
    doubts = [verdict for verdict in verdicts if verdict.truth is Truth.UNKNOWN]
    if doubts:
        return unknown(_reasons(doubts, " or "))
    informative = [verdict for verdict in verdicts if not verdict.is_plain]
    return no(_reasons(informative or verdicts, "; "), is_plain=not informative)


def _reasons(verdicts: Iterable[Verdict], between: str) -> str:
    return between.join(dict.fromkeys(verdict.reason for verdict in verdicts))


def is_equality(comparison: Comparison, *, negated: bool) -> bool:
    """Whether a comparison, with the negations around it, asks for equality."""
    return comparison.relation is (Relation.NOT_EQUAL if negated else Relation.EQUAL)


def why_not(comparison: Comparison, shown: str, names: NamedSets, *, negated: bool) -> str:
    """What the packet has, given as `shown`, and what the comparison asks for."""
    constants = comparison.constants
    asked = described(constants, names)
    if comparison.relation not in _OF_EQUALITY:
        return f"{shown} is {'' if negated else 'not '}{comparison.relation} {asked}"
    if not is_equality(comparison, negated=negated):
        return f"{shown} is excluded by {asked}"
    single = len(constants) == 1 and constants[0].kind in _LITERAL and "/" not in constants[0].text
    return f"{shown} is not {'' if single else 'in '}{asked}"


def described(constants: Sequence[Constant], names: NamedSets) -> str:
    """Describe constants, the first three where they are many."""
    shown = [_named(constant, names) for constant in constants[:_SHOWN_MAXIMUM]]
    if len(constants) > _SHOWN_MAXIMUM:
        shown.append(f"… ({len(constants)} in all)")
    return shown[0] if len(shown) == 1 else "{" + ", ".join(shown) + "}"


def _named(constant: Constant, names: NamedSets) -> str:
    if constant.kind in _LITERAL:
        return constant.text
    meaning = names.meanings.get(constant.text)
    if constant.kind is ConstantKind.PORT_GROUP:
        return f"port group {constant.text}" + (f" ({meaning})" if meaning else "")
    members = names.address_sets.get(constant.text, ())
    size = "empty" if not members else next(iter(members)) if len(members) == 1 else f"{len(members)} entries"
    return f"address set {constant.text} ({f'{meaning}; ' if meaning else ''}{size})"
