"""What a plan prints, word by word."""

from __future__ import annotations

import json
import shlex

from ovnqos import AddressSet, DesiredState, Direction, Owner, PortGroup, Snapshot, plan_changes
from ovnqos import match as m
from ovnqos.controller import ActualRow
from ovnqos.plan.snapshot import RowContent
from tests.support.database import Database, stored
from tests.support.random_states import OWNER
from tests.support.rows import qos_row

ARGUMENT_MAXIMUM = 2 * 1024 * 1024  # Linux, an eighth of the stack's default limit of 8 MiB times two: getconf ARG_MAX
POINTER = 8


def _empty(*switches: str, ports: tuple[str, ...] = ()) -> Database:
    return Database(rows={}, sets={}, switches=frozenset(switches), ports=frozenset(ports))


def test_an_empty_plan_prints_an_empty_diff_a_script_without_commands_and_no_changes() -> None:
    plan = plan_changes(DesiredState.of(), _empty().snapshot(OWNER))
    assert plan.as_diff() == ""
    assert "\novn-nbctl" not in plan.as_nbctl()
    assert plan.as_nbctl().startswith("#!/bin/sh\n")
    assert json.loads(plan.as_json())["changes"] == []


def test_a_diff_shows_the_lines_of_qos_list_with_their_neighbours() -> None:
    foreign = [
        ActualRow(
            uuid=f"f{priority}",
            content=RowContent(
                direction="to-lport",
                priority=priority,
                match="ip4",
                action={},
                bandwidth={"rate": priority},
                external_ids={},
            ),
            switches=frozenset(("lan",)),
        )
        for priority in (50, 40, 30, 20, 10)
    ]
    old = qos_row(
        identity="r",
        direction=Direction.TO_LPORT,
        priority=45,
        match=m.ip4.dst.isin("10.0.0.0/8"),
        dscp=20,
        rate_kbps=20_000,
        burst_kbit=100,
    )
    new = qos_row(identity="n", direction=Direction.FROM_LPORT, priority=7, match=m.tcp, dscp=0)
    database = stored(DesiredState.of(rows=[old]), OWNER, ("lan",), ())
    database = Database(
        rows={**database.rows, **{one.uuid: one for one in foreign}},
        sets={},
        switches=frozenset(("lan",)),
        ports=frozenset(),
    )
    plan = plan_changes(DesiredState.of(rows=[new]), database.snapshot(OWNER))
    assert plan.as_diff() == (
        "--- switch lan (is)\n"
        "+++ switch lan (will be)\n"
        "@@ -1,5 +1,5 @@\n"
        "+from-lport     7 (tcp) dscp=0\n"
        "   to-lport    50 (ip4) rate=50\n"
        "-  to-lport    45 (ip4.dst == 10.0.0.0/8) rate=20000 burst=100 dscp=20\n"
        "   to-lport    40 (ip4) rate=40\n"
        "   to-lport    30 (ip4) rate=30\n"
        "   to-lport    20 (ip4) rate=20\n"
    )


def test_a_long_list_of_members_is_cut_short_in_the_diff_and_whole_in_the_json() -> None:
    addresses = [f"10.{number}.0.1" for number in range(30)]
    plan = plan_changes(DesiredState.of(address_sets=[AddressSet.of("s", addresses)]), _empty().snapshot(OWNER))
    lines = plan.as_diff().splitlines()
    assert lines[0].startswith("*** address set s (new, +30)")
    assert len(lines) == 22
    assert lines[-1] == "+  … and 10 more"
    assert len(json.loads(plan.as_json())["changes"][0]["members"]) == 30


def _commands(script: str) -> list[list[str]]:
    """The words of each transaction."""
    return [shlex.split(line) for line in script.replace(" \\\n", " ").splitlines() if line.startswith("ovn-nbctl ")]


def test_a_script_survives_the_shell_whatever_a_name_holds() -> None:
    port = 'it\'s "q" $HOME `id` \\ \N{SNOWMAN}; rm -rf /'
    row = qos_row(match=m.inport(port), external_ids={"key with 'quote'": 'va"lue,}'})
    plan = plan_changes(DesiredState.of(rows=[row]), _empty("lan").snapshot(OWNER))
    ((*words,),) = _commands(plan.as_nbctl())
    (match,) = (word.removeprefix("match=") for word in words if word.startswith("match="))
    assert json.loads(match) == str(row.match)
    (ids,) = (word.removeprefix("external_ids=") for word in words if word.startswith("external_ids="))
    assert json.dumps("key with 'quote'") + "=" + json.dumps('va"lue,}') in ids


def test_each_transaction_of_a_script_fits_a_command_line() -> None:
    """Where every object is on every node, bindings are most of the script."""
    nodes = [f"node-{number}" for number in range(50)]
    rows = [
        qos_row(
            switches=nodes,
            priority=1 + index,
            match=m.inport.in_group(f"ovnqos_src_{owner:016x}") & m.ip4.dst.isin(f"10.{owner}.{index}.0/24"),
            rate_kbps=20_000,
            identity=f"NetworkQoS/namespace/policy-{owner}/{index}/default",
            external_ids={"ovnqos.io/object": f"NetworkQoS/namespace/policy-{owner}", "ovnqos.io/rule": str(index)},
        )
        for owner in range(60)
        for index in range(20)
    ]
    groups = [PortGroup(name=f"ovnqos_src_{owner:016x}", ports=frozenset()) for owner in range(60)]
    plan = plan_changes(DesiredState.of(rows=rows, port_groups=groups), _empty(*nodes).snapshot(OWNER))
    transactions = _commands(plan.as_nbctl())
    assert sum(words.count("create") for words in transactions) == len(rows) + len(groups)
    for words in transactions:
        assert sum(len(word.encode()) + 1 + POINTER for word in words) < ARGUMENT_MAXIMUM / 2


def test_many_members_are_parted_into_words_that_the_shell_takes() -> None:
    addresses = [f"10.{number >> 8}.{number & 255}.1" for number in range(1_200)]
    plan = plan_changes(
        DesiredState.of(address_sets=[AddressSet(name="s", addresses=frozenset(addresses))]), _empty().snapshot(OWNER)
    )
    ((*words,),) = _commands(plan.as_nbctl())
    lists = [words[index + 1] for index, word in enumerate(words) if word == "addresses"]
    assert [len(text.split(",")) for text in lists] == [500, 500, 200]
    assert {json.loads(one) for text in lists for one in text.split(",")} == set(addresses)


def test_without_a_database_names_stand_for_uuids_and_groups_are_set_by_name() -> None:
    desired = DesiredState.of(
        rows=[qos_row(match=m.inport.in_group("g"))],
        port_groups=[PortGroup(name="g", ports=frozenset(("p1", "p2"))), PortGroup(name="h", ports=frozenset())],
    )
    plan = plan_changes(desired, Snapshot.of_names(desired, Owner("mine")))
    assert not plan.missing
    script = plan.as_nbctl()
    assert "-- pg-set-ports g p1 p2 \\\n" in script
    assert "pg-set-ports h" not in script
    assert "-- add Logical_Switch lan qos_rules @row2\n" in script


def test_several_transactions_are_numbered() -> None:
    rows = [qos_row(priority=number, identity=f"r{number}") for number in range(1, 1_801)]
    script = plan_changes(DesiredState.of(rows=rows), _empty("lan").snapshot(OWNER)).as_nbctl()
    assert [line for line in script.splitlines() if line.startswith("# transaction")] == [
        "# transaction 1 of 3",
        "# transaction 2 of 3",
        "# transaction 3 of 3",
    ]
