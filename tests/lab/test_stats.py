"""`ovnqos stats` against packets: what was sent, what arrived, and what the meters of the sender's chassis say."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from typing import TYPE_CHECKING, Any, Final

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from ovnqos.cli.main import run
from ovnqos.sandbox import measure
from tests.lab.support_cluster import rule
from tests.lab.support_rates import limited_rule, udp_stream
from tests.support.kubernetes.programs import free_port
from tests.support.lab_sandbox import ofctl

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prometheus_client.samples import Sample

    from tests.lab.support_guide import Guide

PORT: Final = 5301
RATE_KBPS: Final = 3_000
PAYLOAD: Final = 1200
HEADERS: Final = 42  # Ethernet, IPv4, UDP
NODE: Final = "ovn-worker2"  # of pod2, which sends


class Statistics:
    """Runs `ovnqos stats` for one node of the guide's cluster."""

    def __init__(self, guide: Guide, capsys: pytest.CaptureFixture[str]) -> None:
        self._central = guide.cluster.sandbox.central
        self._capsys = capsys

    def __call__(self, *more: str, node: str = NODE, code: int = 0) -> list[dict[str, Any]]:
        rules = json.loads(self._run("stats", "--interval", "0", *more, node=node, code=code)[0])["rules"]
        # a limit's row in from-lport is for groups of receivers
        return [one for one in rules if one["direction"] == "to-lport"]

    def verify(self, *more: str, code: int = 0) -> tuple[dict[str, str], str]:
        """Runs `ovnqos verify` there: the verdict on each row by its direction, and what else was said."""
        told, said = self._run("verify", "--no-trace", "-t", "3", *more, node=NODE, code=code)
        rows = [one for one in json.loads(told)["rows"] if one["switch"].endswith(NODE)]
        return {one["direction"]: one["verdict"] for one in rows if one["rule"] == "0"}, said

    def _run(self, command: str, *more: str, node: str, code: int) -> tuple[str, str]:
        folder = str(self._central.folder / node)
        self._capsys.readouterr()
        place = ["--nb", self._central.northbound.remote, "--sb", self._central.southbound.remote]
        folders = ["--ovs-rundir", folder, "--ovn-rundir", folder]
        assert run([command, *place, *folders, "-o", "json", *more]) == code
        told = self._capsys.readouterr()
        return told.out, told.err


@pytest.fixture
def statistics(guide: Guide, capsys: pytest.CaptureFixture[str]) -> Statistics:
    return Statistics(guide, capsys)


def policy(guide: Guide, *rules: dict[str, Any]) -> dict[str, Any]:
    spec = {**guide.policy["spec"], "egress": list(rules)}
    return {**guide.policy, "metadata": {"name": "stats", "namespace": "default"}, "spec": spec}


def test_packets_and_drops_are_those_of_the_stream(guide: Guide, statistics: Statistics) -> None:
    guide.cluster.apply(policy(guide, limited_rule(10, PORT, RATE_KBPS, 100)))
    stream = udp_stream(guide.pod("pod2"), guide.destination("pod1"), port=PORT, offered_kbps=3 * RATE_KBPS, seconds=3)
    (arrived,) = measure([stream])
    (found,) = statistics("--object", "NetworkQoS/default/stats")
    sent = arrived.offered * arrived.seconds / 8 / (PAYLOAD + HEADERS)
    assert found["packets"] == pytest.approx(sent, rel=0.02)
    assert found["packets"] - found["dropped_packets"] == pytest.approx(arrived.received_bytes / PAYLOAD, rel=0.02)
    assert found["bytes"] / found["packets"] == pytest.approx(PAYLOAD + HEADERS, rel=0.02)
    assert found["dropped_share"] == pytest.approx(2 / 3, abs=0.05)
    assert (found["meter"], found["rate_kbps"], found["dscp"], found["rule"]) == ("active", RATE_KBPS, 10, "0")
    assert found["seconds"] > 3


def test_a_mark_without_a_limit_counts_the_packets_that_it_marked(guide: Guide, statistics: Statistics) -> None:
    guide.cluster.apply(policy(guide, rule(12, {"ports": [{"protocol": "UDP", "port": PORT}]})))
    stream = udp_stream(guide.pod("pod2"), guide.destination("pod1"), port=PORT, offered_kbps=2_000, seconds=3)
    (arrived,) = measure([stream])

    def counted() -> int:  # the switch has a flow's packets up to seconds later
        (found,) = statistics("--object", "NetworkQoS/default/stats")
        assert found["meter"] == "no limit"
        return int(found["packets"])

    guide.cluster.sandbox.central.sync()
    expected = arrived.received_bytes / PAYLOAD
    assert any(counted() == pytest.approx(expected, rel=0.02) for _ in range(200))


def test_a_filter_by_pod_and_namespace(guide: Guide, statistics: Statistics) -> None:
    guide.cluster.apply(policy(guide, limited_rule(10, PORT, RATE_KBPS, 100)))
    assert statistics("--pod", "default/pod2")
    assert statistics("--pod", "default/pod0") == []  # it has not the label
    assert statistics("--namespace", "default")
    assert statistics("--namespace", "other") == []


