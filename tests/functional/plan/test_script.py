"""The script of a plan, run by the real ovn-nbctl, leaves the database exactly as applying the plan does."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from ovnqos import AddressSet, DesiredState, Direction, Northbound, PortGroup, QosRow, Snapshot, match, plan_changes
from ovnqos.sandbox import NorthboundServer
from tests.functional.support_command import ovnqos
from tests.functional.support_database import comparable, copy_of, dump, of_others, owned, wanted, wire, wire_for
from tests.functional.support_manifests import pod, policy, rule, write
from tests.functional.support_states import OURS, compiled_states, damage, inhabited, states

if TYPE_CHECKING:
    from pathlib import Path

    from tests.functional.support_database import Dump


def run_script(script: str, server: NorthboundServer) -> None:
    """Runs a script as its first lines say."""
    done = subprocess.run(
        ["sh", "-s", "--", f"--db={server.remote}", "--timeout=20"],
        input=script,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, f"{done.stderr}\n{script}"


def assert_as_wanted(found: Dump, desired: DesiredState, before: Dump) -> None:
    assert owned(found, OURS) == wanted(desired, OURS, found)
    taken_over = {
        (table, uuid)
        for table, names in (("Port_Group", desired.port_groups), ("Address_Set", desired.address_sets))
        for uuid, row in before[table].items()
        if row["name"] in names
    }
    others = of_others(before)
    for table, uuid in taken_over:
        others[table].pop(uuid, None)
    assert of_others(found) == others


def check_script_against_apply(data: st.DataObject, first: DesiredState, second: DesiredState) -> None:
    with inhabited(data, first, second) as server, Northbound.connect(server.remote) as northbound:
        northbound.apply(plan_changes(first, northbound.snapshot()))
        damage(data, server)
        northbound.refresh()
        with copy_of(server) as copy:
            before = dump(server)
            plan = plan_changes(second, northbound.snapshot())
            northbound.apply(plan)
            run_script(plan.as_nbctl(), copy)

            applied, scripted = dump(server), dump(copy)
            assert comparable(scripted, before) == comparable(applied, before)
            assert_as_wanted(applied, second, before)
            northbound.refresh()
            assert plan_changes(second, northbound.snapshot()).is_empty


@settings(max_examples=25)
@given(st.data(), compiled_states, compiled_states)
def test_the_script_does_what_apply_does_for_policies(
    data: st.DataObject, first: DesiredState, second: DesiredState
) -> None:
    check_script_against_apply(data, first, second)


@settings(max_examples=40)
@given(st.data(), states(), states())
def test_the_script_does_what_apply_does_for_rows_and_sets_of_any_text(
    data: st.DataObject, first: DesiredState, second: DesiredState
) -> None:
    check_script_against_apply(data, first, second)


@settings(max_examples=25)
@given(states() | compiled_states)
def test_the_script_without_a_database_does_what_apply_does_to_a_fresh_one(desired: DesiredState) -> None:
    with NorthboundServer() as server:
        wire_for(server, desired)
        with copy_of(server) as copy, Northbound.connect(server.remote) as northbound:
            before = dump(server)
            northbound.apply(plan_changes(desired, northbound.snapshot()))
            run_script(plan_changes(desired, Snapshot.of_names(desired, OURS)).as_nbctl(), copy)

            assert comparable(dump(copy), before) == comparable(dump(server), before)


def test_a_large_plan_is_a_script_of_several_transactions(northbound: NorthboundServer) -> None:
    def state(dscp: int, objects: range) -> DesiredState:
        return DesiredState.of(
            rows=[
                QosRow(
                    switches=frozenset({"lan", f"switch{one % 7}"}),
                    direction=Direction.TO_LPORT,
                    priority=100 + rule,
                    match=match.inport.in_group("senders") & match.ip4.dst.in_set(f"to{one}"),
                    dscp=dscp,
                    identity=f"{one}/{rule}",
                    external_ids={"ovnqos.io/object": f"NetworkQoS/shop/o{one}"},
                )
                for one in objects
                for rule in range(3)
            ],
            port_groups=[PortGroup(name="senders", ports=frozenset(f"port{one}" for one in objects))],
            address_sets=[
                AddressSet(name=f"to{one}", addresses=frozenset(f"10.{dscp}.{one}.{host}" for host in range(3)))
                for one in objects
            ],
        )

    first, second = state(1, range(200)), state(2, range(100, 800))
    wire(northbound, ["lan", *(f"switch{number}" for number in range(7))], (f"port{one}" for one in range(800)))
    with Northbound.connect(northbound.remote) as connection:
        connection.apply(plan_changes(first, connection.snapshot()))
        with copy_of(northbound) as copy:
            before = dump(northbound)
            plan = plan_changes(second, connection.snapshot())
            script = plan.as_nbctl()
            assert script.count('ovn-nbctl "$@"') > 2
            run_script(script, copy)
            connection.apply(plan)

            assert comparable(dump(copy), before) == comparable(dump(northbound), before)
            assert owned(dump(copy), OURS) == wanted(second, OURS, before)


def test_a_set_of_thousands_of_addresses_fits_the_command_line(northbound: NorthboundServer) -> None:
    many = frozenset(f"2001:db8:1234:5678:9abc:def0:{number:x}:1" for number in range(1, 8_000))
    desired = DesiredState.of(address_sets=[AddressSet(name="many", addresses=many)])
    with Northbound.connect(northbound.remote) as connection:
        plan = plan_changes(desired, connection.snapshot())
    run_script(plan.as_nbctl(), northbound)

    assert owned(dump(northbound), OURS) == wanted(desired, OURS, dump(northbound))


def test_an_empty_plan_is_a_script_that_does_nothing(northbound: NorthboundServer) -> None:
    with Northbound.connect(northbound.remote) as connection:
        script = plan_changes(DesiredState.of(), connection.snapshot()).as_nbctl()
    before = northbound.file.read_bytes()
    run_script(script, northbound)

    assert northbound.file.read_bytes() == before


def test_the_command_prints_scripts_that_do_what_it_applies(northbound: NorthboundServer, tmp_path: Path) -> None:
    write(
        tmp_path / "all.yaml",
        policy("gold", rule(to=[{"podSelector": {}}]), rule(46, ports=[{"protocol": "TCP", "port": 443}])),
        policy("lead", rule(0, bandwidth={"rate": 1000}), priority=3),
        pod("a", "10.0.0.1"),
        pod("b", "10.0.0.2", node="node2"),
    )
    wire(northbound, ["node1", "node2"], ["shop_a", "shop_b"])
    with copy_of(northbound) as planned, copy_of(northbound) as rendered:
        before = dump(northbound)
        run_script(ovnqos("diff", "-f", tmp_path, "-o", "nbctl", "--nb", planned.remote).out, planned)
        run_script(ovnqos("render", "-f", tmp_path, "-o", "nbctl").out, rendered)
        assert ovnqos("apply", "-f", tmp_path, "--nb", northbound.remote).code == 0

        applied = comparable(dump(northbound), before)
        assert len(applied["QoS"]) == 4
        assert comparable(dump(planned), before) == applied
        assert comparable(dump(rendered), before) == applied
