"""What a pass takes for drift when Kubernetes and another writer change things at once, on a real Northbound."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import tenacity

from ovnqos import Compiler, Northbound, OvnKubernetesTopology
from ovnqos.controller import DatabaseChange, EndedLimitsMaximum
from ovnqos.kubernetes import Clock
from ovnqosd.loop.comparison import NorthboundComparison
from ovnqosd.loop.northbound_writer import NorthboundWriter
from ovnqosd.loop.object_table import ObjectTable
from ovnqosd.loop.outcomes import DriftKind, PassRecord
from ovnqosd.loop.removal_guard import RemovalGuard
from tests.functional.support_reconciler import PODS, POLICY, rows_of
from tests.support.cluster import pod

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ovnqos.sandbox import NorthboundServer

PATIENCE_S = 10.0


class Passes:
    """Passes one by one, each over what was changed before it."""

    def __init__(self, server: NorthboundServer) -> None:
        self.compiler = Compiler(OvnKubernetesTopology())
        self.server = server
        self._lock = threading.Lock()
        self._change = DatabaseChange()
        self.writer = NorthboundWriter(self._connect, lambda: True)
        guard = RemovalGuard(EndedLimitsMaximum(share=0.3), self.compiler, Clock())
        self.comparison = NorthboundComparison(self.compiler, self.writer, ObjectTable(self.compiler), guard)

    def _connect(self) -> Northbound:
        return Northbound.connect(self.server.remote, on_change=self._on_change, timeout_s=PATIENCE_S)

    def _on_change(self, change: DatabaseChange) -> None:
        with self._lock:
            self._change.merge(change)

    def start(self, *objects: Any) -> None:
        for one in objects:
            self.compiler.apply(one)
        self.comparison.compare_all(PassRecord(), was_complete=False)

    def edit(self, *command: str, noticed: Callable[[DatabaseChange], object]) -> None:
        """Have another writer change something; returns when the change has come."""
        self.server.nbctl(*command)
        tenacity.Retrying(
            retry=tenacity.retry_if_result(lambda held: not held),
            stop=tenacity.stop_after_delay(PATIENCE_S),
            wait=tenacity.wait_fixed(0.01),
        )(lambda: noticed(self._change))

    def compare(self) -> PassRecord:
        with self._lock:
            change, self._change = self._change, DatabaseChange()
        record = PassRecord()
        self.comparison.compare_changes(change, record)
        return record


@pytest.fixture
def passes(wired: NorthboundServer) -> Iterator[Passes]:
    started = Passes(wired)
    started.start(*PODS, POLICY)
    yield started
    started.writer.close()


def row(passes: Passes) -> str:
    return passes.server.nbctl("--bare", "--columns=_uuid", "find", "QoS", "priority=10400").strip()


def group(passes: Passes, column: str = "name") -> str:
    return passes.server.nbctl("--bare", f"--columns={column}", "list", "Port_Group").strip()


def add_pod(passes: Passes, name: str, address: str) -> None:
    passes.server.nbctl("lsp-add", "node1", f"shop_{name}")
    passes.writer.northbound().refresh()  # the replica has the port
    passes.compiler.apply(pod(name, address, labels={"app": "web"}))


def test_an_edit_beside_a_change_of_kubernetes_is_drift_and_one_transaction_does_both(passes: Passes) -> None:
    passes.edit("set", "QoS", row(passes), "bandwidth:rate=1", noticed=lambda change: change.rows)
    add_pod(passes, "new", "10.0.0.3")
    record = passes.compare()
    assert [one.kind for one in record.drift] == [DriftKind.ROW_EDITED]
    assert record.changes == {"row_update": 1, "set_update": 1}
    assert record.transactions == 1


def test_a_row_that_kubernetes_changes_too_is_not_drift(passes: Passes) -> None:
    passes.edit("set", "QoS", row(passes), "bandwidth:rate=1", noticed=lambda change: change.rows)
    passes.compiler.apply(replace(POLICY, priority=11))
    record = passes.compare()
    assert record.drift == []
    assert " 10440 " in rows_of(passes.server)[0]


def test_of_a_set_only_the_members_are_drift_that_kubernetes_did_not_change(passes: Passes) -> None:
    add_pod(passes, "one", "10.0.0.3")
    passes.compare()
    port = passes.server.nbctl("--bare", "--columns=_uuid", "find", "Logical_Switch_Port", "name=shop_web").strip()
    name = group(passes)
    passes.edit("remove", "Port_Group", name, "ports", port, noticed=lambda change: change.sets.get(name))
    add_pod(passes, "two", "10.0.0.4")
    record = passes.compare()
    (drift,) = record.drift
    assert (drift.kind, drift.what) == (DriftKind.SET_EDITED, name)
    assert "shop_web" in drift.found
    assert "shop_two" not in drift.found
    assert record.changes == {"set_update": 1}


def test_a_set_that_is_gone_is_drift_and_comes_back_whole_when_a_pod_joins_it(passes: Passes) -> None:
    name, before = group(passes), group(passes, "ports").split()
    passes.edit("destroy", "Port_Group", name, noticed=lambda change: name in change.sets)
    add_pod(passes, "new", "10.0.0.3")
    record = passes.compare()
    assert [one.kind for one in record.drift] == [DriftKind.SET_DELETED]
    assert len(group(passes, "ports").split()) == len(before) + 1


def test_what_a_set_says_of_its_owner_is_drift_when_another_writer_changed_it(passes: Passes) -> None:
    name = group(passes)
    passes.edit(
        "set", "Port_Group", name, "external_ids:ovnqos.io/id=other", noticed=lambda change: name in change.sets
    )
    record = passes.compare()
    assert [one.kind for one in record.drift] == [DriftKind.SET_EDITED]
    assert passes.compare().drift == []


def test_a_switch_and_a_port_that_appear_are_not_drift(passes: Passes) -> None:
    passes.compiler.apply(pod("late", "10.0.0.5", node="node3", labels={"app": "web"}))
    passes.compare()
    assert len(passes.comparison.missing) == 2
    passes.edit(
        "ls-add", "node3", "--", "lsp-add", "node3", "shop_late",
        noticed=lambda change: change.switches and change.ports,
    )  # fmt: skip
    record = passes.compare()
    assert record.drift == []
    assert len(passes.comparison.missing) == 0
    assert len(rows_of(passes.server, "node3")) == 1
