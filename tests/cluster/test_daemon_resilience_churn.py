"""The daemon killed at random moments under churn: in the end the Northbound is what a full compile says."""

from __future__ import annotations

import random
import threading
from typing import TYPE_CHECKING, Any, Final

from ovnqos.sandbox import SandboxError
from tests.cluster.support_daemon import (
    SWITCHES,
    Daemon,
    apply,
    delete,
    eventually,
    guide_policy,
    pod,
    rows,
    wait_for_full_compile,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from ovnqos.sandbox import NorthboundServer
    from tests.support.kubernetes.api import KubernetesApi

KILLS: Final = 6
LIFE_S: Final = (0.1, 2.0)
"""How long a daemon lives: it may still start, list, or write."""
WRITING_S: Final = (0.0, 1.0)
"""How long every second one lives after it first made the Northbound so."""
LAST_S: Final = 3
NODES: Final = ("ovn-worker", "ovn-worker2")
POD_NAMES: Final = tuple(f"churn{number}" for number in range(10))
POLICY_NAMES: Final = tuple(f"policy{number}" for number in range(6))
PAUSE_S: Final = 0.01


class Churn:
    """Changes objects through the API, and rows, sets and ports by hand, in a thread of its own."""

    def __init__(self, api: KubernetesApi, northbound: NorthboundServer, seed: int) -> None:
        self.steps = 0
        self.failure: BaseException | None = None
        self._api = api
        self._northbound = northbound
        self._random = random.Random(seed)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Churn:
        for name in POD_NAMES:
            self.change_pod(name)
            self._northbound.nbctl("lsp-add", SWITCHES[hash_of(name)], port(name))
        for name in POLICY_NAMES:
            self.change_policy(name)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def change_pod(self, name: str) -> None:
        labels = {"nqos-app": self._random.choice(("bw-limited", "free")), "tier": self._random.choice("ab")}
        address = f"10.245.4.{self._random.randrange(10, 250)}"
        apply(self._api, pod(name, node=NODES[hash_of(name)], labels=labels, address=address))

    def delete_pod(self, name: str) -> None:
        delete(self._api, "Pod", name)

    def change_policy(self, name: str) -> None:
        document = guide_policy(
            name=name,
            dscp=self._random.randrange(64),
            rate=self._random.randrange(1, 9) * 1000,
            priority=POLICY_NAMES.index(name),
        )
        peer = {"podSelector": {"matchLabels": {"tier": self._random.choice("ab")}}}
        rule = {"dscp": self._random.randrange(64), "classifier": {"to": [peer]}}
        document["spec"]["egress"] += [rule] * self._random.randrange(2)
        apply(self._api, document)

    def delete_policy(self, name: str) -> None:
        delete(self._api, "NetworkQoS", name)

    def edit_row(self, _name: str) -> None:
        found = self._northbound.nbctl("--bare", "--columns=_uuid", "list", "QoS").split()
        if found:
            column = self._random.choice(
                ("bandwidth:rate=1", "action:dscp=1", "priority=1", "external_ids:rule-index=9")
            )
            self._northbound.nbctl("--if-exists", "set", "QoS", self._random.choice(found), column)

    def delete_rows(self, _name: str) -> None:
        self._northbound.nbctl("qos-del", self._random.choice(SWITCHES))

    def break_set(self, _name: str) -> None:
        table, column = self._random.choice((("Address_Set", "addresses"), ("Port_Group", "ports")))
        found = self._northbound.nbctl("--bare", "--columns=_uuid", "list", table).split()
        if found:
            words = self._random.choice((("clear",), ("destroy",)))
            row = self._random.choice(found)
            self._northbound.nbctl("--if-exists", *words, table, row, *((column,) if words == ("clear",) else ()))

    def replace_port(self, name: str) -> None:
        self._northbound.nbctl("--if-exists", "lsp-del", port(name))
        self._northbound.nbctl("lsp-add", SWITCHES[hash_of(name)], port(name))

    def _run(self) -> None:
        deeds: tuple[tuple[Callable[[str], Any], tuple[str, ...]], ...] = (
            *((self.change_pod, POD_NAMES),) * 3,
            (self.delete_pod, POD_NAMES),
            *((self.change_policy, POLICY_NAMES),) * 3,
            (self.delete_policy, POLICY_NAMES),
            (self.edit_row, ("",)),
            (self.delete_rows, ("",)),
            (self.break_set, ("",)),
            (self.replace_port, POD_NAMES),
        )
        try:
            while not self._stop.wait(PAUSE_S):
                deed, names = self._random.choice(deeds)
                try:
                    deed(self._random.choice(names))
                except SandboxError as error:  # a row that the daemon took away between our look and our deed
                    if "no row" not in str(error):
                        raise
                self.steps += 1
        except BaseException as error:
            self.failure = error


def hash_of(name: str) -> int:
    """On which of the two nodes a pod is."""
    return POD_NAMES.index(name) % 2


def port(name: str) -> str:
    return f"default.ovn.stream_default_{name}"


def test_a_daemon_killed_again_and_again_under_churn_leaves_what_a_full_compile_says(
    cluster: KubernetesApi, northbound: NorthboundServer, start: Callable[..., Daemon], lease: str
) -> None:
    moments = random.Random(1)
    never = threading.Event()
    wrote = 0
    with Churn(cluster, northbound, seed=2) as churn:
        for number in range(KILLS):
            daemon = start("--lease-name", f"{lease}-{number}")  # so that the next one need not wait for the Lease
            if number % 2:
                daemon.wait_for_line("reconciled")
            never.wait(moments.uniform(*(WRITING_S if number % 2 else LIFE_S)))
            wrote += any(line["transactions"] for line in daemon.lines("reconciled"))
            daemon.process.kill()
        last = start()
        last.wait_for_line("elected")
        never.wait(LAST_S)  # from its first comparison on it follows single changes
    assert churn.failure is None
    assert churn.steps > 50
    assert wrote >= KILLS // 2
    wait_for_full_compile(cluster, northbound.remote)
    assert rows(northbound)
    wait_for_every_policy(cluster)
    triggers = [line["trigger"] for line in last.lines("reconciled")]
    assert triggers.count("change") > triggers.count("full")  # a plan that the churn outran is made anew as a whole
    assert last.terminate() == 0


@eventually
def wait_for_every_policy(api: KubernetesApi) -> None:
    """The conditions of each policy are of its present generation."""
    _, answer = api.request("GET", "/apis/k8s.ovn.org/v1alpha1/networkqoses")
    for document in answer["items"]:
        seen = {one["observedGeneration"] for one in document.get("status", {}).get("conditions", [])}
        assert seen <= {document["metadata"]["generation"]}, document
