"""Quantities against two other readers of them; annotations of any value: no exception, no wrong limit, no silence."""

from __future__ import annotations

import contextlib
import math
from decimal import MAX_EMAX, MIN_EMIN, ROUND_CEILING, Context, Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kubernetes.utils.quantity import parse_quantity as parse_quantity_of_kubernetes_client

from ovnqos.diagnostics import Code, ObjectRef
from ovnqos.model.policy import BANDWIDTH_MAXIMUM, Bandwidth
from ovnqos.model.workloads import PodQos, is_pod_qos_key, merge
from ovnqos.sources.annotation_values import parse_burst, parse_dscp, parse_quantity, parse_rate
from ovnqos.sources.pod_annotations import POD_QOS_KEYS, read_pod_qos
from ovnqos.sources.values import child_path

if TYPE_CHECKING:
    from collections.abc import Callable

POD = ObjectRef(kind="Pod", namespace="a", name="b")
EXACT = Context(prec=600, Emax=MAX_EMAX, Emin=MIN_EMIN)
POWERS = {"": 0, "n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
BINARY_POWERS = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
HIGHEST = Decimal(9_223_372_036_854_775_807)
DIGITS = st.text("0123456789", max_size=24)


def leading(text: str, allowed: str) -> tuple[str, str]:
    """The longest beginning of a text that is made of the allowed characters, and the rest."""
    rest = text.lstrip(allowed)
    return text[: len(text) - len(rest)], rest


def oracle(text: str) -> Decimal | None:
    """A quantity read by hand, character class by character class, in decimal arithmetic; None when it is none."""
    negative = text[:1] == "-"
    whole, rest = leading(text[1:] if text[:1] in {"+", "-"} else text, "0123456789")
    part = ""
    if rest[:1] == ".":
        part, rest = leading(rest[1:], "0123456789")
    if not whole + part:
        return None
    value = Decimal(f"{whole or 0}.{part or 0}")
    if rest in POWERS:
        value = value.scaleb(POWERS[rest], EXACT)
    elif rest in BINARY_POWERS:
        value = EXACT.multiply(value, Decimal(2 ** BINARY_POWERS[rest]))
    else:
        sign, digits = leading(rest[1:], "+-")
        if rest[:1] not in {"e", "E"} or sign not in {"", "+", "-"} or not digits or leading(digits, "0123456789")[1]:
            return None
        value = value.scaleb(int(sign + digits), EXACT)
    value = min(value.quantize(Decimal("1e-9"), ROUND_CEILING, EXACT), HIGHEST) if value < HIGHEST else HIGHEST
    return -value if negative else value


@st.composite
def quantities(draw: st.DrawFn) -> str:
    sign = draw(st.sampled_from(["", "", "", "+", "-"]))
    number = draw(DIGITS.filter(bool)) + draw(st.just("") | DIGITS.map(lambda digits: f".{digits}"))
    exponent = st.builds(
        "{}{}{}".format,
        st.sampled_from("eE"),
        st.sampled_from(["", "+", "-"]),
        st.integers(0, 25) | st.integers(0, 10**12),
    )
    return sign + number + draw(st.sampled_from([*POWERS, *BINARY_POWERS]) | exponent)


NEARLY_QUANTITIES = st.text("+-.0123456789eEinumkKMGTPQ b/s\n", max_size=12)


@given(quantities())
@settings(max_examples=300)
def test_a_quantity_is_what_decimal_arithmetic_says(text: str) -> None:
    expected = oracle(text)
    assert expected is not None
    assert parse_quantity(text) == Fraction(expected)


@given(quantities() | NEARLY_QUANTITIES)
@settings(max_examples=300)
def test_exactly_the_texts_of_the_grammar_are_quantities(text: str) -> None:
    expected = oracle(text)
    if expected is None:
        with pytest.raises(ValueError, match="is not a Kubernetes quantity"):
            parse_quantity(text)
    else:
        assert parse_quantity(text) == Fraction(expected)


@given(st.integers(0, 10**9 - 1), st.integers(0, 6), st.sampled_from([*POWERS, *BINARY_POWERS]))
def test_a_quantity_is_what_the_kubernetes_client_says(digits: int, places: int, suffix: str) -> None:
    text = f"{Decimal(digits).scaleb(-places):f}{suffix}"
    expected = Fraction(parse_quantity_of_kubernetes_client(text))  # type: ignore[no-untyped-call]  # it has no types
    if expected < int(HIGHEST):  # the client does not cap, nor does it round to 10^-9
        assert parse_quantity(text) == Fraction(math.ceil(expected * 10**9), 10**9)


@given(quantities() | st.integers(900, 10**16).map(str))
@settings(max_examples=200)
def test_a_rate_is_the_least_kbps_that_holds_the_bits_or_it_is_out_of_bounds(text: str) -> None:
    bits = oracle(text)
    assert bits is not None
    bits = bits.to_integral_value(ROUND_CEILING)
    if 1000 <= bits <= BANDWIDTH_MAXIMUM * 1000:
        rate = parse_rate(text)
        assert (rate - 1) * 1000 < bits <= rate * 1000
        assert parse_burst(text) == rate
    else:
        with pytest.raises(ValueError, match="below the minimum" if bits < 1000 else "above the maximum"):
            parse_rate(text)


@given(st.text(max_size=20) | NEARLY_QUANTITIES)
@settings(max_examples=200)
def test_a_spelling_that_is_suggested_is_one_that_is_taken(text: str) -> None:
    for parse in (parse_rate, parse_burst):
        try:
            parse(text)
        except ValueError as error:
            _, suggested, meant = str(error).partition("; did you mean ")
            if suggested:
                parse(meant.removesuffix("?"))


VALUES = (
    st.sampled_from(["10M", "20M", "1P", "10Q", "0", "", "EF", "46", "AF99", "4Mi"])
    | st.text(max_size=20)
    | quantities()
)
KEYS = (
    st.sampled_from(sorted(POD_QOS_KEYS))
    | st.text(max_size=10).map(lambda name: f"qos.projectcalico.org/{name}")
    | st.sampled_from(["kubernetes.io/config.source", "k8s.ovn.org/pod-networks"])
)
ANNOTATIONS = st.dictionaries(KEYS, VALUES, max_size=10)


def limits(bandwidth: Bandwidth | None) -> tuple[int, int | None] | None:
    return None if bandwidth is None else (bandwidth.rate_kbps, bandwidth.burst_kbit)


@given(ANNOTATIONS)
@settings(max_examples=300)
def test_annotations_set_what_their_values_say_each_on_its_own(annotations: dict[str, str]) -> None:
    def value(key: str) -> int | None:
        with contextlib.suppress(ValueError):
            return (
                (parse_burst if key.endswith("Burst") else parse_rate)(annotations[key]) if key in annotations else None
            )
        return None

    qos = read_pod_qos(annotations, POD)
    for direction, found in (("ingress", qos.ingress), ("egress", qos.egress)):
        rates = [value(f"qos.projectcalico.org/{direction}Bandwidth"), value(f"kubernetes.io/{direction}-bandwidth")]
        rate = next((rate for rate in rates if rate is not None), None)
        expected = None if rate is None else (rate, value(f"qos.projectcalico.org/{direction}Burst"))
        assert limits(found) == expected
    mark = None
    with contextlib.suppress(ValueError, KeyError):
        mark = parse_dscp(annotations["qos.projectcalico.org/dscp"])
    assert qos.dscp == mark


def is_taken(parse: Callable[[str], int], text: str) -> bool:
    try:
        parse(text)
    except ValueError:
        return False
    return True


@given(ANNOTATIONS)
@settings(max_examples=200)
def test_exactly_the_annotations_without_effect_are_told_each_once(annotations: dict[str, str]) -> None:
    errors, unsupported = [], []
    for key, text in annotations.items():
        if not is_pod_qos_key(key):
            continue
        if key in {"qos.projectcalico.org/ingressBurst", "qos.projectcalico.org/egressBurst"}:
            bandwidth = key.removesuffix("Burst") + "Bandwidth"
            plain = f"kubernetes.io/{key.removeprefix('qos.projectcalico.org/').removesuffix('Burst')}-bandwidth"
            if not is_taken(parse_burst, text) or not {bandwidth, plain} & annotations.keys():
                errors.append(key)
        elif key.lower().endswith("bandwidth") and key in POD_QOS_KEYS:
            if not is_taken(parse_rate, text):
                errors.append(key)
        elif key == "qos.projectcalico.org/dscp":
            if not is_taken(parse_dscp, text):
                errors.append(key)
        else:
            unsupported.append(key)
    qos = read_pod_qos(annotations, POD)
    for code, keys in ((Code.INVALID_FIELD, errors), (Code.UNSUPPORTED_ANNOTATION, unsupported)):
        assert sorted(one.path for one in qos.diagnostics if one.code is code) == sorted(
            child_path("metadata.annotations", key) for key in keys
        )
    for line in map(str, qos.diagnostics):
        assert line.isprintable()


BANDWIDTHS = st.none() | st.builds(Bandwidth, rate_kbps=st.integers(1, 9), burst_kbit=st.none() | st.integers(1, 9))
POD_QOS = st.builds(PodQos, ingress=BANDWIDTHS, egress=BANDWIDTHS, dscp=st.none() | st.integers(0, 63))


@given(POD_QOS, POD_QOS)
def test_each_part_of_a_merge_is_the_pods_or_else_the_namespaces(pod: PodQos, namespace: PodQos) -> None:
    merged = merge(pod, namespace)
    for own, default, held in (
        (pod.ingress, namespace.ingress, merged.ingress),
        (pod.egress, namespace.egress, merged.egress),
        (pod.dscp, namespace.dscp, merged.dscp),
    ):
        assert held == (default if own is None else own)
    assert merge(pod, pod) == pod
