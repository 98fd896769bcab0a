"""Counters that only grow, by rule: for a scraper that comes again and again to one chassis."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from ovnqos.model.owner import NETWORK_KEY, RULE_KEY, Owner
from ovnqos.ovsdb.client import OvsdbClient
from ovnqos.ovsdb.remotes import NORTHBOUND, SOUTHBOUND

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ovnqos.ovsdb.tls import TlsFiles
    from ovnqos.stats.chassis import LocalChassis
    from ovnqos.stats.openflow import MeterStatistics

_ROWS: Final = {"op": "select", "table": "QoS", "where": [], "columns": ["_uuid", "direction", "external_ids"]}


@dataclass(frozen=True, slots=True, order=True)
class MeteredRule:
    """A rule with a limit: its object, its index in that, the direction of its rows, and their network."""

    kind: str
    namespace: str
    name: str
    index: str
    direction: str
    network: str


@dataclass(slots=True)
class Totals:
    """What the meters of a rule on this chassis have counted since this process looks.

    Attributes:
        packets: that reached them, those dropped included.
        octets: of these packets, with Ethernet headers.
        dropped_packets: that they dropped.
        dropped_octets: of these packets.
        unenforced: how many of its meters the switch does not have, so that all packets pass.
    """

    packets: int = 0
    octets: int = 0
    dropped_packets: int = 0
    dropped_octets: int = 0
    unenforced: int = 0


class RuleTotals:
    """The totals of one owner's rules that have a meter on this chassis. A context manager; not thread-safe.

    The databases are asked of a meter once. A meter that OVN makes anew counts on from what the one before had.
    """

    def __init__(  # noqa: PLR0913 - keywords, each its own concern
        self,
        chassis: LocalChassis,
        *,
        northbound: str | None,
        southbound: str | None,
        owner: Owner,
        tls: TlsFiles | None = None,
        timeout_s: float = 5.0,
    ) -> None:
        """Start to connect.

        Args:
            chassis: whose meters are read.
            northbound: remotes of the Northbound; None for the default.
            southbound: of the Southbound that this chassis gets its flows from.
            owner: whose rules are counted.
            tls: key and certificates, which `ssl:` needs.
            timeout_s: seconds that a question waits for a database.

        Raises:
            InvalidRemote: a remote, or a TLS file, cannot be used.
        """
        self._chassis = chassis
        self._owner = owner
        self._northbound = OvsdbClient(NORTHBOUND, northbound, tls=tls, timeout_s=timeout_s)
        self._southbound = OvsdbClient(SOUTHBOUND, southbound, tls=tls, timeout_s=timeout_s)
        self._rules: dict[str, MeteredRule | None] = {}  # by logical flow; None: it is no rule of the owner's
        self._last: dict[str, MeterStatistics] = {}
        self._totals: dict[MeteredRule, Totals] = defaultdict(Totals)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Disconnect."""
        self._northbound.close()
        self._southbound.close()

    def read(self) -> Mapping[MeteredRule, Totals]:
        """Read the meters and add what they have counted since the last time; the totals of rules that have one now.

        Raises:
            ChassisUnavailable: ovn-controller or the switch does not answer.
            DatabaseUnavailable: a rule is to be looked up, and a database does not answer.
            SchemaMismatch: that one is no database of OVN.
        """
        meters = self._chassis.read(()).meters
        self._look_up(meters)
        present: dict[MeteredRule, Totals] = {}
        for flow, meter in meters.items():
            rule = self._rules.get(flow)
            if rule is None:
                continue
            if rule not in present:
                present[rule] = self._totals[rule]
                present[rule].unenforced = 0
            self._add(flow, meter, present[rule])
        self._last = {flow: one for flow, one in self._last.items() if flow in meters}
        self._totals = defaultdict(Totals, present)
        return present

    def _add(self, flow: str, meter: MeterStatistics | None, totals: Totals) -> None:
        if meter is None:
            totals.unenforced += 1
            self._last.pop(flow, None)
            return
        last = self._last.get(flow)
        if last is not None and last.packets > meter.packets:
            last = None  # the switch has it anew
        totals.packets += meter.packets - (last.packets if last else 0)
        totals.octets += meter.octets - (last.octets if last else 0)
        totals.dropped_packets += meter.dropped_packets - (last.dropped_packets if last else 0)
        totals.dropped_octets += meter.dropped_octets - (last.dropped_octets if last else 0)
        self._last[flow] = meter

    def _look_up(self, flows: Mapping[str, Any]) -> None:
        """Find the rules of logical flows that were not seen before."""
        self._rules = {flow: rule for flow, rule in self._rules.items() if flow in flows}
        unknown = [flow for flow in flows if flow not in self._rules]
        if not unknown:
            return
        hints = self._southbound.query(*map(_select_flow, unknown))
        rows = {row["_uuid"][1][:8]: row for row in self._northbound.query(_ROWS)[0]["rows"]}
        for flow, found in zip(unknown, hints, strict=True):
            for one in found["rows"]:
                row = rows.get(dict(one["external_ids"][1]).get("stage-hint", ""))
                if row is not None:  # else it was deleted in between
                    self._rules[flow] = self._rule(row)

    def _rule(self, row: Mapping[str, Any]) -> MeteredRule | None:
        known = dict(row["external_ids"][1])
        if not self._owner.owns(known):
            return None
        kind, namespace, name = [*self._owner.object_of(known).split("/"), "", "", ""][:3]
        return MeteredRule(kind, namespace, name, known.get(RULE_KEY, ""), row["direction"], known.get(NETWORK_KEY, ""))


def _select_flow(uuid: str) -> dict[str, Any]:
    where = [["_uuid", "==", ["uuid", uuid]]]
    return {"op": "select", "table": "Logical_Flow", "where": where, "columns": ["external_ids"]}
