"""Constants of a match expression: how they are written, and what OVN's lexer reads in them.

Source: ovn-sb(5), Logical_Flow, match; what ovn-trace of OVN 23.03 and 25.03 takes and refuses.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from ovnqos.errors import InvalidRow
from ovnqos.match.addresses import WIDTH, Range, parse_address

_NAME: Final = re.compile(r"[A-Za-z_.][A-Za-z0-9_.]*\Z")
_FIELD: Final = re.compile(r"[A-Za-z_.][A-Za-z0-9_.]*(?:\[[0-9]+(?:\.\.[0-9]+)?\])?\Z")
_DECIMAL: Final = re.compile(r"(?:0|[1-9][0-9]{0,19})\Z")
_HEXADECIMAL: Final = re.compile(r"0[xX][0-9A-Fa-f]+\Z")
_ETHERNET: Final = re.compile(r"[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5}\Z")
_PREFIX_LENGTH: Final = re.compile(r"[0-9]{1,3}\Z")
_DECIMAL_MAXIMUM: Final = (1 << 64) - 1


class _Form(StrEnum):
    DECIMAL = "decimal"
    HEXADECIMAL = "hexadecimal"
    ETHERNET = "Ethernet"
    IPV4 = "IPv4"
    IPV6 = "IPv6"


_WIDTHS: Final = {_Form.IPV4: WIDTH[4], _Form.IPV6: WIDTH[6], _Form.ETHERNET: 48}
_ADDRESS_FORMS: Final = frozenset({_Form.IPV4, _Form.IPV6})
_INTEGERS: Final = frozenset({_Form.DECIMAL, _Form.HEXADECIMAL})


class ConstantKind(StrEnum):
    """What a constant is, which decides how it is written."""

    NUMBER = "number"  # decimal, hexadecimal, IPv4, IPv6 or Ethernet, with or without a mask: `text` as is
    STRING = "string"
    ADDRESS_SET = "$"
    PORT_GROUP = "@"


@dataclass(frozen=True, slots=True)
class Constant:
    """One constant of a comparison: a number or address (its text), a string, `$set` or `@group` (their names).

    Raises InvalidRow for text that OVN does not read as a constant of this kind.
    """

    text: str
    kind: ConstantKind = ConstantKind.NUMBER

    def __post_init__(self) -> None:
        if self.kind is ConstantKind.NUMBER:
            _check_number(self.text)
        elif self.kind is not ConstantKind.STRING:
            check_name(self.text)

    def __str__(self) -> str:
        match self.kind:
            case ConstantKind.NUMBER:
                return self.text
            case ConstantKind.STRING:
                return json.dumps(self.text)
            case _:
                return self.kind.value + self.text


def check_name(name: str) -> str:
    """Return a name that OVN can use in a match; raise InvalidRow for another (ovn-nb(5), Address_Set, name)."""
    if not _NAME.match(name):
        raise InvalidRow(
            f"{name!r} cannot name an address set or port group: use letters, digits, _ and ., and no digit first"
        )
    return name


def check_field(name: str) -> str:
    """Return the name of a field, predicate or function, as `ip4.src` or `reg0[0..3]`; raise InvalidRow for another."""
    if not _FIELD.match(name):
        raise InvalidRow(f"{name!r} is not a field of a match expression")
    return name


class Unparsable(Exception):  # noqa: N818 - an outcome of reading; it never leaves this package
    """OVN cannot parse an expression; the message is the reason."""


class Number(NamedTuple):
    """A numeric constant as OVN compares it.

    Attributes:
        value: with the bits outside the mask cleared.
        mask: the bits that count; None for all.
        width: how many bits a field must have to take it.
    """

    value: int
    mask: int | None
    width: int

    def equals(self, value: int, bits: int) -> bool:
        """Whether a field's value is this constant, both cut to so many bits; bits outside the mask do not count."""
        mask = (1 << bits) - 1
        if self.mask is not None:
            mask &= self.mask
        return value & mask == self.value & mask

    def as_range(self, bits: int) -> Range | None:
        """The values of a field of so many bits that equal it; None where they are not one range."""
        if self.mask is None:
            return self.value, self.value
        free = ~self.mask & (1 << bits) - 1
        return None if free & (free + 1) else (self.value, self.value | free)


def read_number(text: str) -> Number:
    """Read a number or an address, with or without mask. Raises Unparsable for a text that OVN refuses."""
    left, slash, right = text.partition("/")
    form, value = _read(left)
    if not slash:
        return Number(value, None, _WIDTHS.get(form) or value.bit_length())
    mask_form, mask = _read(right)
    if mask_form == _Form.DECIMAL and form in _ADDRESS_FORMS and mask <= _WIDTHS[form]:
        mask = ((1 << mask) - 1) << (_WIDTHS[form] - mask)
    elif mask_form != form:
        raise Unparsable(f"value and mask of {text} have different formats")
    return Number(value & mask, mask, mask.bit_length())


def _read(text: str) -> tuple[_Form, int]:
    if _DECIMAL.match(text) and (value := int(text)) <= _DECIMAL_MAXIMUM:
        return _Form.DECIMAL, value
    if _HEXADECIMAL.match(text):
        return _Form.HEXADECIMAL, int(text, 16)
    if _ETHERNET.match(text):
        return _Form.ETHERNET, int(text.replace(":", ""), 16)
    address = parse_address(text)
    if address is None:
        raise Unparsable(f"{text} is no number or address")
    return (_Form.IPV4 if address[0] == 4 else _Form.IPV6), address[1]


def _check_number(text: str) -> None:
    """Raise InvalidRow for a text that is no decimal or hexadecimal number or address, with or without mask.

    More lenient than `read_number`: a decimal value with a hexadecimal mask is an expression that OVN refuses.
    """
    left, slash, right = text.partition("/")
    try:
        form, _ = _read(left)
        if slash and form in _ADDRESS_FORMS and _PREFIX_LENGTH.match(right):
            fits = int(right) <= _WIDTHS[form]
        elif slash:
            mask_form, _ = _read(right)
            fits = mask_form is form or {form, mask_form} <= _INTEGERS
        else:
            fits = True
    except Unparsable:
        fits = False
    if not fits:
        raise InvalidRow(f"{text!r} is not a number, and not an IP or Ethernet address")