def test_a_limit_whose_meter_the_switch_lost_is_named(guide: Guide, statistics: Statistics) -> None:
    guide.cluster.apply(policy(guide, limited_rule(10, PORT, RATE_KBPS, 100)))
    sandbox = guide.cluster.sandbox
    node = sandbox.nodes[NODE]
    try:
        ofctl(node, "del-meters")
        (found,) = statistics("--object", "NetworkQoS/default/stats", code=1)
        assert found["meter"] == "missing"
        verdicts, _ = statistics.verify(code=1)
        assert verdicts["to-lport"] == "ineffective"
        stream = udp_stream(
            guide.pod("pod2"), guide.destination("pod1"), port=PORT, offered_kbps=3 * RATE_KBPS, seconds=2
        )
        (arrived,) = measure([stream])
        assert arrived.bits_per_second > 2 * RATE_KBPS * 1000  # nothing holds it
    finally:
        controller = node._daemons["ovn-controller"]
        controller.kill()
        controller.start(lambda: node._control("ovn-controller").exists())
        sandbox.central.sync()
    (found,) = statistics("--object", "NetworkQoS/default/stats")
    assert found["meter"] == "active"


def test_verify_on_a_chassis_says_whether_outer_headers_are_marked(guide: Guide, statistics: Statistics) -> None:
    guide.cluster.apply(policy(guide, limited_rule(10, PORT, RATE_KBPS, 100)))
    node = guide.cluster.sandbox.nodes[NODE]
    verdicts, said = statistics.verify()
    assert set(verdicts.values()) == {"realised"}
    assert "ovn-encap-tos=inherit" in said
    node.vsctl("set", "Open_vSwitch", ".", "external_ids:ovn-encap-tos=inherit")
    try:
        _, said = statistics.verify()
    finally:
        node.vsctl("remove", "Open_vSwitch", ".", "external_ids", "ovn-encap-tos")
    assert "ovn-encap-tos" not in said


@pytest.fixture
def metrics(guide: Guide) -> Iterator[Callable[[], dict[str, float]]]:
    """Reads the metrics of an ovnqosd in mode `stats` for the sender's node: samples of this policy, by name."""
    central = guide.cluster.sandbox.central
    folder, port = str(central.folder / NODE), free_port()
    settings = {"mode": "stats", "nb": central.northbound.remote, "sb": central.southbound.remote}
    settings |= {"ovs-rundir": folder, "ovn-rundir": folder, "metrics-address": f"127.0.0.1:{port}"}
    command = [sys.executable, "-m", "ovnqosd", *(f"--{name}={value}" for name, value in settings.items())]
    daemon = subprocess.Popen(command)

    def is_ours(sample: Sample) -> bool:
        wanted = {"name": "stats", "direction": "to-lport"}
        return all(sample.labels.get(label, value) == value for label, value in wanted.items())

    @retry(retry=retry_if_exception_type(OSError), stop=stop_after_delay(20), wait=wait_fixed(0.1))
    def read() -> dict[str, float]:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        found = {
            one.name: one for family in text_string_to_metric_families(text) for one in family.samples if is_ours(one)
        }
        return {name: one.value for name, one in found.items()}

    yield read
    daemon.terminate()
    assert daemon.wait(10) == 0


def test_metrics_of_the_daemon_are_those_of_the_stream(guide: Guide, metrics: Callable[[], dict[str, float]]) -> None:
    guide.cluster.apply(policy(guide, limited_rule(10, PORT, RATE_KBPS, 100)))
    before = metrics()
    assert before["ovnqos_rule_counters_up"] == 1
    stream = udp_stream(guide.pod("pod2"), guide.destination("pod1"), port=PORT, offered_kbps=3 * RATE_KBPS, seconds=3)
    (arrived,) = measure([stream])
    counted = {name: value - before[name] for name, value in metrics().items()}
    packets, dropped = counted["ovnqos_rule_packets_total"], counted["ovnqos_rule_dropped_packets_total"]
    assert packets == pytest.approx(arrived.offered * arrived.seconds / 8 / (PAYLOAD + HEADERS), rel=0.02)
    assert packets - dropped == pytest.approx(arrived.received_bytes / PAYLOAD, rel=0.02)
    assert counted["ovnqos_rule_bytes_total"] / packets == pytest.approx(PAYLOAD + HEADERS, rel=0.02)
    assert counted["ovnqos_rule_unenforced"] == 0


@pytest.mark.one_ovn
def test_metrics_say_that_the_switch_does_not_answer(guide: Guide, metrics: Callable[[], dict[str, float]]) -> None:
    guide.cluster.apply(policy(guide, limited_rule(10, PORT, RATE_KBPS, 100)))
    switch = guide.cluster.sandbox.nodes[NODE]._daemons["ovs-vswitchd"]
    assert metrics()["ovnqos_rule_counters_up"] == 1
    switch.freeze()
    try:
        found = metrics()
        assert found["ovnqos_rule_counters_up"] == 0
        assert "ovnqos_rule_packets_total" not in found
    finally:
        switch.thaw()
    assert metrics()["ovnqos_rule_packets_total"] >= 0
