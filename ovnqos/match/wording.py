"""Why a comparison does not take a packet, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ovnqos.match.syntax import Comparison, Constant, ConstantKind, Relation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ovnqos.match.named_sets import NamedSets

_SHOWN_MAXIMUM: Final = 3
_LITERAL: Final = frozenset({ConstantKind.NUMBER, ConstantKind.STRING})
_OF_EQUALITY: Final = frozenset({Relation.EQUAL, Relation.NOT_EQUAL})


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
    """Constants in words, some of them where they are many."""
    shown = [_named(constant, names) for constant in constants[:_SHOWN_MAXIMUM]]
    if len(constants) > _SHOWN_MAXIMUM:
        shown.append(f"… ({len(constants)} in all)")
    return shown[0] if len(shown) == 1 else "{" + ", ".join(shown) + "}"


def _named(constant: Constant, names: NamedSets) -> str:
    if constant.kind in _LITERAL:
        return constant.text
    meaning = names.meanings.get(constant.text)
    told = [meaning] if meaning else []
    if constant.kind is ConstantKind.PORT_GROUP:
        return f"port group {constant.text}" + (f" ({meaning})" if meaning else "")
    members = names.address_sets.get(constant.text, ())
    size = "empty" if not members else next(iter(members)) if len(members) == 1 else f"{len(members)} entries"
    return f"address set {constant.text} ({'; '.join([*told, size])})"
