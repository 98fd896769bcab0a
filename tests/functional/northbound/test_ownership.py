"""Two owners on one Northbound, and the rows of everybody else: nobody touches another's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from ovnqos import Northbound, Owner, plan_changes
from ovnqos.sandbox import NorthboundServer
from tests.functional.support_database import dump, of_others, owned, wanted, wire_for
from tests.functional.support_states import OURS, compiled_states, inhabited, states
from tests.support import cluster as build
from tests.support import random_clusters as make

if TYPE_CHECKING:
    from random import Random

    from ovnqos import DesiredState

SECOND = Owner("site-2.controller_b")


@settings(max_examples=15)
@given(st.data(), states() | compiled_states)
def test_rows_and_sets_of_others_survive_all_we_do(data: st.DataObject, desired: DesiredState) -> None:
    with inhabited(data, desired) as server, Northbound.connect(server.remote) as northbound:
        before = dump(server)
        northbound.apply(plan_changes(desired, northbound.snapshot()))
        assert of_others(dump(server)) == of_others(before)
        northbound.refresh()
        empty = desired.of()
        northbound.apply(plan_changes(empty, northbound.snapshot()))
        assert dump(server) == before


@settings(max_examples=15)
@given(make.RANDOMS)
def test_two_owners_of_the_same_policies_do_not_touch_one_another(random: Random) -> None:
    cluster, policies = make.cluster(random), make.policies(random)
    ours, theirs = (
        build.compiled(policies, *cluster.objects, nodes=cluster.zone_nodes, owner=owner).desired()
        for owner in (OURS, SECOND)
    )
    assert ours.rows.keys() == theirs.rows.keys()
    assert not ours.port_groups.keys() & theirs.port_groups.keys()
    assert not ours.address_sets.keys() & theirs.address_sets.keys()
    with NorthboundServer() as server:
        wire_for(server, ours)
        bare = dump(server)
        with (
            Northbound.connect(server.remote, owner=OURS) as first,
            Northbound.connect(server.remote, owner=SECOND) as second,
        ):
            first.apply(plan_changes(ours, first.snapshot()))
            second.refresh()
            second.apply(plan_changes(theirs, second.snapshot()))
            both = dump(server)
            assert owned(both, OURS) == wanted(ours, OURS, both)
            assert owned(both, SECOND) == wanted(theirs, SECOND, both)

            first.refresh()
            assert plan_changes(ours, first.snapshot()).is_empty
            first.apply(plan_changes(ours.of(), first.snapshot()))
            alone = dump(server)
            assert owned(alone, OURS) == {"rows": {}, "sets": {}}
            assert of_others(alone) == of_others(both)

            second.refresh()
            second.apply(plan_changes(theirs.of(), second.snapshot()))
            assert dump(server) == bare
