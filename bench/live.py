"""The daemon's reconcile loop under changes: from an event to the commit's reply, beside the database alone."""

from __future__ import annotations

import gc
import json
import statistics
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from bench import probe
from bench.floor import dump_operations, make_switches_and_ports, time_read, time_transact
from bench.loop import Loop, told
from bench.measures import Objects, Result
from bench.pods import change_addresses
from bench.probe import with_probe
from bench.rpc import RawClient, encode
from ovnqos.kubernetes import Changes
from ovnqos.sandbox import NorthboundServer

if TYPE_CHECKING:
    from bench.generate import Cluster
    from ovnqos import NetworkQoS, Pod

_STARTS = 5
_NO_PAUSE_S = 0.01
"""Seconds between full passes, so that there is nearly always one under way."""


def loop_measures(size: str, cluster: Cluster, mode: str, times: int) -> list[Result]:
    """Pod, rule and object changes, drift and its repair, each many times."""
    random = Random(1)
    cluster = with_probe(cluster)
    objects = Objects.of(cluster, mode)
    with NorthboundServer() as server, NorthboundServer() as twin:
        for one in (server, twin):
            make_switches_and_ports(one.remote, cluster)
        loop = Loop(server.remote, objects)
        loop.start(objects)
        gc.freeze()
        time_transact(twin.remote, dump_operations(server.remote))
        floor = _floor(server.remote, times)
        try:
            pods = {
                name: change_addresses(
                    loop, remote=server.remote, twin=twin.remote, pods=chosen, random=random, times=times
                )
                for name, chosen in (("pod_change", _selected(objects)), ("probe_change", _probes(objects)))
            }
            made, gone = _objects(loop, objects, random, times)
            rules = [_rule_change(loop, objects, random) for _ in range(times)]
            drift = _drift(loop, server, times)
        finally:
            loop.stop()
        loop = Loop(server.remote, objects, full_pass_seconds=_NO_PAUSE_S)
        loop.start(objects)
        try:
            pods["pod_change_in_full_pass"] = change_addresses(
                loop, remote=server.remote, twin=twin.remote, pods=_selected(objects), random=random, times=times
            )
        finally:
            loop.stop()
    return [
        *(one for name, done in pods.items() for one in _percentiles(name, size, done.ours, done.floor, done.notes)),
        *_percentiles("rule_change", size, rules, floor),
        *_percentiles("object_new", size, made, floor),
        *_percentiles("object_gone", size, gone, floor),
        *_percentiles("drift_repair", size, drift, floor),
    ]


def own_process(size: str, cluster: Cluster, mode: str) -> list[Result]:
    """What a process with nothing but the loop needs: memory, and time to start where there is nothing to do."""
    objects = Objects.of(cluster, mode)
    with NorthboundServer() as server, tempfile.TemporaryDirectory() as folder:
        make_switches_and_ports(server.remote, cluster)
        file = Path(folder) / "objects.jsonl"
        with file.open("w") as lines:
            lines.writelines(json.dumps(one) + "\n" for listed in cluster.documents() for one in listed["items"])
        program = [sys.executable, "-m", "bench.own_process"]
        arguments = [str(file), server.remote, *(objects.zone_nodes or ())]
        _, megabytes = _run([*program, *arguments])
        reading_alone = [sys.executable, "-m", "bench.reading", server.remote]
        starts, rests, readings, selects = [], [], [], []
        for _ in range(_STARTS):  # in turn, because the machine's speed varies
            starts.append(_run([*program, *arguments])[0])
            rests.append(_run([*program, "--read-ahead", *arguments])[0])
            readings += _run(reading_alone)
            selects.append(time_read(server.remote, with_ports=True).seconds)
    start, rest, select, reading = map(statistics.median, (starts, rests, selects, readings))
    return [
        Result(
            measure="loop_restart",
            size=size,
            ours_ms=start * 1e3,
            ours_min_ms=min(starts) * 1e3,
            floor_ms=select * 1e3,
            floor_min_ms=min(selects) * 1e3,
            ratio=start / select,
            notes=f"fresh processes; {start / reading:.1f} x reading alone, {reading * 1e3:.0f} ms; "
            f"of it {rest * 1e3:.0f} ms, {rest / reading:.1f} x, after the reading",
        ),
        Result(
            measure="memory_mb",
            size=size,
            ours_ms=megabytes,
            ours_min_ms=megabytes,
            floor_ms=None,
            floor_min_ms=None,
            ratio=None,
            notes="MB resident, of a process with the loop",
        ),
    ]


