"""The example of docs/controllers.md, on a real API and a real Northbound."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import tenacity

from ovnqos.sandbox.process import Process
from tests.cluster.support_daemon import SWITCHES, apply, delete, guide_policy, rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovnqos.sandbox import NorthboundServer
    from tests.support.kubernetes.api import KubernetesApi

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "controller.py"
EXIT_INTERRUPTED = 130
OWN = "from-lport 20000 (ip4.dst == 203.0.113.0/24) rate=50000"

eventually = tenacity.retry(stop=tenacity.stop_after_delay(30), wait=tenacity.wait_fixed(0.1), reraise=True)


@pytest.fixture
def controller(
    cluster: KubernetesApi, northbound: NorthboundServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Process]:
    monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig()))
    command = ["env", f"OVN_NB_DB={northbound.remote}", sys.executable, str(EXAMPLE), "lan"]
    process = Process(command, name="example", log=tmp_path / "example.log")
    process.start()
    yield process
    os.kill(process.pid, signal.SIGINT)
    try:
        assert process.wait(timeout=10) == EXIT_INTERRUPTED
    finally:
        process.kill()
    assert "Traceback" not in process.log_text()


def test_the_example_keeps_objects_and_its_own_row_true(
    cluster: KubernetesApi, northbound: NorthboundServer, controller: Process
) -> None:
    @eventually
    def compiled(*marks: int) -> None:
        found = {row.rpartition("dscp=")[2] for row in rows(northbound)}
        assert found == set(map(str, marks)), controller.log_text()

    @eventually
    def own() -> None:
        assert [" ".join(line.split()) for line in northbound.nbctl("qos-list", "lan").splitlines()] == [OWN]

    apply(cluster, guide_policy())
    compiled(20)

    @eventually
    def says_what_is_missing() -> None:
        assert "lan" in controller.log_text()

    says_what_is_missing()
    northbound.nbctl("ls-add", "lan")  # a switch that comes later
    own()
    northbound.nbctl("qos-del", "lan", "--", "qos-del", SWITCHES[0])  # drift
    own()
    compiled(20)

    apply(cluster, guide_policy(dscp=30))
    compiled(30)
    invalid = guide_policy(dscp=40)
    invalid["metadata"]["annotations"] = {"ovnqos.io/bandwidth-scope": "node"}  # what no CRD can refuse
    apply(cluster, invalid, guide_policy(name="other", priority=11, dscp=41))

    compiled(30, 41)
    delete(cluster, "NetworkQoS", "other")
    compiled(30)
    delete(cluster, "NetworkQoS", invalid["metadata"]["name"])
    compiled()
    own()
