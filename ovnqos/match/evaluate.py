"""Evaluate a match for a packet: it takes the packet, or not, or that is not known; and why.

Source: ovn-sb(5), Logical_Flow, match. What that leaves open was tried on ovn-trace of OVN
23.03 and 25.03, which agree:

- a negation moves inwards to the comparisons, which keep their prerequisites: `!(tcp.dst == 80)` takes TCP only;
- an empty address set takes nothing with `==`, and every packet with `!=`, of the other IP version too;
- a row is in force nowhere when any part of its match cannot be parsed: a set that is not there, a port group without
  a port on the switch, a constant too wide for its field, `!tcp`, `inport != "x"`.
"""

from __future__ import annotations

import operator
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from ovnqos.match.addresses import Number, Unparsable, read_number
from ovnqos.match.packet import FIELDS, NO_PORT, NO_PORT_NAME, PORT_FIELDS, PREDICATES, SUBFIELD, predicate
from ovnqos.match.parse import find_syntax_error
from ovnqos.match.syntax import (
    And,
    Boolean,
    Comparison,
    Constant,
    ConstantKind,
    FunctionCall,
    Match,
    Not,
    Or,
    Relation,
    Symbol,
    Verbatim,
)
from ovnqos.match.verdict import YES, Truth, Verdict, described, either, every, is_equality, no, unknown, why_not

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from ovnqos.match.named_sets import NamedSets
    from ovnqos.match.packet import Packet

_ORDERS: Final = {
    Relation.LESS: operator.lt,
    Relation.LESS_OR_EQUAL: operator.le,
    Relation.GREATER: operator.gt,
    Relation.GREATER_OR_EQUAL: operator.ge,
}


def evaluate(match: Match, packet: Packet, names: NamedSets) -> Verdict:
    """Evaluate a match for a packet, with these sets and groups."""
    evaluation = _Evaluation(packet, names)
    try:
        verdict = evaluation.of(match.tree, negated=False)
    except Unparsable as why:
        return no(f"in force nowhere: OVN cannot parse its match ({why})")
    if verdict.truth is Truth.YES and evaluation.doubts:
        return unknown(evaluation.doubts[0])
    return verdict


