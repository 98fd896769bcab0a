"""`ovnqos stats`: what each limit and mark does to packets on this chassis right now."""

from __future__ import annotations

import sys
import time
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import click

from ovnqos.cli import options, output, tables
from ovnqos.cli.parameter_types import REMOTE, seconds

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ovnqos.model.owner import Owner
    from ovnqos.northbound.northbound import Northbound
    from ovnqos.plan.snapshot import Snapshot
    from ovnqos.southbound.southbound import Southbound
    from ovnqos.stats import LocalChassis, RuleStatistics

_COLUMNS: Final = ("OBJECT", "RULE", "DIRECTION", "DSCP", "RATE", "PACKETS", "DROPPED", "SHARE", "NOW")
_WIDE: Final = ("NETWORK", "SWITCH", "PRIORITY", "BURST", "MATCH")
MISSING, NO_LIMIT, ACTIVE = "missing", "no limit", "active"


@click.command
@options.database_options()
@click.option(
    "--sb",
    "southbound_remote",
    type=REMOTE,
    help="OVN Southbound, as --nb.  [default: $OVN_SB_DB, else the local socket]",
)
@options.owner_option
@options.chassis_options()
@click.option(
    "--interval",
    "interval_s",
    type=seconds(0.0),
    default=1.0,
    show_default=True,
    help="Seconds between two readings, whose difference is the present rate; 0: read once.",
)
@click.option("--watch", is_flag=True, help="Show the difference of each interval until interrupted.")
@click.option("--object", "object_name", metavar="KIND/NAMESPACE/NAME", help="Only the rules of this object.")
@click.option("-n", "--namespace", help="Only the rules of objects in this namespace.")
@click.option("--pod", metavar="NAMESPACE/NAME", help="Only the rules that name a port of this pod.")
@options.table_format_option
def stats(  # noqa: PLR0913 - one parameter an option
    *,
    database: options.DatabaseOptions,
    southbound_remote: str | None,
    owner: Owner,
    chassis: options.ChassisOptions,
    interval_s: float,
    watch: bool,
    object_name: str | None,
    namespace: str | None,
    pod: str | None,
    form: options.TableFormat,
) -> None:
    """Show what each limit and mark does to packets on this chassis: most drops first.

    To be run on a chassis, or in the daemon's pod there. RATE is the limit in kbps; PACKETS came to the rule since its
    meter or flow is there, DROPPED are those among them that the limit dropped, and SHARE is their part. NOW is what
    passes, with Ethernet headers, in kbps. Rules of other owners are shown as (foreign). Nothing is written.

    Exits with 1 when the chassis has flows of a limit, but no meter for them, so that the limit is not enforced.

    \b
    Examples:
      ovnqos stats
      ovnqos stats --watch --pod shop/web-0
      ovnqos stats -o json | jq '.rules[] | select(.dropped_share > 0.05)'
    """  # noqa: D301 - \b keeps click from filling the lines
    from ovnqos.southbound.southbound import Southbound
    from ovnqos.stats import MeterState

    if watch and (interval_s == 0 or form is options.TableFormat.JSON):
        raise click.UsageError("--watch needs an --interval above 0, and the output of a table")
    if pod is not None and pod.count("/") != 1:
        raise click.UsageError(f"--pod {pod}: write it as NAMESPACE/NAME")
    with (
        Southbound(southbound_remote, tls=database.tls, timeout_s=database.timeout_s) as southbound,
        database.connect(owner) as northbound,
    ):
        reader = _Reader(
            chassis=chassis.chassis(timeout_s=database.timeout_s),
            southbound=southbound,
            northbound=northbound,
            filter=_Filter(object=object_name, namespace=namespace, pod=pod),
        )
        if watch:
            _watch(reader, interval_s)
            return
        found, recent = reader.read_twice(interval_s)
    if form is options.TableFormat.JSON:
        output.result_json({"format": "ovnqos.io/stats/v1", "rules": [*_documents(found, recent)]})
    elif found:
        columns = _COLUMNS if form is options.TableFormat.TABLE else (*_COLUMNS, *_WIDE)
        tables.table(columns, [*_rows(found, recent)], [*map(_style, found)])
    else:
        output.info("this chassis has no flows of such rules")
    unenforced = [one for one in found if one.meter is MeterState.MISSING]
    for one in unenforced:
        output.warning(
            f"{one.object or 'foreign row'}: rule {one.rule or one.rows[0]}: the switch has no meter for the limit of "
            f"{one.rate_kbps} kbps: all packets pass; restart ovn-controller, and see its log and the switch's"
        )
    if unenforced:
        raise click.exceptions.Exit(output.EXIT_INVALID)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Filter:
    """Which rules to show; None for no condition."""

    object: str | None
    namespace: str | None
    pod: str | None

    def select(self, found: Iterable[RuleStatistics], snapshot: Snapshot) -> list[RuleStatistics]:
        """Leave out the others."""
        from ovnqos.stats import rows_of_pod

        rows = None if self.pod is None else rows_of_pod(snapshot, *self.pod.split("/"))
        return [
            one
            for one in found
            if (self.object in {None, one.object})
            and (self.namespace is None or one.object.split("/")[1:2] == [self.namespace])
            and (rows is None or not rows.isdisjoint(one.rows))
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reader:
    """Reads the chassis and both databases."""

    chassis: LocalChassis
    southbound: Southbound
    northbound: Northbound
    filter: _Filter

    def read(self) -> tuple[float, list[RuleStatistics]]:
        """What was counted so far, and when, in seconds on the monotonic clock."""
        from ovnqos.stats import rule_statistics

        southbound = self.southbound.read()
        counters = self.chassis.read(southbound.default_flows.values())
        snapshot = self.northbound.snapshot()
        return counters.time, self.filter.select(rule_statistics(counters, southbound, snapshot), snapshot)

    def read_twice(self, interval_s: float) -> tuple[list[RuleStatistics], list[RuleStatistics]]:
        """What was counted so far, and in the last interval; the latter is empty for an interval of 0."""
        from ovnqos.stats import difference

        before, first = self.read()
        if interval_s == 0:
            return first, []
        time.sleep(interval_s)
        after, found = self.read()
        return found, [*difference(first, found, seconds=after - before)]


def _watch(reader: _Reader, interval_s: float) -> None:
    """Show the last interval again and again: in place on a terminal, else a table each time."""
    from rich.live import Live
    from rich.text import Text

    from ovnqos.stats import difference

    on_terminal = sys.stdout.isatty()
    before, known = reader.read()
    with Live(screen=True, auto_refresh=False) if on_terminal else nullcontext() as live:
        while True:
            time.sleep(interval_s)
            after, found = reader.read()
            recent = difference(known, found, seconds=after - before)
            ranked = sorted(recent, key=lambda one: -one.dropped_packets)
            shown = [*_rows(ranked, ranked)]
            if live is None:
                tables.table(_COLUMNS, shown)
            else:
                made = tables.lines(_COLUMNS, shown, [*map(_style, ranked)], width=live.console.width)
                live.update(Text.from_ansi("\n".join(made)), refresh=True)
            before, known = after, found


def _rows(found: Iterable[RuleStatistics], recent: Iterable[RuleStatistics]) -> Iterator[dict[str, object]]:
    now = {one.rows: one for one in recent}
    for one in found:
        latest = now.get(one.rows)
        passing = latest.bits_per_second if latest else None
        yield {
            "OBJECT": (one.object or "-") + (" (foreign)" if one.foreign else ""),
            "RULE": one.rule,
            "DIRECTION": one.direction,
            "DSCP": one.dscp,
            "RATE": one.rate_kbps,
            "PACKETS": one.packets,
            "DROPPED": {MISSING: "no meter", NO_LIMIT: "-"}.get(one.meter.value, one.dropped_packets),
            "SHARE": f"{one.dropped_share:.1%}" if one.meter.value == ACTIVE else None,
            "NOW": None if passing is None else f"{passing / 1000:.0f}",
            "NETWORK": one.network,
            "SWITCH": ", ".join(one.switches),
            "PRIORITY": one.priority,
            "BURST": one.burst_kbit,
            "MATCH": one.match,
        }


def _documents(found: Iterable[RuleStatistics], recent: Iterable[RuleStatistics]) -> Iterator[dict[str, Any]]:
    now = {one.rows: one for one in recent}
    for one in found:
        latest = now.get(one.rows)
        yield one.as_document() | {"recent": latest.counts() if latest else None}


def _style(one: RuleStatistics) -> str:
    if one.meter.value == MISSING:
        return f"{output.BOLD};{output.RED}"
    return output.YELLOW if one.dropped_packets else ""
