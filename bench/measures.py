"""What is timed: ovnqos as its users use it, and beside it, in the same run, what the database alone needs."""

from __future__ import annotations

import gc
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bench.floor import dump_operations, make_switches_and_ports, time_nbctl, time_read, time_transact
from bench.generate import ZONE_NODE
from ovnqos import Compiler, Northbound, OvnKubernetesTopology, plan_changes
from ovnqos.controller import parse_namespace, parse_pod, parse_policy
from ovnqos.sandbox import NorthboundServer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.generate import Cluster
    from ovnqos import DesiredState, Namespace, NetworkQoS, Pod


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One measure: medians and minima in ms, and the ratio of the medians. The floor is None where there is none."""

    measure: str
    size: str
    ours_ms: float
    ours_min_ms: float
    floor_ms: float | None
    floor_min_ms: float | None
    ratio: float | None
    transactions: int | None = None
    notes: str = ""


@dataclass(slots=True, kw_only=True)
class _Series:
    ours: list[float] = field(default_factory=list)
    floor: list[float] = field(default_factory=list)

    def result(self, measure: str, size: str, transactions: int | None = None, notes: str = "") -> Result:
        ours, floor = statistics.median(self.ours), statistics.median(self.floor) if self.floor else None
        return Result(
            measure=measure,
            size=size,
            ours_ms=ours * 1e3,
            ours_min_ms=min(self.ours) * 1e3,
            floor_ms=None if floor is None else floor * 1e3,
            floor_min_ms=min(self.floor) * 1e3 if self.floor else None,
            ratio=None if floor is None else ours / floor,
            transactions=transactions,
            notes=notes,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Objects:
    """A cluster's objects, parsed: what our time starts from."""

    namespaces: Sequence[Namespace]
    pods: Sequence[Pod]
    policies: Sequence[NetworkQoS]
    zone_nodes: Sequence[str] | None

    @classmethod
    def of(cls, cluster: Cluster, mode: str) -> Objects:
        """Parse a generated cluster."""
        return cls(
            namespaces=[parse_namespace(one) for one in cluster.namespaces],
            pods=[parse_pod(one) for one in cluster.pods],
            policies=[parse_policy(one) for one in cluster.policies],
            zone_nodes=[ZONE_NODE] if mode == "zone" else None,
        )

    def compile(self) -> DesiredState:
        """All the work on objects: inventory, and rows of every policy."""
        topology = OvnKubernetesTopology(zone_nodes=self.zone_nodes)
        return Compiler.of((*self.namespaces, *self.pods, *self.policies), topology).desired()


def quiet_collector() -> None:
    """Do as the command does: what is loaded stays, so the collector need not walk it again and again."""
    gc.collect()
    gc.freeze()
    gc.disable()


def start_up(runs: int) -> Result:
    """The interpreter and the imports, which the other measures leave out; beside a bare interpreter."""
    series = _Series()
    for _ in range(runs):
        series.ours.append(_time_command([sys.executable, "-m", "ovnqos", "--version"]))
        series.floor.append(_time_command([sys.executable, "-c", "pass"]))
    return series.result("start_up", "-")


def compile_time(size: str, objects: Objects, runs: int) -> Result:
    """CPU time of compiling all objects from nothing."""
    series = _Series()
    rules = sum(len(policy.rules) for policy in objects.policies)
    for _ in range(runs):
        start = time.process_time()
        objects.compile()
        series.ours.append(time.process_time() - start)
    each = statistics.median(series.ours) / (len(objects.pods) + rules) * 1e6
    return series.result("compile_cpu", size, notes=f"{each:.0f} µs a pod or rule")


def sync_times(size: str, cluster: Cluster, objects: Objects, runs: int) -> list[Result]:
    """Initial sync into an empty database, then a restart with nothing to do, each beside its floor."""
    initial, restart = _Series(), _Series()
    readings: list[float] = []
    transactions: set[int] = set()
    written: set[int] = set()
    nbctl: float | None = None
    rows = 0
    for _ in range(runs):
        with NorthboundServer() as ours, NorthboundServer() as other, NorthboundServer() as by_nbctl:
            for server in (ours, other, by_nbctl):
                make_switches_and_ports(server.remote, cluster)
            seconds, count, rows = _sync(ours.remote, objects)
            initial.ours.append(seconds)
            transactions.add(count)
            operations = dump_operations(ours.remote)
            initial.floor.append(time_transact(other.remote, operations))
            seconds, count, rows = _sync(ours.remote, objects)
            restart.ours.append(seconds)
            written.add(count)
            restart.floor.append(time_read(ours.remote, with_ports=True).seconds)
            readings.append(time_reading(ours.remote))
            nbctl = time_nbctl(by_nbctl.remote, operations)
    beside = f"; ovn-nbctl {nbctl * 1e3:.0f} ms" if nbctl is not None else "; too long for ovn-nbctl's command line"
    reading = statistics.median(readings)
    alone = f"{statistics.median(restart.ours) / reading:.1f} x reading alone, {reading * 1e3:.0f} ms"
    return [
        initial.result("initial_sync", size, max(transactions), f"{rows} rows{beside}"),
        restart.result("noop_restart", size, max(written), alone),
    ]


def time_reading(remote: str) -> float:
    """Seconds to connect and have all rows as plain values: the part of a restart that is not deciding."""
    start = time.perf_counter()
    with Northbound.connect(remote, timeout_s=120) as northbound:
        northbound.snapshot()
        return time.perf_counter() - start


def _sync(remote: str, objects: Objects) -> tuple[float, int, int]:
    start = time.perf_counter()
    with Northbound.connect(remote, timeout_s=120, wait=False) as northbound:
        desired = objects.compile()  # while the server gathers what it has
        plan = plan_changes(desired, northbound.snapshot())
        applied = northbound.apply(plan)
        seconds = time.perf_counter() - start
    if plan.missing:
        raise RuntimeError(f"the benchmark's database is incomplete: {plan.missing[0]}")
    return seconds, applied.transactions, len(desired.rows)


def _time_command(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start
