"""Hostile objects of every kind through everything; `make fuzz OBJECTS=1000000` runs more of them."""

from __future__ import annotations

import pytest

from tests.fuzz.pipeline import ROUND, check_round

OBJECTS = 20_000
PARTS = 10
_CLUSTERS = OBJECTS // ROUND // PARTS + 1


@pytest.mark.parametrize("part", range(PARTS))
def test_no_object_of_these_clusters_is_a_finding(part: int) -> None:
    for seed in range(part * _CLUSTERS, (part + 1) * _CLUSTERS):
        try:
            check_round(seed)
        except Exception as error:
            error.add_note(f"again: python -m tests.fuzz --objects 1 --seed {seed}")
            raise
