"""How the daemon ends: soon, with the Lease given back, and with its rows left in force unless told otherwise."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

import pytest
import yaml

from ovnqos.sandbox.process import Process
from tests.cluster.support_daemon import (
    APPLIED,
    COLLECTIONS,
    END_S,
    PATIENCE_S,
    Daemon,
    apply,
    eventually,
    guide_policy,
    lease_holder,
    pod,
    rows,
    wait_for_rows,
    wait_for_status,
)
from tests.functional.support_command import ovnqos
from tests.functional.support_wiretap import Wiretap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ovnqos.sandbox import NorthboundServer
    from tests.support.kubernetes.api import KubernetesApi


@pytest.fixture
def daemon(start: Callable[..., Daemon], cluster: KubernetesApi) -> Daemon:
    """A daemon that leads and has applied the guide's policy; it waits for the Northbound as long as by default."""
    started = start()
    apply(cluster, guide_policy())
    wait_for_status(cluster, APPLIED)
    return started


def test_without_a_word_nothing_is_removed_and_the_lease_is_free(
    daemon: Daemon, cluster: KubernetesApi, northbound: NorthboundServer, lease: str
) -> None:
    before = rows(northbound)
    assert daemon.terminate() == 0
    assert rows(northbound) == before
    assert lease_holder(cluster, lease) == ""


def test_a_transaction_that_a_frozen_northbound_holds_keeps_neither_the_process_nor_the_lease(
    start: Callable[..., Daemon], cluster: KubernetesApi, northbound: NorthboundServer, lease: str
) -> None:
    with Wiretap(northbound) as tap:
        daemon = start("--nb", tap.remote)
        apply(cluster, guide_policy())
        wait_for_status(cluster, APPLIED)
        northbound.freeze()
        before = len(tap.transactions)
        apply(cluster, guide_policy(dscp=30))
        wait_for_transactions(tap, before + 1)
        assert daemon.terminate() == 0
        assert lease_holder(cluster, lease) == ""
    northbound.thaw()


def test_a_frozen_api_does_not_delay_the_end(
    daemon: Daemon, cluster: KubernetesApi, northbound: NorthboundServer
) -> None:
    cluster.freeze_api()
    try:
        assert daemon.terminate() == 0
    finally:
        cluster.thaw_api()
    wait_for_rows(northbound, 2, "rate=20000")


def test_an_api_frozen_for_long_does_not_delay_the_end(
    daemon: Daemon, cluster: KubernetesApi, northbound: NorthboundServer
) -> None:
    cluster.freeze_api()
    try:
        daemon.wait_for_line("no longer elected")
        northbound.freeze()
        assert daemon.terminate() == 0
    finally:
        northbound.thaw()
        cluster.thaw_api()


def status(api: KubernetesApi, name: str) -> dict[str, Any]:
    code, document = api.request("GET", f"{COLLECTIONS['NetworkQoS']}/{name}")
    assert code == 200, document
    found: dict[str, Any] = document["status"]
    found["conditions"] = [one for one in found["conditions"] if one["reason"] != "Pending"]
    return {key: value for key, value in found.items() if value and value != "Pending"}  # the defaults of the resource


def test_clean_up_takes_our_rows_sets_and_conditions_and_nobody_elses(
    start: Callable[..., Daemon], cluster: KubernetesApi, northbound: NorthboundServer, lease: str
) -> None:
    northbound.nbctl("qos-add", "ovn.stream_ovn-worker", "to-lport", "100", "ip4.dst == 10.0.0.1", "dscp=7")
    northbound.nbctl("pg-add", "theirs", "default.ovn.stream_default_pod0")
    daemon = start("--cleanup-on-exit")
    names = [f"policy{number}" for number in range(30)]
    apply(cluster, *(guide_policy(name=name, priority=number) for number, name in enumerate(names)))
    for name in names:
        wait_for_status(cluster, APPLIED, name)
    assert len(rows(northbound)) == 61
    assert daemon.terminate() == 0
    assert [row.split()[-1] for row in rows(northbound)] == ["dscp=7"]
    assert northbound.nbctl("--bare", "--columns=name", "list", "Port_Group").split() == ["theirs"]
    assert northbound.nbctl("list", "Address_Set") == ""
    assert [status(cluster, name) for name in names] == [{}] * 30
    assert lease_holder(cluster, lease) == ""


