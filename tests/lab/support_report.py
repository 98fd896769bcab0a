"""The traffic matrix as tables: a row a network, place and IP version; mark, rate and untouched for each OVN."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.lab.support_networks import NETWORKS, VERSIONS
from tests.lab.support_results import TOLERANCE, UNTOUCHED, MarkResult, RateResult, Results

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

EGRESS_IP = "beside EgressIP"
EGRESS_QOS = "beside EgressQoS"
ONE_PACKET_SERVICE = "one-packet Service flow"
MULTICAST = "multicast"
FRAGMENTS = "fragments"
_BESIDE = (EGRESS_IP, EGRESS_QOS, ONE_PACKET_SERVICE, MULTICAST, FRAGMENTS)
"""Scenes with a column of their own, by network and place; what follows a comma in a scene's name is a variant."""
_TITLES = [network.title for network in NETWORKS]
_INTRODUCTION = """# The traffic matrix

Made by `make matrix`; do not edit. Packets between network namespaces, switched by OVN's own programs. A mark is the
IPv4 TOS or IPv6 traffic class (four times the DSCP), read in the receiver's namespace and on the wire of the sender's
node, inside geneve where there is any. A rate is layer-2 Mbit/s of UDP at the receiver over 5 seconds, with how far it
is from rate + burst / 5 s; {tolerance:.0%} are allowed. All streams of a network run at once.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table: its first row is the head."""

    title: str
    rows: Sequence[Sequence[str]]

    def aligned(self) -> Iterator[str]:
        """Its lines for a terminal."""
        widths = [max(map(len, column)) for column in zip(*self.rows, strict=True)]
        yield self.title
        for row in self.rows:
            yield "  ".join(f"{entry:<{width}}" for entry, width in zip(row, widths, strict=True)).rstrip()

    def markdown(self) -> Iterator[str]:
        """Its lines for Markdown."""
        head, *body = self.rows
        yield f"## {self.title}"
        yield ""
        for row in (head, ["---"] * len(head), *body):
            yield f"| {' | '.join(row)} |"


def tables(measured: Mapping[str, Results]) -> Iterator[Table]:
    """All tables of a session, those that have rows.

    Args:
        measured: what was measured, by the version of OVN.
    """
    for table in (_matrix(measured), _beside(measured), _classifiers(measured), _scenes(measured)):
        if len(table.rows) > 1:
            yield table


def remarks(measured: Mapping[str, Results]) -> Iterator[str]:
    """What the tests remarked, each with its version of OVN."""
    for ovn, results in measured.items():
        yield from (f"OVN {ovn}: {remark}" for remark in results.remarks)


def document(measured: Mapping[str, Results]) -> str:
    """All of it in Markdown."""
    parts = [_INTRODUCTION.format(tolerance=TOLERANCE)]
    for table in tables(measured):
        parts += [*table.markdown(), ""]
    parts += ["## Remarks", "", *(f"- {remark}" for remark in remarks(measured)), ""]
    return "\n".join(parts)


def _matrix(measured: Mapping[str, Results]) -> Table:
    head = ["network", "to", "IP"]
    for ovn in measured:
        head += [f"{ovn}: mark", "rate", "untouched"]
    rows = [head]
    for network in NETWORKS:
        for place in network.places:
            for version in VERSIONS:
                where = (network.title, place, version)
                entries = [entry for results in measured.values() for entry in _entries(results, where)]
                if any(entries):
                    rows.append([network.title, place, f"v{version}", *entries])
    return Table(title="Marks and rates, by network and place", rows=rows)