def _run(command: list[str]) -> list[float]:
    return [float(word) for word in subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()]


def _probes(objects: Objects) -> list[Pod]:
    """Pods that are in the same number of sets in a cluster of any size."""
    return [pod for pod in objects.pods if pod.namespace == probe.NAMESPACE and "source" not in pod.labels]


def _selected(objects: Objects) -> list[Pod]:
    """Pods of policies' own namespaces that a destination selector of theirs takes: their changes cost something."""
    found: list[Pod] = []
    by_namespace: dict[str, list[Pod]] = {}
    for pod in objects.pods:
        by_namespace.setdefault(pod.namespace, []).append(pod)
    for policy in objects.policies[:200]:
        for rule in policy.rules:
            for peer in rule.classifier.destinations or ():
                selector = getattr(peer, "pod_selector", None)
                if selector is not None and getattr(peer, "namespace_selector", None) is None:
                    found.extend(one for one in by_namespace.get(policy.namespace, ()) if selector.matches(one.labels))
    return found


def _rule_change(loop: Loop, objects: Objects, random: Random) -> float:
    policy = random.choice(objects.policies)
    first = replace(policy.rules[0], dscp=random.choice([n for n in range(64) if n != policy.rules[0].dscp]))
    seconds = loop.after(lambda: loop.inbox.changed(told(replace(policy, rules=(first, *policy.rules[1:])))))
    loop.after(lambda: loop.inbox.changed(told(policy)))
    return seconds


def _objects(loop: Loop, objects: Objects, random: Random, times: int) -> tuple[list[float], list[float]]:
    made, gone = [], []
    for number in range(times):
        policy: NetworkQoS = replace(random.choice(objects.policies), name=f"new-{number}", priority=100)
        made.append(loop.after(lambda one=policy: loop.inbox.changed(told(one))))  # type: ignore[misc] # bound at once
        removed = Changes(kind="NetworkQoS", deleted=(policy.key,))
        gone.append(loop.after(lambda changes=removed: loop.inbox.changed(changes)))  # type: ignore[misc] # likewise
    return made, gone


def _drift(loop: Loop, server: NorthboundServer, times: int) -> list[float]:
    """Another client edits a row: from that request to the reply to its repair."""
    seconds = []
    with RawClient(server.remote) as client:
        rows = client.transact([{"op": "select", "table": "QoS", "where": [], "columns": ["_uuid"]}]).result[0]["rows"]
        for number in range(times):
            where = [["_uuid", "==", rows[number % len(rows)]["_uuid"]]]
            edit = encode([{"op": "update", "table": "QoS", "where": where, "row": {"priority": 7}}])
            seconds.append(loop.after(lambda request=edit: client.send(request)))  # type: ignore[misc] # likewise
            client.receive()
    return seconds


def _floor(remote: str, times: int) -> list[float]:
    """The database alone: one address into a set and out again, each a pre-encoded transaction, until the reply."""
    seconds = []
    with RawClient(remote) as client:
        made = client.transact([{"op": "insert", "table": "Address_Set", "row": {"name": "bench_floor"}}])
        on = {"table": "Address_Set", "where": [["_uuid", "==", made.result[0]["uuid"]]]}
        for number in range(times):
            mutation = ["addresses", "insert" if number % 2 == 0 else "delete", ["set", ["10.98.0.1"]]]
            seconds.append(client.transact([{"op": "mutate", "mutations": [mutation], **on}]).seconds)
        client.transact([{"op": "delete", **on}])
    return seconds


def _percentiles(measure: str, size: str, ours: list[float], floor: list[float], notes: str = "") -> list[Result]:
    """The median and the 99th percentile, with the floor's; the column of minima has each list's."""
    return [
        Result(
            measure=f"{measure}_{name}",
            size=size,
            ours_ms=percentile(ours) * 1e3,
            ours_min_ms=min(ours) * 1e3,
            floor_ms=percentile(floor) * 1e3,
            floor_min_ms=min(floor) * 1e3,
            ratio=percentile(ours) / percentile(floor),
            notes=notes,
        )
        for name, percentile in (("p50", statistics.median), ("p99", _p99))
    ]


def _p99(values: list[float]) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * 0.99))]
