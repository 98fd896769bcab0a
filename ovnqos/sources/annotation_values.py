"""Values of QoS annotations: rates and bursts, which are Kubernetes quantities (`10M`, `1.5Gi`, `2e6`), and DSCPs.

Source of quantities: the documentation of `Quantity` in Kubernetes' package `k8s.io/apimachinery/pkg/api/resource`: the
grammar, the suffixes, the cap at 2^63 - 1, and the rounding up of what is finer than a thousand-millionth.

Source of DSCPs: Calico's list of names (its type `numorstring.DSCP`), in any case: DF, EF, AF11 to AF43, CS0 to CS6.
The code points are those of RFC 2474 (class selectors), RFC 2597 (assured) and RFC 3246 (expedited forwarding).
"""

from __future__ import annotations

import functools
import math
import re
from fractions import Fraction
from types import MappingProxyType
from typing import TYPE_CHECKING

from ovnqos.model.policy import BANDWIDTH_MAXIMUM, DSCP_MAXIMUM
from ovnqos.sources.values import InvalidValueError, show, suggest

if TYPE_CHECKING:
    from collections.abc import Mapping

QUANTITY_MAXIMUM = 2**63 - 1
"""The highest magnitude of a quantity; Kubernetes reads a greater one as this."""
BITS_MINIMUM = 1000
"""The least rate in bit/s, and the least burst in bits: 1k (Calico and Kubernetes' bandwidth plugin)."""

_NANO = 10**9
_KILO = 1000
_SUFFIXES = {
    "": Fraction(1),
    **{letter: Fraction(1, 1000**power) for power, letter in enumerate("mun", start=1)},
    **{letter: Fraction(1000**power) for power, letter in enumerate("kMGTPE", start=1)},
    **{f"{letter}i": Fraction(1024**power) for power, letter in enumerate("KMGTPE", start=1)},
}
_QUANTITY = re.compile(
    r"(?P<sign>[+-]?)(?P<whole>[0-9]*)(?:\.(?P<part>[0-9]*))?"
    r"(?:[eE](?P<exponent>[+-]?[0-9]+)|(?P<suffix>[KMGTPE]i|[numkMGTPE]?))"
)
_LENGTH_MAXIMUM = 128
_EXPONENT_MAXIMUM = 1000  # no number of _LENGTH_MAXIMUM characters is between the least and the highest quantity beyond
_CACHE_SIZE = 4096
_EXAMPLE = "write a number with one of the suffixes k, M, G, T, P, E, Ki, Mi, Gi, Ti, Pi, Ei or none, e.g. 10M or 1.5G"
_RATE_FORM = f"use bit/s as a Kubernetes quantity from 1k to {BANDWIDTH_MAXIMUM}k, e.g. 10M"
_BURST_FORM = f"use bits as a Kubernetes quantity from 1k to {BANDWIDTH_MAXIMUM}k, e.g. 20M"
_MISWRITTEN = re.compile(
    r"(?P<number>[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))(?P<suffix>[A-Za-z]i?)?(?P<unit>b|bits?|bps|bit/s|b/s)?",
    re.IGNORECASE,
)
_SPELLINGS = {letter: letter.upper() for letter in "mgtpe"}
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
_DSCP_NUMBER = re.compile(r"[0-9]+")
_DSCP_FORM = f"use a whole number from 0 to {DSCP_MAXIMUM}, or DF, EF, AF11 to AF43, or CS0 to CS6"


@functools.lru_cache(_CACHE_SIZE)  # pods repeat their limits
def parse_quantity(text: str) -> Fraction:
    """Parse a quantity; raises InvalidValueError: the text is not a quantity.

    Args:
        text: an optional sign, digits with at most one point, and one of: a suffix (n, u, m, k, M, G, T, P, E; Ki, Mi,
            Gi, Ti, Pi, Ei), or an exponent (e6, E6, e-3), or neither. No spaces; at most 128 characters.

    Returns:
        The value. As in Kubernetes, a magnitude above 2^63 - 1 is that, and a fraction of 10^-9 is rounded away from
        zero to a whole one; everything else is exact.
    """
    found = _QUANTITY.fullmatch(text) if len(text) <= _LENGTH_MAXIMUM else None
    digits = found["whole"] + (found["part"] or "") if found is not None else ""
    if found is None or not digits:
        raise InvalidValueError(f"{show(text)} is not a Kubernetes quantity", _EXAMPLE)
    magnitude = Fraction(int(digits), 10 ** len(found["part"] or ""))
    if found["exponent"] is not None:
        exponent = max(-_EXPONENT_MAXIMUM, min(int(found["exponent"]), _EXPONENT_MAXIMUM))
        magnitude *= Fraction(10) ** exponent
    else:
        magnitude *= _SUFFIXES[found["suffix"]]
    magnitude = min(Fraction(math.ceil(magnitude * _NANO), _NANO), Fraction(QUANTITY_MAXIMUM))
    return -magnitude if found["sign"] == "-" else magnitude