def test_what_an_empty_list_leaves_of_a_daemon_that_is_gone_a_further_daemons_clean_up_lifts(
    start: Callable[..., Daemon], cluster: KubernetesApi, northbound: NorthboundServer
) -> None:
    """As docs/deploy.md says: the limits of pods' own annotations."""
    northbound.nbctl("ls-add", "ovn-worker", "--", "lsp-add", "ovn-worker", "default_pod1")
    networks = {"default": {"ip_addresses": ["10.244.1.9/24"]}, "default/ovn-stream": {"ip_addresses": []}}
    limited = pod("pod1", annotation=json.dumps(networks))
    limited["metadata"]["annotations"]["qos.projectcalico.org/egressBandwidth"] = "5M"
    apply(cluster, limited, guide_policy())
    before = start()
    wait_for_rows(northbound, 2)
    wait_for_limits(northbound, 1)
    assert before.terminate() == 0
    empty = "{apiVersion: v1, kind: List, items: []}"
    options = ("--prune", "--allow-incomplete", "--max-deletes", "100%", "--yes", "--nb", northbound.remote)
    assert ovnqos("apply", "-f", "-", *options, stdin=empty).code == 0
    wait_for_rows(northbound, 0)
    wait_for_limits(northbound, 1)
    after = start("--cleanup-on-exit")
    wait_for_rows(northbound, 2)
    assert after.terminate() == 0
    wait_for_rows(northbound, 0)
    wait_for_limits(northbound, 0)


@eventually
def wait_for_limits(northbound: NorthboundServer, count: int) -> None:
    """Wait for so many rows of pods' own limits."""
    assert northbound.nbctl("qos-list", "ovn-worker").count("rate=5000") == count


def test_the_clean_up_of_a_node_leaves_what_the_other_zones_say(
    start: Callable[..., Daemon], cluster: KubernetesApi, northbound: NorthboundServer
) -> None:
    lasting = start("--mode", "zone", "--node", "ovn-worker", "--owner", "worker")
    lasting.wait_for_line("elected")
    leaving = start("--mode", "zone", "--node", "ovn-worker2", "--owner", "worker2", "--cleanup-on-exit")
    apply(cluster, guide_policy())
    wait_for_rows(northbound, 2, "dscp=20")
    wait_for_conditions(cluster, ["ovn-worker", "ovn-worker2"])
    assert leaving.terminate() == 0
    wait_for_rows(northbound, 1, "dscp=20")
    wait_for_conditions(cluster, ["ovn-worker"])
    wait_for_status(cluster, APPLIED)


@eventually
def wait_for_conditions(api: KubernetesApi, zones: list[str]) -> None:
    found = status(api, "qos-external").get("conditions", [])
    assert sorted(one["type"] for one in found) == ["Ready", *(f"Ready-In-Zone-{zone}" for zone in zones)]


def test_after_a_clean_up_a_daemon_says_anew_what_holds(
    start: Callable[..., Daemon], cluster: KubernetesApi, northbound: NorthboundServer
) -> None:
    first = start("--cleanup-on-exit")
    apply(cluster, guide_policy())
    wait_for_status(cluster, APPLIED)
    assert first.terminate() == 0
    assert status(cluster, "qos-external") == {}
    start()
    wait_for_status(cluster, APPLIED)
    wait_for_rows(northbound, 2, "dscp=20")


