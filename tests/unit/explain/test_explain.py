"""Which row applies to a packet, in both ways in which OVN looks rows up, and what is said of the others."""

from __future__ import annotations

from typing import Any

import pytest
from netaddr import IPAddress

from ovnqos import Direction
from ovnqos import match as m
from ovnqos.controller import InvalidRow
from ovnqos.explain.explanation import CandidateRow, Effect, Lookup, Outcome, RowExplanation, RowVerdict
from ovnqos.explain.lookup import explain
from ovnqos.explain.pipeline import PipelineVersion
from ovnqos.match.named_sets import NamedSets
from ovnqos.match.packet import Packet, PacketProtocol

SPLIT, JOINED = PipelineVersion.SPLIT, PipelineVersion.JOINED
PACKET = Packet(
    inport="p",
    outport="q",
    source=IPAddress("10.0.0.1"),
    destination=IPAddress("10.0.0.2"),
    protocol=PacketProtocol.TCP,
    destination_port=80,
)


def row(name: str, priority: int, match: str = "ip4", **given: Any) -> CandidateRow:
    direction = given.pop("direction", Direction.TO_LPORT)
    return CandidateRow(name=name, identity=name, direction=direction, priority=priority, match=m.parse(match), **given)


def lookup(*rows: CandidateRow, packet: Packet = PACKET, direction: Direction = Direction.TO_LPORT) -> Lookup:
    return explain(packet, rows, NamedSets()).lookup(direction)


def effects(found: Lookup, version: PipelineVersion) -> set[str]:
    return set(map(str, found.outcomes[version].effects))


def judged(found: Lookup, name: str) -> RowExplanation:
    return next(one for one in found.rows if one.row.name == name)


def test_the_highest_row_that_takes_the_packet_wins() -> None:
    found = lookup(
        row("low", 10, dscp=1, rate_kbps=100),
        row("high", 30, "udp", dscp=3),
        row("middle", 20, dscp=2, rate_kbps=200, burst_kbit=20),
    )
    assert [one.row.name for one in found.rows] == ["high", "middle", "low"]
    assert effects(found, SPLIT) == effects(found, JOINED) == {"dscp 2 and 200 kbps (burst 20 kbit)"}
    assert [(one.verdict, one.reason) for one in found.rows] == [
        (RowVerdict.NO_MATCH, "the packet is tcp, not udp"),
        (RowVerdict.WINS, ""),
        (RowVerdict.SHADOWED, "lower priority than middle"),
    ]


def test_without_a_row_nothing_happens() -> None:
    found = lookup(row("other", 10, "ip6", dscp=1))
    assert effects(found, SPLIT) == effects(found, JOINED) == {"nothing"}
    assert found.outcomes[SPLIT].mark.row is None
    assert found.outcomes[SPLIT].certain


def test_a_mark_above_a_limit_hides_it_only_where_one_row_decides_both() -> None:
    found = lookup(row("mark", 20, dscp=46), row("limit", 10, rate_kbps=500))
    assert effects(found, SPLIT) == {"dscp 46 and 500 kbps"}
    assert effects(found, JOINED) == {"dscp 46"}
    assert judged(found, "limit").verdict is RowVerdict.WINS
    assert judged(found, "limit").reason == "OVN up to 24.03: wins; OVN from 24.09: lower priority than mark"


def test_mark_and_limit_of_one_row_can_part() -> None:
    found = lookup(row("mark", 20, dscp=46), row("both", 10, dscp=1, rate_kbps=500))
    assert judged(found, "both").reason == (
        "OVN up to 24.03: mark: lower priority than mark; limit: wins; OVN from 24.09: lower priority than mark"
    )


def test_only_the_generation_asked_about_is_told() -> None:
    rows = [row("mark", 20, dscp=46), row("limit", 10, rate_kbps=500)]
    found = explain(PACKET, rows, NamedSets(), versions=[JOINED]).lookup(Direction.TO_LPORT)
    assert list(found.outcomes) == [JOINED]
    assert judged(found, "limit").reason == "lower priority than mark"


def test_equal_priority_is_undefined() -> None:
    found = lookup(row("one", 10, dscp=1), row("two", 10, "tcp", dscp=2), row("three", 5, dscp=3))
    assert effects(found, SPLIT) == effects(found, JOINED) == {"dscp 1", "dscp 2"}
    assert found.outcomes[JOINED].mark.undefined
    assert not found.outcomes[JOINED].certain
    assert judged(found, "one").verdict is judged(found, "two").verdict is RowVerdict.UNDEFINED
    assert judged(found, "two").reason == "conflicts with one: equal priority, OVN applies either"
    assert judged(found, "three").verdict is RowVerdict.SHADOWED