def parse_rate(text: str) -> int:
    """Parse a bandwidth annotation's value; raises InvalidValueError: the text is not a quantity, or is out of bounds.

    Args:
        text: bit/s as a quantity, from 1k on.

    Returns:
        The rate in kbps (1000 bit/s), a fraction rounded up: 1 to 4294967295, what OVN takes (ovn-nb(5), QoS).
    """
    return _thousands(text, noun="a rate in bit/s", limit="kbps (4.29 Tbit/s)", form=_RATE_FORM)


def parse_burst(text: str) -> int:
    """Parse a burst annotation's value; raises InvalidValueError: the text is not a quantity, or is out of bounds.

    Args:
        text: bits as a quantity, from 1k on.

    Returns:
        The burst in kbit (1000 bit), a fraction rounded up: 1 to 4294967295, what OVN takes (ovn-nb(5), QoS).
    """
    return _thousands(text, noun="a burst in bits", limit="kbit (4.29 Tbit)", form=_BURST_FORM)


def _thousands(text: str, *, noun: str, limit: str, form: str) -> int:
    try:
        bits = math.ceil(parse_quantity(text))
    except InvalidValueError:
        reason = f"is not {noun}"
    else:
        thousands = -(-bits // _KILO)
        if bits >= BITS_MINIMUM and thousands <= BANDWIDTH_MAXIMUM:
            return thousands
        too_small = f"is below the minimum of 1k{' (m means thousandths)' if text.endswith('m') else ''}"
        too_large = f"is above the maximum of {BANDWIDTH_MAXIMUM} {limit}"
        reason = too_small if bits < BITS_MINIMUM else too_large
    meant = _meant(text)
    within = meant is not None and BITS_MINIMUM <= parse_quantity(meant) <= BANDWIDTH_MAXIMUM * _KILO
    likely = f"did you mean {meant}?" if within and meant != text else ""
    raise InvalidValueError(f"{show(text)} {reason}", form, likely)


def _meant(text: str) -> str | None:
    """The quantity that a text says in a form of its own, such as `10 M`, `10m`, `10Mbit/s` or `10K`; else None."""
    found = _MISWRITTEN.fullmatch("".join(text.split())) if len(text) <= _LENGTH_MAXIMUM else None
    if found is None or found["unit"] in {"B", "Bps", "B/s"}:  # bytes, not bits
        return None
    letter, binary = (found["suffix"] or "")[:1].lower(), (found["suffix"] or "")[1:]
    suffix = f"{letter.upper()}i" if binary else _SPELLINGS.get(letter, letter)
    return found["number"] + suffix if suffix in _SUFFIXES else None


def parse_dscp(text: str) -> int:
    """Parse a DSCP; raises InvalidValueError: the text is not a DSCP.

    Args:
        text: a whole number from 0 to 63, or one of `DSCP_NAMES` in any case; spaces around it do not count.

    Returns:
        The DSCP.
    """
    word = text.strip()
    if _DSCP_NUMBER.fullmatch(word):
        digits = word.lstrip("0") or "0"
        if len(digits) <= 2 and int(digits) <= DSCP_MAXIMUM:
            return int(digits)
    elif (named := DSCP_NAMES.get(word.upper())) is not None:
        return named
    raise InvalidValueError(f"{show(text)} is not a DSCP", _DSCP_FORM, _hint(word.upper()))


def _hint(word: str) -> str:
    if word in _UNKNOWN_TO_CALICO:
        return f"write {_UNKNOWN_TO_CALICO[word]} for {word}"
    if re.fullmatch(r"AF[0-9]{2}", word):
        return "AF takes a class from 1 to 4 and a drop precedence from 1 to 3"
    return suggest(word, DSCP_NAMES)
