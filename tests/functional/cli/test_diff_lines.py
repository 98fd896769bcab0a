"""The lines of a diff are those of the real `ovn-nbctl qos-list`, before and after, in its order."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ovnqos import DesiredState, Direction, Northbound, QosRow, match, plan_changes
from tests.functional.support_database import add_row, dump, wire
from tests.functional.support_states import OTHERS, compiled_states, damage, inhabited, states

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ovnqos.sandbox import NorthboundServer

_HUNK = re.compile(r"@@ -(\d+),(\d+) \+(\d+),(\d+) @@")


def qos_list(server: NorthboundServer, switch: str) -> list[str]:
    return server.nbctl("qos-list", switch).splitlines()


def parts(diff: str) -> Iterator[tuple[str, list[str]]]:
    """Each switch with the lines of its hunks; the sets that follow the switches are left out."""
    switch, lines = "", list[str]()
    for line in diff.split("\n*** ", maxsplit=1)[0].splitlines():
        if line.startswith("--- switch "):
            if switch:
                yield switch, lines
            switch, lines = line.removeprefix("--- switch ").removesuffix(" (is)"), []
        elif line.startswith("+++ switch "):
            assert line == f"+++ switch {switch} (will be)"
        else:
            lines.append(line)
    if switch:
        yield switch, lines


def patched(before: list[str], lines: list[str]) -> list[str]:
    """What a unified diff makes of a file. Hunks whose numbers or context do not fit the file fail."""
    after, taken = list[str](), 0
    hunks = [index for index, line in enumerate(lines) if line.startswith("@@")]
    for start, end in pairwise([*hunks, len(lines)]):
        found = _HUNK.fullmatch(lines[start])
        assert found
        old_start, old_length, new_start, new_length = map(int, found.groups())
        body = lines[start + 1 : end]
        old = [line[1:] for line in body if line[0] in " -"]
        new = [line[1:] for line in body if line[0] in " +"]
        at = old_start - 1 if old_length else old_start
        after += before[taken:at]
        assert before[at : at + old_length] == old
        assert (len(after) + 1 if new_length else len(after)) == new_start
        assert len(new) == new_length
        after += new
        taken = at + old_length
    return after + before[taken:]


def has_ties(lines: list[str]) -> bool:
    """Whether two rows have one direction, priority and match."""
    keys = [line.rpartition(")")[0] for line in lines]
    return len(set(keys)) < len(keys)


def check_diff(server: NorthboundServer, northbound: Northbound, desired: DesiredState) -> Mapping[str, list[str]]:
    """Applies a state and holds its diff against what ovn-nbctl lists; returns the diff's lines by switch."""
    switches = [row["name"] for row in dump(server)["Logical_Switch"].values()]
    before = {switch: qos_list(server, switch) for switch in switches}
    plan = plan_changes(desired, northbound.snapshot())
    shown = dict(parts(plan.as_diff()))
    northbound.apply(plan)
    for switch in switches:
        after = qos_list(server, switch)
        assert after == before[switch] or switch in shown
        lines = shown.get(switch, [])
        if has_ties(before[switch]) or has_ties(after):  # ovn-nbctl lists them in another order each time
            body = [line for line in lines if not line.startswith("@@")]
            removed = Counter(line[1:] for line in body if line[0] == "-")
            added = Counter(line[1:] for line in body if line[0] == "+")
            assert removed <= Counter(before[switch])
            assert Counter(before[switch]) - removed + added == Counter(after)
        else:
            assert patched(before[switch], lines) == after
    return shown


def row(identity: str, direction: Direction, priority: int, **settings: int) -> QosRow:
    return QosRow(
        switches=frozenset({"lan", "wan"}),
        direction=direction,
        priority=priority,
        match=match.ip4 & match.tcp.dst.isin(80),
        identity=identity,
        dscp=settings.get("dscp"),
        rate_kbps=settings.get("rate"),
        burst_kbit=settings.get("burst"),
    )


def test_a_diff_against_an_empty_switch_is_its_list_after_apply(northbound: NorthboundServer) -> None:
    wire(northbound, ["lan", "wan"])
    to, from_ = Direction.TO_LPORT, Direction.FROM_LPORT
    desired = DesiredState.of(
        rows=[
            row("a", to, 1, dscp=0),
            row("b", to, 32767, rate=1),
            row("c", from_, 10400, rate=20000, burst=100, dscp=20),
            row("d", from_, 99, dscp=63, rate=4_294_967_295),
            row("e", to, 2, dscp=1, rate=2, burst=4_294_967_295),
        ]
    )
    with Northbound.connect(northbound.remote) as connection:
        shown = check_diff(northbound, connection, desired)

    for switch in ("lan", "wan"):
        assert [line[1:] for line in shown[switch][1:]] == qos_list(northbound, switch)
        assert {line[0] for line in shown[switch][1:]} == {"+"}
    assert len(qos_list(northbound, "lan")) == 5


def test_rows_of_others_are_context_in_their_place(northbound: NorthboundServer) -> None:
    wire(northbound, ["lan", "wan"])
    for other in OTHERS:
        add_row(northbound, ["lan"], **other)
    desired = DesiredState.of(
        rows=[row("a", Direction.TO_LPORT, 500, dscp=0), row("b", Direction.FROM_LPORT, 1000, rate=7)]
    )
    with Northbound.connect(northbound.remote) as connection:
        shown = check_diff(northbound, connection, desired)

    assert [line[1:] for line in shown["lan"] if line[0] in " +"] == qos_list(northbound, "lan")
    assert sum(line[0] == " " for line in shown["lan"]) == len(OTHERS)
    assert sum(line[0] == " " for line in shown["wan"]) == 0


@settings(max_examples=25)
@given(st.data(), st.tuples(states(), states()) | st.tuples(compiled_states, compiled_states))
def test_a_diff_patches_the_list_before_into_the_list_after(
    data: st.DataObject, generations: tuple[DesiredState, DesiredState]
) -> None:
    first, second = generations
    for desired in generations:  # ovn-nbctl lists rows of one direction, priority and match in no order
        keys = [(one.direction, one.priority, str(one.match)) for one in desired.rows.values()]
        assume(len(set(keys)) == len(keys))
    with inhabited(data, first, second) as server, Northbound.connect(server.remote) as northbound:
        check_diff(server, northbound, first)
        damage(data, server)
        northbound.refresh()
        check_diff(server, northbound, second)