class _Evaluation:
    """One match and one packet. Every part is evaluated, so that one that cannot be parsed is always found.

    Attributes:
        doubts: why it is not known whether OVN can parse the match.
    """

    def __init__(self, packet: Packet, names: NamedSets) -> None:
        self._packet = packet
        self._names = names
        self.doubts: list[str] = []

    def of(self, match: Match, *, negated: bool) -> Verdict:
        """The verdict on a match, or on its negation. Raises Unparsable."""
        match match:
            case Boolean():
                return YES if match.value != negated else no("its match takes no packet")
            case Not():
                return self.of(match.operand, negated=not negated)
            case And() | Or():
                verdicts = [self.of(operand, negated=negated) for operand in match.operands]
                return every(verdicts) if isinstance(match, And) != negated else either(verdicts)
            case Symbol():
                return self._symbol(match.name, negated=negated)
            case Comparison():
                return self._comparison(match, negated=negated)
            case FunctionCall():
                return self._call(match, negated=negated)
            case Verbatim() if found := find_syntax_error(match.expression):
                raise Unparsable(found)
        return unknown("ovnqos cannot read its match")

    def _call(self, call: FunctionCall, *, negated: bool) -> Verdict:
        if call.name != "is_chassis_resident" or call.argument != self._packet.inport:
            return unknown(f"only if {Not(call) if negated else call}")
        return no("the packet enters on the chassis of this port") if negated else YES

    def _symbol(self, name: str, *, negated: bool) -> Verdict:
        if name in PREDICATES:
            if negated:
                raise Unparsable(f"{name} can only be tested positively")
            return self._predicate(name)
        part = SUBFIELD.fullmatch(name)
        known = FIELDS.get(name)
        is_bit = known is None or known.width == 1 if part is None else part["high"] in {None, part["low"]}
        if is_bit:
            return self._comparison(Comparison(name, Relation.EQUAL, (Constant("1"),)), negated=negated)
        if not negated:
            raise Unparsable(f"{name} is compared with nothing")
        return self._comparison(Comparison(name, Relation.EQUAL, (Constant("0"),)), negated=False)

    def _predicate(self, name: str) -> Verdict:
        return predicate(name, self._packet) if name else YES

    def _comparison(self, comparison: Comparison, *, negated: bool) -> Verdict:
        subfield = SUBFIELD.fullmatch(comparison.field)
        base = subfield["name"] if subfield else comparison.field
        if base in PORT_FIELDS:
            return self._port(comparison, negated=negated)
        if base in PREDICATES:
            return self._compared_predicate(base, comparison, negated=negated)
        known = FIELDS.get(base)
        if known is None:
            self._check_names(comparison.constants)
            return unknown(f"only if {Not(comparison) if negated else comparison}")
        low, high = 0, known.width - 1
        if subfield:
            low = int(subfield["low"])
            high = int(subfield["high"] or low)
            if not low <= high < known.width or (known.nominal and high - low < known.width - 1):
                raise Unparsable(f"{comparison.field} is no part of {base} that can be selected")
        if known.nominal and not is_equality(comparison, negated=negated):
            raise Unparsable(f"{base} can only be tested for equality")
        numbers = self._numbers(base, known.width, comparison.constants)
        if not_known := self._unknown_set(comparison):
            doubt = unknown(f"the members of address set {not_known} are not known")
            return (
                every([self._predicate(known.requires), doubt]) if is_equality(comparison, negated=negated) else doubt
            )
        held = known.value(self._packet)
        part = None if held is None else held >> low & (1 << high - low + 1) - 1
        return self._compared(comparison, known.requires, part, high - low + 1, numbers, negated=negated)

    def _compared(  # noqa: PLR0913 - a field's part, and what it is held against
        self,
        comparison: Comparison,
        requires: str,
        held: int | None,
        width: int,
        numbers: Sequence[Number],
        *,
        negated: bool,
    ) -> Verdict:
        clear = comparison.relation not in _ORDERS or self._is_clear_order(comparison, numbers)
        if not numbers and not is_equality(comparison, negated=negated):
            return YES
        required = self._predicate(requires)
        if held is None or not clear:
            condition = unknown(f"only if {Not(comparison) if negated else comparison}")
            return required if required.truth is Truth.NO else condition
        if _holds(held, width, comparison.relation, numbers) is not negated:
            return required
        return every(
            [required, no(why_not(comparison, self._shown(comparison.field, held), self._names, negated=negated))]
        )

    def _unknown_set(self, comparison: Comparison) -> str:
        """The first set of a comparison whose members are not known; empty for none."""
        sets = (one.text for one in comparison.constants if one.kind is ConstantKind.ADDRESS_SET)
        return next((name for name in sets if name in self._names.unknown_sets), "")

    def _numbers(self, name: str, width: int, constants: Iterable[Constant]) -> list[Number]:
        """The constants, those of sets included. Raises Unparsable for one that the field cannot be."""
        numbers: list[Number] = []
        for constant in constants:
            if constant.kind is ConstantKind.NUMBER:
                numbers.append(_read(constant.text))
            elif constant.kind is ConstantKind.ADDRESS_SET:
                numbers.extend(_readable(self._members(constant)))
            else:
                raise Unparsable(f"{name} is a number, not {constant}")
        for number in numbers:
            if number.width > width:
                raise Unparsable(f"a constant of {number.width} bits does not fit {name}, which has {width}")
        return numbers

    def _is_clear_order(self, comparison: Comparison, numbers: Sequence[Number]) -> bool:
        """Whether it is known what `<` and its like mean here. Raises Unparsable where OVN refuses them."""
        if not numbers or any("/" in constant.text for constant in comparison.constants):
            raise Unparsable(f"{comparison.relation} takes no mask and no empty set")
        if all(number.mask is None for number in numbers):
            return True
        # it depends on the order in which OVN happens to have the set's members
        self.doubts.append(f"in force only if OVN takes {comparison.relation} with the CIDRs of a set")
        return False

    def _compared_predicate(self, name: str, comparison: Comparison, *, negated: bool) -> Verdict:
        if comparison.relation in _ORDERS:
            raise Unparsable(f"{name} can only be tested for equality")
        equality = is_equality(comparison, negated=negated)
        numbers = self._numbers(name, 1, comparison.constants)
        if any(bool(number.value) is not equality for number in numbers):
            raise Unparsable(f"{name} can only be tested positively")
        if not_known := self._unknown_set(comparison):
            return unknown(f"the members of address set {not_known} are not known")
        if numbers:
            return self._predicate(name)
        return no(f"{name} is compared with an empty address set") if equality else YES

    def _port(self, comparison: Comparison, *, negated: bool) -> Verdict:
        name = comparison.field
        if not is_equality(comparison, negated=negated) or name not in PORT_FIELDS:
            raise Unparsable(f"{name} can only be tested for equality")
        ports: set[str] = set()
        for constant in comparison.constants:
            if constant.kind is ConstantKind.STRING:
                ports.add(NO_PORT if constant.text == NO_PORT_NAME else constant.text)
            elif constant.kind is ConstantKind.PORT_GROUP:
                ports.update(self._ports(constant))
            else:
                raise Unparsable(f"{name} is a port, not {constant}")
        port = self._packet.inport if name == "inport" else self._packet.outport
        if port is None:
            if ports - {NO_PORT} <= self._packet.not_outports:
                return no(f"the packet does not leave by {described(comparison.constants, self._names)}")
            return unknown("the port by which the packet leaves is not known")
        if port in ports:
            return YES
        if port == NO_PORT:
            return no(f"{name} is not decided yet where rows of this direction are looked up")
        return no(why_not(comparison, f"{name} {port}", self._names, negated=negated))

    def _check_names(self, constants: Iterable[Constant]) -> None:
        for constant in constants:
            if constant.kind is ConstantKind.ADDRESS_SET:
                self._members(constant)
            elif constant.kind is ConstantKind.PORT_GROUP:
                self._ports(constant)

    def _members(self, constant: Constant) -> Collection[str]:
        members = self._names.address_sets.get(constant.text)
        if members is None and constant.text in self._names.unknown_sets:
            return ()
        if members is None:
            raise Unparsable(f"there is no address set {constant.text}")
        return members

    def _ports(self, constant: Constant) -> Collection[str]:
        """The ports of a group, which OVN knows on a switch only where one of its ports is."""
        members = self._names.port_groups.get(constant.text)
        if members is None:
            raise Unparsable(f"there is no port group {constant.text}")
        if not members:
            raise Unparsable(f"port group {constant.text} is empty")
        packet = self._packet
        if not any(port in members for port in (packet.inport, packet.outport, *packet.switch_ports)):
            self.doubts.append(f"in force only if port group {constant.text} has a port on this switch")
        return members

    def _shown(self, name: str, value: int) -> str:
        addresses = {"src": self._packet.source, "dst": self._packet.destination}
        scope, _, part = name.partition(".")
        return f"{name} {addresses.get(part, value) if scope in {'ip4', 'ip6'} else value}"


def _holds(held: int, width: int, relation: Relation, numbers: Sequence[Number]) -> bool:
    """Hold a value of so many bits against constants, which are cut to them; an order, against all members of a set."""
    if relation in _ORDERS:
        return all(_ORDERS[relation](held, number.value & (1 << width) - 1) for number in numbers)
    return any(number.equals(held, width) for number in numbers) is (relation is Relation.EQUAL)


def _readable(members: Iterable[str]) -> Iterable[Number]:
    """The members of an address set that OVN can read; it passes over others."""
    for text in members:
        try:
            yield _read(text)
        except Unparsable:
            continue


_read: Final = lru_cache(maxsize=1 << 16)(read_number)
