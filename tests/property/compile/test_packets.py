"""What is compiled takes exactly the packets that the policies' words take, and the right rule wins."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hypothesis import given, settings

from ovnqos import Code, match
from tests.support import random_clusters as make
from tests.support.cluster import compiled, names_of
from tests.support.packets import Packet, matches
from tests.support.policy_oracle import takes

if TYPE_CHECKING:
    from random import Random

    from ovnqos import Compiler, DesiredState, NetworkQoS
    from tests.support.policy_oracle import Cluster

OVN_NAME = re.compile(r"[A-Za-z_.][A-Za-z0-9_.]*")
PACKETS = 12


def _compile(policies: list[NetworkQoS], cluster: Cluster) -> Compiler:
    return compiled(policies, *cluster.objects, nodes=cluster.zone_nodes)


def _desired(random: Random) -> DesiredState:
    return _compile(make.policies(random), make.cluster(random)).desired()


def _taken_by_rows(compiler: Compiler, packet: Packet) -> dict[tuple[str, int], int]:
    """Object and rule of each row that takes the packet, with the row's priority."""
    names = names_of(compiler)
    return {
        (row.external_ids["ovnqos.io/object"], int(row.external_ids["ovnqos.io/rule"])): row.priority
        for row in compiler.desired().rows.values()
        if row.external_ids.get("ovnqos.io/object", "").startswith("NetworkQoS/")
        and packet.switch in row.switches
        and matches(row.match, packet, names)
    }


def _taken_by_words(policies: list[NetworkQoS], packet: Packet, cluster: Cluster) -> dict[tuple[str, int], int]:
    """Object and rule of each rule that takes the packet, with its rank: the object's priority, then the rule's."""
    return {
        (f"NetworkQoS/{policy.namespace}/{policy.name}", index): policy.priority * 1_000 + index
        for policy in policies
        for index in range(len(policy.rules))
        if takes(policy, index, packet, cluster)
    }


def _winners(taken: dict[tuple[str, int], int]) -> set[tuple[str, int]]:
    return {key for key, rank in taken.items() if rank == max(taken.values())}


@settings(max_examples=600)
@given(make.RANDOMS)
def test_rows_take_the_packets_that_the_policies_take_and_the_right_rule_wins(random: Random) -> None:
    cluster, policies = make.cluster(random), make.policies(random)
    compiler = _compile(policies, cluster)
    assert not any(one.code is Code.COMPILE_FAILED for one in compiler.all_diagnostics())
    for _ in range(PACKETS):
        packet = make.packet(random, cluster)
        rows = _taken_by_rows(compiler, packet)
        words = _taken_by_words(policies, packet, cluster)
        assert rows.keys() == words.keys(), (packet, policies, cluster)
        assert _winners(rows) == _winners(words)


@settings(max_examples=300)
@given(make.RANDOMS)
def test_sets_and_groups_are_those_that_the_matches_use(random: Random) -> None:
    desired = _desired(random)
    used = [match.references(row.match) for row in desired.rows.values()]
    assert {name for one in used for name in one.address_sets} == set(desired.address_sets)
    assert {name for one in used for name in one.port_groups} == set(desired.port_groups)


@settings(max_examples=300)
@given(make.RANDOMS)
def test_matches_parse_and_hold_no_inequality(random: Random) -> None:
    for row in _desired(random).rows.values():
        assert str(match.parse(str(row.match))) == str(row.match)
        assert "!=" not in str(row.match)


@settings(max_examples=300)
@given(make.RANDOMS)
def test_a_set_holds_addresses_of_the_one_family_that_its_matches_ask_for(random: Random) -> None:
    desired = _desired(random)
    text = "\n".join(str(row.match) for row in desired.rows.values())
    for name, one in desired.address_sets.items():
        if f"eth.dst == ${name}" in text:
            assert all(address.count(":") == 5 for address in one.addresses)
            continue
        asked = {version for version in "46" if re.search(rf"ip{version}\.(src|dst) == [^&|)]*\${name}\b", text)}
        assert len(asked) == 1
        assert {"6" if ":" in address else "4" for address in one.addresses} <= asked


@settings(max_examples=200)
@given(make.RANDOMS)
def test_names_are_those_that_ovn_reads(random: Random) -> None:
    desired = _desired(random)
    for name in (*desired.address_sets, *desired.port_groups):
        assert OVN_NAME.fullmatch(name)


@settings(max_examples=200)
@given(make.RANDOMS)
def test_rows_of_one_object_never_have_equal_priority_on_a_switch(random: Random) -> None:
    seen = set()
    for row in _desired(random).rows.values():
        for switch in row.switches:
            port = row.external_ids.get("ovnqos.io/port")
            place = (row.external_ids.get("ovnqos.io/object"), row.direction, row.priority, switch, port)
            assert place not in seen
            seen.add(place)