def test_equal_priority_of_a_mark_and_a_limit_is_undefined_only_where_one_row_decides_both() -> None:
    found = lookup(row("mark", 10, dscp=1), row("limit", 10, rate_kbps=100))
    assert effects(found, SPLIT) == {"dscp 1 and 100 kbps"}
    assert effects(found, JOINED) == {"dscp 1", "100 kbps"}


def test_what_is_not_known_is_left_open() -> None:
    found = lookup(row("perhaps", 20, "ct.est", dscp=2), row("surely", 10, dscp=1), row("beneath", 5, "ct.est", dscp=0))
    assert effects(found, JOINED) == {"dscp 1", "dscp 2"}
    assert judged(found, "perhaps").verdict is RowVerdict.MAY_WIN
    assert judged(found, "perhaps").reason == "only if ct.est == 1"
    assert judged(found, "surely").verdict is RowVerdict.MAY_WIN
    assert judged(found, "surely").reason == "unless perhaps matches the packet"
    assert judged(found, "beneath").verdict is RowVerdict.SHADOWED
    assert judged(found, "beneath").reason == "only if ct.est == 1; even so, lower priority than surely"


def test_an_unknown_row_alone_may_do_nothing() -> None:
    found = lookup(row("perhaps", 20, "ct.est", dscp=2))
    assert effects(found, SPLIT) == {"dscp 2", "nothing"}


def test_a_row_that_sets_nothing_is_an_exemption_from_24_09() -> None:
    found = lookup(row("empty", 20), row("mark", 10, dscp=1))
    assert effects(found, SPLIT) == {"dscp 1"}
    assert effects(found, JOINED) == {"nothing"}
    assert judged(found, "empty").reason == (
        "OVN up to 24.03: it sets nothing; OVN from 24.09: it sets nothing, and shadows the rows below"
    )


def test_a_mark_of_the_host_alone_keeps_a_lower_row_from_marking() -> None:
    found = lookup(row("egress ip", 20, acts=True), row("both", 10, dscp=1, rate_kbps=100))
    assert effects(found, SPLIT) == {"100 kbps"}
    assert effects(found, JOINED) == {"nothing"}


def test_a_burst_without_a_rate_does_nothing() -> None:
    assert effects(lookup(row("burst", 10, dscp=1, burst_kbit=5)), SPLIT) == {"dscp 1"}


def test_a_mark_that_does_not_fit_is_dropped() -> None:
    assert effects(lookup(row("wide", 10, dscp=64, rate_kbps=5)), JOINED) == {"5 kbps"}


def test_priority_0_never_applies() -> None:
    found = lookup(row("zero", 0, dscp=1))
    assert effects(found, JOINED) == {"nothing"}
    assert judged(found, "zero").reason == "priority 0 is that of the stage's default flow, which takes every packet"


def test_the_two_directions_are_looked_up_apart() -> None:
    rows = [
        row("in", 10, 'inport == "p"', dscp=1, direction=Direction.FROM_LPORT),
        row("out", 5, 'outport == "q"', rate_kbps=9),
        row("too early", 20, 'outport == "q"', dscp=9, direction=Direction.FROM_LPORT),
    ]
    entering, leaving = explain(PACKET, rows, NamedSets()).lookups
    assert (entering.direction, leaving.direction) == (Direction.FROM_LPORT, Direction.TO_LPORT)
    assert effects(entering, JOINED) == {"dscp 1"}
    assert effects(leaving, JOINED) == {"9 kbps"}
    assert judged(entering, "too early").reason == (
        "outport is not decided yet where rows of this direction are looked up"
    )


def test_an_explanation_is_certain_when_each_direction_is() -> None:
    assert explain(PACKET, [row("one", 10, dscp=1)], NamedSets()).certain
    assert not explain(PACKET, [row("one", 10, "ct.est", dscp=1)], NamedSets()).certain


def test_a_certain_outcome_names_its_row() -> None:
    outcome: Outcome = lookup(row("one", 10, dscp=1, rate_kbps=2)).outcomes[SPLIT]
    assert outcome.effects == {Effect(dscp=1, rate_kbps=2)}
    assert outcome.mark.row is outcome.limit.row is not None


@pytest.mark.parametrize(
    ("release", "version"),
    [("20.12", SPLIT), ("23.03", SPLIT), ("24.03.2", SPLIT), ("24.09", JOINED), ("25.03.0", JOINED), ("26.03", JOINED)],
)
def test_the_generation_of_a_release(release: str, version: PipelineVersion) -> None:
    assert PipelineVersion.of_release(release) is version


@pytest.mark.parametrize("release", ["", "23", "23.3", "2023.03", "v23.03", "23.03 ", "main"])
def test_a_text_that_is_no_release_is_refused(release: str) -> None:
    with pytest.raises(InvalidRow, match="is no release of OVN"):
        PipelineVersion.of_release(release)
