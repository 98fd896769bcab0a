"""The soak itself, in short: some of each kind of fault, and everything is in order after each batch."""

from __future__ import annotations

import pytest

from tests.cluster.conftest import describe_api
from tests.soak.__main__ import Soak
from tests.soak.faults import all_kinds
from tests.soak.world import QUICK, World

FAULTS = 20
MINUTES = 2


@pytest.mark.parametrize("seed", [4])
def test_a_short_soak_leaves_everything_in_order(seed: int) -> None:
    describe_api()  # what is missing is told as in all of this tier
    with World(flags=QUICK) as world:
        summary = Soak(world, seed).run(faults=FAULTS, minutes=MINUTES)
    assert summary.batches
    assert len(summary.faults) > FAULTS // 4
    assert all(kind.concerns in {"daemon", "api", "northbound"} for kind in all_kinds())
