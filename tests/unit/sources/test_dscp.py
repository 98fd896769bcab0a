"""DSCPs by number and by name."""

from __future__ import annotations

import pytest

from ovnqos.sources.annotation_values import DSCP_NAMES, parse_dscp
from ovnqos.sources.values import InvalidValueError

FORM = "use a whole number from 0 to 63, or DF, EF, AF11 to AF43, or CS0 to CS6"


@pytest.mark.parametrize("number", range(64))
def test_every_number_of_six_bits_is_a_dscp(number: int) -> None:
    assert parse_dscp(str(number)) == number


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("DF", 0),
        ("EF", 46),
        *zip(["AF11", "AF12", "AF13"], [10, 12, 14], strict=True),
        *zip(["AF21", "AF22", "AF23"], [18, 20, 22], strict=True),
        *zip(["AF31", "AF32", "AF33"], [26, 28, 30], strict=True),
        *zip(["AF41", "AF42", "AF43"], [34, 36, 38], strict=True),
        *zip([f"CS{group}" for group in range(7)], [0, 8, 16, 24, 32, 40, 48], strict=True),
    ],
)
def test_a_name_is_the_number_of_its_rfc_in_any_case(name: str, number: int) -> None:
    assert parse_dscp(name) == parse_dscp(name.lower()) == parse_dscp(name.capitalize()) == number
    assert DSCP_NAMES[name] == number


def test_there_are_no_further_names() -> None:
    assert len(DSCP_NAMES) == 2 + 12 + 7


@pytest.mark.parametrize(("text", "number"), [(" EF ", 46), (" 46", 46), ("046", 46), ("000", 0)])
def test_spaces_around_and_leading_zeros_do_not_count(text: str, number: int) -> None:
    assert parse_dscp(text) == number


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("", ""),
        ("64", ""),
        ("-1", ""),
        ("+1", ""),
        ("4 6", ""),
        ("46.0", ""),
        ("0x2e", ""),
        ("\u0663", ""),  # a digit, but not an ASCII one
        ("high", ""),
        ("AF99", "drop precedence from 1 to 3"),
        ("af14", "drop precedence from 1 to 3"),
        ("AF1", "did you mean AF11?"),
        ("EFF", "did you mean EF?"),
        ("CS7", "write 56 for CS7"),
        ("va", "write 44 for VA"),
    ],
)
def test_what_is_no_dscp_is_refused_with_its_value_the_accepted_form_and_a_hint(text: str, hint: str) -> None:
    shown = text if text.isascii() else "\\u0663"
    with pytest.raises(ValueError, match="is not a DSCP") as raised:
        parse_dscp(text)
    assert isinstance(raised.value, InvalidValueError)
    assert raised.value.text.startswith(f'"{shown}" ')
    assert raised.value.hint.startswith(FORM)
    assert raised.value.hint.endswith(hint)
    assert hint or raised.value.hint == FORM


def test_a_number_of_any_length_is_refused_in_a_short_line() -> None:
    with pytest.raises(ValueError, match="is not a DSCP") as raised:
        parse_dscp("9" * 100_000)
    assert len(str(raised.value)) < 250
