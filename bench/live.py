"""The daemon's reconcile loop under changes: from an event to the commit's reply, beside the database alone."""

from __future__ import annotations

import gc
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from bench.floor import make_switches_and_ports
from bench.measures import Objects, Result
from bench.rpc import RawClient
from ovnqos import LiveCompilation, NetworkQoS, Northbound, Pod, Topology
from ovnqos.sandbox import NorthboundServer
from ovnqosd.backoff import Clock
from ovnqosd.changes import Changes, Metadata, Updated
from ovnqosd.inbox import Inbox
from ovnqosd.reconciler import Reconciler

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.generate import Cluster
    from ovnqosd.outcomes import PassOutcome

_POD_NETWORKS = "k8s.ovn.org/pod-networks"
_TIMEOUT_S = 120.0


class Loop:
    """A reconcile loop in a thread; `after` waits for the pass that something causes."""

    def __init__(self, remote: str, objects: Objects) -> None:
        self._outcomes: list[PassOutcome] = []
        self._arrived = threading.Condition()
        self.inbox = Inbox(Clock())
        self._reconciler = Reconciler(
            live=LiveCompilation(Topology.ovn_kubernetes(zone_nodes=objects.zone_nodes)),
            inbox=self.inbox,
            connect=lambda on_change: Northbound.connect(remote, on_change=on_change, timeout_s=_TIMEOUT_S),
            report=self._report,
            clock=Clock(),
            kinds=frozenset({"Pod"}),
        )
        self._thread = threading.Thread(target=self._reconciler.run)

    def _report(self, outcome: PassOutcome) -> None:
        with self._arrived:
            self._outcomes.append(outcome)
            self._arrived.notify()

    def start(self, objects: Objects) -> float:
        """Tell all objects; returns the seconds until everything is in the database."""
        for one in (*objects.namespaces, *objects.pods, *objects.policies):
            self.inbox.changed(told(one))
        start = time.perf_counter()
        self.inbox.synced("Pod")
        self._thread.start()
        self.after(lambda: None)
        return time.perf_counter() - start

    def after(self, act: Callable[[], object]) -> float:
        """Do something; returns the seconds until a pass that changed the database, or compared all of it, is done."""
        with self._arrived:
            self._outcomes.clear()
        start = time.perf_counter()
        act()
        with self._arrived:
            if not self._arrived.wait_for(self._is_done, _TIMEOUT_S):
                raise RuntimeError(f"no pass came of it: {self._outcomes}")
        return time.perf_counter() - start

    def _is_done(self) -> bool:
        if any(one.error for one in self._outcomes):
            raise RuntimeError(self._outcomes[-1].error)
        return any(one.transactions or one.trigger == "full" for one in self._outcomes)

    def stop(self) -> None:
        """End the loop."""
        self.inbox.stop()
        self._thread.join()


def told(one: Any) -> Changes:
    """An object as a reflector tells of it."""
    metadata = Metadata(
        namespace=getattr(one, "namespace", ""), name=one.name, uid="", generation=1, resource_version="1"
    )
    return Changes(kind=type(one).__name__, updated=(Updated(metadata=metadata, object=one),))


def loop_measures(size: str, cluster: Cluster, objects: Objects, times: int) -> list[Result]:
    """Pod, rule and object changes, drift and its repair, each many times; memory at the end."""
    random = Random(1)
    with NorthboundServer() as server:
        make_switches_and_ports(server.remote, cluster)
        loop = Loop(server.remote, objects)
        loop.start(objects)
        gc.freeze()
        floor = _floor(server.remote, times)
        try:
            made, gone = _objects(loop, objects, random, times)
            results = [
                *_percentiles("pod_change", size, [_pod_change(loop, objects, random, n) for n in range(times)], floor),
                *_percentiles("rule_change", size, [_rule_change(loop, objects, random) for _ in range(times)], floor),
                *_percentiles("object_new", size, made, floor),
                *_percentiles("object_gone", size, gone, floor),
                *_percentiles("drift_repair", size, _drift(loop, server, times), floor),
            ]
        finally:
            loop.stop()
    return [
        *results,
        _result("memory_mb", size, _memory(cluster, objects), None, "resident, of a process with the loop"),
    ]


def _memory(cluster: Cluster, objects: Objects) -> float:
    with NorthboundServer() as server, tempfile.TemporaryDirectory() as folder:
        make_switches_and_ports(server.remote, cluster)
        file = Path(folder) / "objects.jsonl"
        with file.open("w") as lines:
            lines.writelines(json.dumps(one) + "\n" for listed in cluster.documents() for one in listed["items"])
        command = [sys.executable, "-m", "bench.memory", str(file), server.remote, *(objects.zone_nodes or ())]
        return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def _pod_change(loop: Loop, objects: Objects, random: Random, number: int) -> float:
    """A pod that policies select gets another address; the time until all sets have it."""
    pod = random.choice(_selected(objects))
    networks = json.loads(pod.annotations[_POD_NETWORKS])
    networks["default"]["ip_addresses"] = [f"10.99.{number // 250}.{number % 250}/16"]
    return loop.after(lambda: loop.inbox.changed(told(replace(pod, annotations={_POD_NETWORKS: json.dumps(networks)}))))


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
        removed = Changes(kind="NetworkQoS", removed=(policy.key,))
        gone.append(loop.after(lambda changes=removed: loop.inbox.changed(changes)))  # type: ignore[misc] # likewise
    return made, gone


def _drift(loop: Loop, server: NorthboundServer, times: int) -> list[float]:
    """Somebody edits a row by hand: from the reply to that, to the reply to its repair."""
    seconds = []
    with RawClient(server.remote) as client:
        rows = client.transact([{"op": "select", "table": "QoS", "where": [], "columns": ["_uuid"]}]).result[0]["rows"]
        for number in range(times):
            where = [["_uuid", "==", rows[number % len(rows)]["_uuid"]]]
            edit = [{"op": "update", "table": "QoS", "where": where, "row": {"priority": 7}}]
            seconds.append(loop.after(lambda operations=edit: client.transact(operations)))  # type: ignore[misc] # likewise
    return seconds


def _floor(remote: str, times: int) -> list[float]:
    """The database alone: one address into a set and out again, each a pre-encoded transaction, until the reply."""
    seconds = []
    with RawClient(remote) as client:
        name = "bench_floor"
        client.transact([{"op": "insert", "table": "Address_Set", "row": {"name": name}}])
        for number in range(times):
            mutation = ["addresses", "insert" if number % 2 == 0 else "delete", ["set", ["10.98.0.1"]]]
            operation = {
                "op": "mutate",
                "table": "Address_Set",
                "where": [["name", "==", name]],
                "mutations": [mutation],
            }
            seconds.append(client.transact([operation]).seconds)
        client.transact([{"op": "delete", "table": "Address_Set", "where": [["name", "==", name]]}])
    return seconds


def _percentiles(measure: str, size: str, ours: list[float], floor: list[float]) -> list[Result]:
    return [
        _result(f"{measure}_p50", size, statistics.median(ours) * 1e3, statistics.median(floor) * 1e3),
        _result(f"{measure}_p99", size, _p99(ours) * 1e3, _p99(floor) * 1e3),
    ]


def _p99(values: list[float]) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * 0.99))]


def _result(measure: str, size: str, ours: float, floor: float | None, notes: str = "") -> Result:
    return Result(
        measure=measure,
        size=size,
        ours_ms=ours,
        ours_min_ms=ours,
        floor_ms=floor,
        floor_min_ms=floor,
        ratio=ours / floor if floor else None,
        notes=notes,
    )