def _beside(measured: Mapping[str, Results]) -> Table:
    """How many cells of each of `_BESIDE` hold, marks and rates, by network and place, all versions of OVN together."""
    cells: dict[tuple[str, str, int], dict[str, list[MarkResult | RateResult]]] = {}
    for results in measured.values():
        every: list[MarkResult | RateResult] = [*results.marks, *results.rates]
        for one in every:
            scene = one.cell.scene.partition(",")[0]
            if scene in _BESIDE:
                cells.setdefault(_where(one), {}).setdefault(scene, []).append(one)
    rows: list[list[str]] = [["network", "to", "IP", *_BESIDE]]
    for network in NETWORKS:
        for place in network.places:
            for version in VERSIONS:
                found = cells.get((network.title, place, version))
                if found:
                    holding = (_holding(found.get(scene, [])) for scene in _BESIDE)
                    rows.append([network.title, place, f"v{version}", *holding])
    return Table(title="Beside other rows, and unusual packets: marks and rates that hold", rows=rows)


def _entries(results: Results, where: tuple[str, str, int]) -> Iterator[str]:
    """Mark, rate and untouched of one row, on one OVN; empty where nothing was measured."""
    marks = [one for one in results.marks if _where(one) == where]
    rates = [one for one in results.rates if _where(one) == where]
    yield _marks(one for one in marks if one.cell.outcome == "marked")
    yield _rates(one for one in rates if one.cell.outcome == "limited")
    free = (
        _marks(one for one in marks if one.cell.outcome == UNTOUCHED),
        _rates(one for one in rates if one.cell.outcome == UNTOUCHED),
    )
    yield ", ".join(filter(None, free))


def _where(one: MarkResult | RateResult) -> tuple[str, str, int]:
    return (one.cell.network, one.cell.place, one.cell.version)


def _marks(results: Iterable[MarkResult]) -> str:
    found = list(results)
    if not found:
        return ""
    seen = " ".join(f"{mark:#x}" for mark in sorted({mark for one in found for mark in one.seen.received}))
    return f"{seen or 'nothing'} ({_holding(found)})"


def _rates(results: Iterable[RateResult]) -> str:
    return " ".join(f"{one.seen / 1e6:.2f} ({one.deviation:+.1%})" + ("" if one.holds else " WRONG") for one in results)


def _classifiers(measured: Mapping[str, Results]) -> Table:
    """How many cells hold, by classifier or scene and network, all versions of OVN together."""
    cells: dict[str, dict[str, list[MarkResult]]] = {}
    for results in measured.values():
        for one in results.marks:
            cells.setdefault(one.cell.scene, {}).setdefault(one.cell.network, []).append(one)
    networks = [title for title in _TITLES if any(title in by_network for by_network in cells.values())]
    rows = [["classifier or scene", *networks]]
    for scene, by_network in cells.items():
        if any(title in by_network for title in networks):
            rows.append([scene, *(_holding(by_network.get(title, [])) for title in networks)])
    return Table(title="Marks, by classifier: cells that hold", rows=rows)


def _scenes(measured: Mapping[str, Results]) -> Table:
    """The rates of each scene and outcome: how many, and the one that is farthest off."""
    found: dict[tuple[str, str], dict[str, list[RateResult]]] = {}
    for ovn, results in measured.items():
        for one in results.rates:
            found.setdefault((one.cell.scene, one.cell.outcome), {}).setdefault(ovn, []).append(one)
    rows = [["scene", "outcome", *measured]]
    rows += [[*names, *(_worst(by_ovn.get(ovn, [])) for ovn in measured)] for names, by_ovn in found.items()]
    return Table(title="Rates, by scene: cells that hold, and the one farthest off", rows=rows)


def _worst(results: Sequence[RateResult]) -> str:
    if not results:
        return ""
    worst = max(results, key=lambda one: abs(one.deviation))
    return f"{_holding(results)}, {worst.seen / 1e6:.2f} ({worst.deviation:+.1%})"


def _holding(results: Sequence[MarkResult | RateResult]) -> str:
    if not results:
        return ""
    holding = sum(one.holds for one in results)
    return f"{holding} of {len(results)}" + ("" if holding == len(results) else " WRONG")
