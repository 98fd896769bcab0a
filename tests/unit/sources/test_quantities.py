"""Kubernetes quantities: the grammar, exact values, and the rates and bursts that OVN gets of them."""

from __future__ import annotations

from fractions import Fraction

import pytest

from ovnqos.sources.annotation_values import QUANTITY_MAXIMUM, parse_burst, parse_quantity, parse_rate
from ovnqos.sources.values import InvalidValueError

RATE_FORM = "use bit/s as a Kubernetes quantity from 1k to 4294967295k, e.g. 10M"
BURST_FORM = "use bits as a Kubernetes quantity from 1k to 4294967295k, e.g. 20M"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("-0", 0),
        ("10", 10),
        ("007", 7),
        ("+5", 5),
        ("-5M", -5_000_000),
        ("5.", 5),
        (".5", Fraction(1, 2)),
        ("1.5M", 1_500_000),
        ("0.5k", 500),
        ("1n", Fraction(1, 10**9)),
        ("1u", Fraction(1, 10**6)),
        ("1m", Fraction(1, 1000)),
        ("1k", 10**3),
        ("1M", 10**6),
        ("1G", 10**9),
        ("1T", 10**12),
        ("1P", 10**15),
        ("1E", 10**18),
        ("1Ki", 2**10),
        ("1Mi", 2**20),
        ("1Gi", 2**30),
        ("1Ti", 2**40),
        ("1Pi", 2**50),
        ("1Ei", 2**60),
        ("1e6", 10**6),
        ("1E6", 10**6),
        ("1E+6", 10**6),
        ("2.5e-3", Fraction(25, 10_000)),
        ("0.1", Fraction(1, 10)),
        ("1e0", 1),
    ],
)
def test_a_quantity_is_read_exactly(text: str, value: Fraction | int) -> None:
    assert parse_quantity(text) == value


@pytest.mark.parametrize("text", ["8Ei", "1e400", "1e999999999999999999999999", "9" * 100, "1e00000019"])
def test_a_quantity_above_the_highest_is_the_highest(text: str) -> None:
    assert parse_quantity(text) == QUANTITY_MAXIMUM == 2**63 - 1
    assert parse_quantity(f"-{text}") == -QUANTITY_MAXIMUM


@pytest.mark.parametrize("text", ["0.1n", "1e-10", "1e-400", "1e-999999999999999999999999", f"0.{'0' * 90}1"])
def test_a_quantity_finer_than_the_finest_is_rounded_away_from_zero(text: str) -> None:
    assert parse_quantity(text) == Fraction(1, 10**9)
    assert parse_quantity(f"-{text}") == Fraction(-1, 10**9)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        ".",
        "+",
        "-",
        "+-5",
        "M",
        "10Q",
        "10K",
        "10ki",
        "10mi",
        "10i",
        "1e",
        "1e+",
        "1e1.5",
        "1Me6",
        "1e6M",
        "10 M",
        " 10M",
        "10M ",
        "10M\n",
        "1.1.1",
        "1,5M",
        "1_000",
        "0x10",
        "NaN",
        "Infinity",
        "\u0663M",  # a digit, but not an ASCII one
        "9" * 129,
    ],
)
def test_what_is_no_quantity_is_refused_with_the_accepted_form(text: str) -> None:
    with pytest.raises(ValueError, match="is not a Kubernetes quantity; write a number with one of the suffixes k, M"):
        parse_quantity(text)


@pytest.mark.parametrize(
    ("text", "kbps"),
    [
        ("10M", 10_000),
        ("1.5M", 1_500),
        ("1k", 1),
        ("1000", 1),
        ("1000000m", 1),
        ("999.001", 1),  # bits are whole: rounded up to 1000
        ("1001", 2),
        ("1000.000000001", 2),
        ("1Ki", 2),
        ("10Mi", 10_486),
        ("1e6", 1_000),
        ("+10M", 10_000),
        ("4294967295k", 4_294_967_295),
        ("4294967294001", 4_294_967_295),
    ],
)
def test_a_rate_is_in_kbps_and_a_burst_in_kbit_rounded_up(text: str, kbps: int) -> None:
    assert parse_rate(text) == kbps
    assert parse_burst(text) == kbps


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("10Q", "is not a rate in bit/s"),
        ("", "is not a rate in bit/s"),
        ("unlimited", "is not a rate in bit/s"),
        ("-5M", "is below the minimum of 1k"),
        ("-1e400", "is below the minimum of 1k"),
        ("0", "is below the minimum of 1k"),
        ("0.5k", "is below the minimum of 1k"),
        ("999", "is below the minimum of 1k"),
        ("1e-400", "is below the minimum of 1k"),
        ("1P", "is above the maximum of 4294967295 kbps (4.29 Tbit/s)"),
        ("1Ei", "is above the maximum of 4294967295 kbps (4.29 Tbit/s)"),
        ("1e400", "is above the maximum of 4294967295 kbps (4.29 Tbit/s)"),
        ("4294967295001", "is above the maximum of 4294967295 kbps (4.29 Tbit/s)"),
    ],
)
def test_a_rate_that_cannot_hold_is_refused_with_its_value_and_the_accepted_form(text: str, fault: str) -> None:
    with pytest.raises(ValueError, match="use bit/s as a Kubernetes quantity") as raised:
        parse_rate(text)
    assert isinstance(raised.value, InvalidValueError)
    assert raised.value.text == f'"{text}" {fault}'
    assert raised.value.hint == RATE_FORM


def test_a_burst_has_words_of_its_own() -> None:
    with pytest.raises(ValueError, match="burst") as raised:
        parse_burst("10Q")
    assert str(raised.value).endswith(BURST_FORM)
    with pytest.raises(ValueError, match="above the maximum of 4294967295 kbit") as raised:
        parse_burst("5T")
    assert str(raised.value).endswith(BURST_FORM)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        (" 10M", "10M"),
        ("10 M", "10M"),
        ("10M\n", "10M"),
        ("10K", "10k"),
        ("10g", "10G"),
        ("10gi", "10Gi"),
        ("10m", "10M"),
        ("10Mb", "10M"),
        ("10Mbps", "10M"),
        ("10 Mbit/s", "10M"),
        ("10mbit", "10M"),
        ("5000bps", "5000"),
    ],
)
def test_a_rate_written_in_another_way_draws_the_right_spelling(text: str, meant: str) -> None:
    with pytest.raises(ValueError, match="did you mean") as raised:
        parse_rate(text)
    assert str(raised.value).endswith(f"{RATE_FORM}; did you mean {meant}?")


@pytest.mark.parametrize("text", ["10MB", "10MBps", "10Q", "-5m", "1p", "5m", "10x", "0 k"])
def test_no_spelling_is_suggested_that_means_another_thing_or_is_refused_as_well(text: str) -> None:
    with pytest.raises(ValueError, match="use bit/s as a Kubernetes quantity") as raised:
        parse_rate(text)
    assert ("did you mean" in str(raised.value)) is (text == "5m")
