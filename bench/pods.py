"""A pod gets another address: the time until all its sets have it, beside the database's own for the same mutations."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from bench.loop import told
from bench.rpc import RawClient

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from bench.loop import Loop
    from bench.rpc import Operation
    from ovnqos import Pod

_POD_NETWORKS = "k8s.ovn.org/pod-networks"


@dataclass(slots=True, kw_only=True)
class PodChanges:
    """Changes that were timed, each with what the database alone needed for it.

    Attributes:
        ours: seconds until the commit's reply, by the loop.
        floor: seconds until the reply of one pre-encoded transaction with the same mutations, in an equal database.
        sets: how many address sets the pod is in.
        cpu_seconds: of this process, for all of ours.
    """

    ours: list[float] = field(default_factory=list)
    floor: list[float] = field(default_factory=list)
    sets: list[int] = field(default_factory=list)
    cpu_seconds: float = 0.0

    @property
    def notes(self) -> str:
        """How many sets a change touched, and what that took, each, of wall-clock and of processor time."""
        touched, changes = sum(self.sets), len(self.sets)
        wall, cpu = sum(self.ours) / touched * 1e3, self.cpu_seconds / changes * 1e3
        return f"{touched / changes:.1f} sets a change, {wall:.2f} ms a set; CPU {cpu:.2f} ms a change"


def change_addresses(  # noqa: PLR0913 - keywords, each its own
    loop: Loop, *, remote: str, twin: str, pods: Sequence[Pod], random: Random, times: int
) -> PodChanges:
    """Give random ones of the pods another address, one at a time.

    Args:
        loop: reconciles the database `remote`.
        remote: `unix:PATH`.
        twin: `unix:PATH` of an equal database without a reconcile loop; it is left as it was.
        pods: to choose from; each is in an address set at least.
        random: chooses.
        times: how many changes.
    """
    changes = PodChanges()
    chosen = [random.choice(pods) for _ in range(times)]
    sets_here, sets_there = _sets_by_address(remote), _sets_by_address(twin)
    with RawClient(twin) as client:
        for number, pod in enumerate(chosen):  # in turn, because the machine's speed varies
            old, new = _address(pod), _new_address(number)
            moved = told(_moved(pod, new))
            before = time.process_time()
            changes.ours.append(loop.after(lambda: loop.inbox.changed(moved), written=True))  # noqa: B023 - called at once
            changes.cpu_seconds += time.process_time() - before
            changes.sets.append(len(sets_here[old]))
            changes.floor.append(client.transact(_exchanges(sets_there[old], old, new)).seconds)
            client.transact(_exchanges(sets_there[old], new, old))
    for pod in {pod.key: pod for pod in chosen}.values():
        loop.after(lambda: loop.inbox.changed(told(pod)), written=True)  # noqa: B023 - called at once
    return changes


def _moved(pod: Pod, address: str) -> Pod:
    networks = json.loads(pod.annotations[_POD_NETWORKS])
    networks["default"]["ip_addresses"] = [f"{address}/16"]
    return replace(pod, annotations={_POD_NETWORKS: json.dumps(networks)})


def _address(pod: Pod) -> str:
    networks: dict[str, Any] = json.loads(pod.annotations[_POD_NETWORKS])
    return str(networks["default"]["ip_addresses"][0]).partition("/")[0]


def _new_address(number: int) -> str:
    return f"10.99.{number // 250}.{number % 250}"


def _sets_by_address(remote: str) -> dict[str, list[list[str]]]:
    """By address, the uuids of the sets that have it."""
    select = {"op": "select", "table": "Address_Set", "where": [], "columns": ["_uuid", "addresses"]}
    with RawClient(remote) as client:
        rows = client.transact([select]).result[0]["rows"]
    found = defaultdict(list)
    for row in rows:
        members = row["addresses"]
        for address in members[1] if isinstance(members, list) else [members]:
            found[address].append(row["_uuid"])
    return found


def _exchanges(sets: Sequence[list[str]], old: str, new: str) -> list[Operation]:
    mutations = [["addresses", "delete", ["set", [old]]], ["addresses", "insert", ["set", [new]]]]
    return [
        {"op": "mutate", "table": "Address_Set", "where": [["_uuid", "==", uuid]], "mutations": mutations}
        for uuid in sets
    ]
