"""Priorities of rows: which number a rule gets, and that no two of one band meet."""

from __future__ import annotations

from itertools import product

import pytest

from ovnqos.compile.rows import (
    NETWORK_QOS_BASE,
    POD_QOS_PRIORITY,
    PRIORITY_MAXIMUM,
    joined_priority,
    network_qos_priority,
)

RULES = list(product(range(101), range(20)))


@pytest.mark.parametrize(
    ("priority", "rule", "expected"),
    [(0, 0, 10_000), (0, 1, 10_002), (10, 0, 10_400), (10, 19, 10_438), (11, 0, 10_440), (100, 19, 14_038)],
)
def test_a_rule_has_its_number(priority: int, rule: int, expected: int) -> None:
    assert network_qos_priority(priority, rule) == expected


def test_objects_of_unlike_priority_do_not_mix_and_a_later_rule_wins() -> None:
    numbers = [network_qos_priority(*one) for one in RULES]
    assert numbers == sorted(set(numbers))


def test_a_pods_joined_limit_has_a_number_of_its_own_directly_above_its_rule() -> None:
    rules = {network_qos_priority(*one) for one in RULES}
    joined = {joined_priority(one) for one in rules}
    assert joined == {one + 1 for one in rules}
    assert not rules & joined


def test_the_bands_are_inside_what_ovn_takes() -> None:
    assert 0 < POD_QOS_PRIORITY < NETWORK_QOS_BASE
    assert joined_priority(network_qos_priority(*RULES[-1])) <= PRIORITY_MAXIMUM