def test_a_clean_up_that_fails_is_told_and_gives_the_lease_back_in_time(
    start: Callable[..., Daemon], cluster: KubernetesApi, northbound: NorthboundServer, lease: str
) -> None:
    daemon = start("--cleanup-on-exit")
    apply(cluster, guide_policy())
    wait_for_status(cluster, APPLIED)
    northbound.freeze()
    assert daemon.terminate() == 0
    assert lease_holder(cluster, lease) == ""
    assert daemon.lines("clean-up incomplete")
    assert wait_for_status(cluster, APPLIED)["conditions"]  # as its rows are still in force
    northbound.thaw()


def test_a_clean_up_whose_api_is_frozen_takes_the_rows_and_tells_what_it_could_not(
    start: Callable[..., Daemon], cluster: KubernetesApi, northbound: NorthboundServer
) -> None:
    daemon = start("--cleanup-on-exit")
    apply(cluster, guide_policy())
    wait_for_status(cluster, APPLIED)
    cluster.freeze_api()
    try:
        assert daemon.terminate() == 0
    finally:
        cluster.thaw_api()
    assert rows(northbound) == []
    assert daemon.lines("clean-up incomplete")


WRONG: Final = (
    (("--nonsense",), "--nonsense"),
    (("--lease-renew", "20"), "lease_renew"),
    (("--kubeconfig", "/none"), "/none"),
    (("--nb", "http://nb"), "http://nb"),
    (("--nb", "ssl:nb:6641", *(f"--{file}=/none" for file in ("private-key", "certificate", "ca-cert"))), "/none"),
)
"""One of each stage: flags, settings, the API, remotes, TLS; tests/unit has all that settings can be wrong in."""


def test_settings_that_cannot_be_used_are_one_line_and_no_traceback(silent_api: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        ends = list(pool.map(lambda case: run(silent_api, *case[0]), WRONG))
    for (flags, words), ended in zip(WRONG, ends, strict=True):
        assert ended.returncode == 1, flags
        assert ended.stdout == "", flags
        assert len(ended.stderr.splitlines()) == 1, ended.stderr
        assert ended.stderr.startswith("ovnqosd: ")
        assert words in ended.stderr, flags


def test_the_settings_in_force_are_printed_as_a_file_that_gives_the_same(silent_api: Path, tmp_path: Path) -> None:
    printed = run(silent_api, "--lease-name", "other", "--print-config")
    assert (printed.returncode, printed.stderr) == (0, "")
    file = tmp_path / "ovnqosd.yaml"
    file.write_text(printed.stdout)
    assert yaml.safe_load(run(silent_api, "--config", str(file), "--print-config").stdout) == yaml.safe_load(
        printed.stdout
    )


def test_an_api_that_takes_connections_and_says_nothing_does_not_delay_the_end(
    silent_api: Path, northbound: NorthboundServer, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "ovnqosd", "--kubeconfig", str(silent_api), "--nb", northbound.remote]
    with Process([*command, "--metrics-address", "127.0.0.1:0"], name="ovnqosd", log=tmp_path / "log") as process:
        process.wait_until(lambda: '"started"' in process.log_text(), what="start")
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(timeout=END_S) == 0


@pytest.fixture
def silent_api(tmp_path: Path) -> Iterator[Path]:
    """The kubeconfig of an API server that accepts connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        entry = {"cluster": {"server": f"https://127.0.0.1:{listener.getsockname()[1]}"}, "name": "silent"}
        context = {"context": {"cluster": "silent"}, "name": "silent"}
        path = tmp_path / "kubeconfig"
        path.write_text(json.dumps({"clusters": [entry], "contexts": [context], "current-context": "silent"}))
        yield path


@eventually
def wait_for_transactions(tap: Wiretap, count: int) -> None:
    assert len(tap.transactions) >= count


def run(kubeconfig: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ovnqosd", "--kubeconfig", str(kubeconfig), "--metrics-address", "127.0.0.1:0"]
    return subprocess.run([*command, *flags], capture_output=True, text=True, timeout=PATIENCE_S, check=False)
