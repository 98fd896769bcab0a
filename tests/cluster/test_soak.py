"""The soak itself, in short."""

from __future__ import annotations

from tests.cluster.conftest import describe_api
from tests.soak.__main__ import Soak
from tests.soak.faults import all_kinds
from tests.soak.world import QUICK, World

FAULTS = 20
MINUTES = 3
SEED = 8


def test_a_short_soak_leaves_everything_in_order() -> None:
    describe_api()  # what is missing is told as in all of this tier
    with World(flags=QUICK) as world:
        summary = Soak(world, SEED).run(faults=FAULTS, minutes=MINUTES)
    assert summary.batches
    assert len(summary.faults) > FAULTS // 4


def test_each_kind_of_fault_has_a_name_of_its_own() -> None:
    kinds = all_kinds()
    assert len({one.__name__ for one in kinds}) == len(kinds)
    assert {one.concerns for one in kinds} == {"daemon", "api", "northbound"}
