"""Grafana's dashboard: a real Prometheus, which scrapes the daemon's metrics, answers each of its queries."""

from __future__ import annotations

import itertools
import json
import re
import threading
import urllib.parse
import urllib.request
from collections import defaultdict
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

import pytest
import tenacity
import yaml

from ovnqos import Code, Severity, StalePlan
from ovnqos.kubernetes import RESOURCES
from ovnqos.sandbox.process import Process
from ovnqos.stats.totals import MeteredRule, Totals
from ovnqosd.health import HealthServer
from ovnqosd.loop.outcomes import AnnotationProblem, Drift, DriftKind, PassOutcome, Trigger
from ovnqosd.metrics import Metrics
from ovnqosd.rule_metrics import RuleMetrics
from ovnqosd.settings.settings import ListenAddress, Settings
from ovnqosd.status.policy_outcome import Reason
from tests.support.deploy import DEPLOY, documents
from tests.support.deploy_tools import tools_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MONITORING: Final = DEPLOY / "components" / "monitoring"
DASHBOARD: Final[dict[str, Any]] = json.loads((MONITORING / "dashboard.json").read_text())
PANELS: Final = {panel["title"]: panel for panel in DASHBOARD["panels"] if panel["type"] != "row"}
VARIABLES: Final = {"$job": ".*", "$namespace": ".*", "$__rate_interval": "4s", "$__range": "10s"}
PATIENCE_S: Final = 30


def outcome() -> PassOutcome:
    """A pass in which everything happened that a panel shows."""
    return PassOutcome(
        trigger=Trigger.CHANGE,
        seconds=0.004,
        age_seconds=0.002,
        changes={"insert_row": 1},
        transactions=1,
        policy_counts=dict.fromkeys(Reason, 1),
        drift=(Drift(kind=next(iter(DriftKind)), what="row", policy="shop/gold", found=""),),
        error="refused",
        annotation_problems=dict.fromkeys(AnnotationProblem, 1),
        said={(Code.CONFLICT, Severity.WARNING): 1},
    )


class _Totals:
    """A chassis whose meters count on with each reading."""

    def __init__(self) -> None:
        self._count = itertools.count(1)

    def read(self) -> dict[MeteredRule, Totals]:
        number = next(self._count)
        rule = MeteredRule(
            kind="NetworkQoS", namespace="shop", name="gold", index="0", direction="to-lport", network="default"
        )
        return {
            rule: Totals(
                packets=100 * number, octets=10_000 * number, dropped_packets=7 * number, dropped_octets=700 * number
            )
        }


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Prometheus that scrapes a daemon as the PodMonitor says; counters grow while it runs."""
    folder: Path = tmp_path_factory.mktemp("prometheus")
    metrics = Metrics()
    watch = SimpleNamespace(resource=RESOURCES[0], restarts={}, connected=True, objects=3, last_event_time=1.0)
    metrics.read_reflectors((watch,))  # type: ignore[arg-type] # what is read of a Reflector
    metrics.read_northbound(lambda: True)
    rules = RuleMetrics(Settings(nb="tcp:127.0.0.1:1", sb="tcp:127.0.0.1:1"))
    rules.stop()
    rules._totals = _Totals()  # type: ignore[assignment] # what needs a chassis: tests/lab/test_stats.py
    metrics.registry.register(rules)
    ended = threading.Event()

    def work() -> None:
        while not ended.wait(0.2):
            metrics.observe(outcome())
            metrics.count_failed_transaction(StalePlan("changed meanwhile"))

    thread = threading.Thread(target=work)
    server = HealthServer(ListenAddress("127.0.0.1", 0), metrics.registry, alive=list, ready=list)
    server.start()
    thread.start()
    (monitor,) = documents(MONITORING / "pod-monitor.yaml")
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    target = {"targets": [f"127.0.0.1:{server.port}"], "labels": {"node": "n1", "namespace": "ovnqos"}}
    job = {
        "job_name": "ovnqos/ovnqosd",
        "scrape_interval": "1s",
        "honor_labels": endpoint["honorLabels"],
        "static_configs": [target],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump({"scrape_configs": [job]}))
    words = (
        f"--config.file={folder}/prometheus.yml",
        f"--storage.tsdb.path={folder}/data",
        "--web.listen-address=127.0.0.1:0",
    )
    process = Process([str(tools_folder() / "prometheus"), *words], name="prometheus", log=folder / "prometheus.log")
    try:
        process.start()
        yield address_of(process)
    finally:
        process.kill()
        ended.set()
        thread.join()
        server.stop()


@tenacity.retry(stop=tenacity.stop_after_delay(PATIENCE_S), wait=tenacity.wait_fixed(0.2), reraise=True)
def address_of(process: Process) -> str:
    found = re.search(r"address=(127\.0\.0\.1:[1-9]\d*)", process.log_text())
    assert found, process.log_text()
    return f"http://{found[1]}"


@tenacity.retry(stop=tenacity.stop_after_delay(PATIENCE_S), wait=tenacity.wait_fixed(0.5), reraise=True)
def series(prometheus: str, expression: str) -> list[dict[str, Any]]:
    """What the expression selects; waits for something."""
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    query = urllib.parse.urlencode({"query": expression})
    with urllib.request.urlopen(f"{prometheus}/api/v1/query?{query}", timeout=10) as answer:
        found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
    assert found, expression
    return found


@pytest.mark.parametrize("title", PANELS)
def test_each_query_of_a_panel_has_an_answer(prometheus: str, title: str) -> None:
    for target in PANELS[title]["targets"]:
        found = series(prometheus, target["expr"])
        named = set(re.findall(r"\{\{(\w+)\}\}", target.get("legendFormat", "")))
        assert all(named <= one["metric"].keys() for one in found), found


def test_each_variable_has_values(prometheus: str) -> None:
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] == "query":
            metric, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["query"]["query"]).groups()  # type: ignore[union-attr] # a test
            assert {one["metric"][label] for one in series(prometheus, metric)}


def test_the_namespace_of_a_rule_is_that_of_the_object(prometheus: str) -> None:
    assert {one["metric"]["namespace"] for one in series(prometheus, "ovnqos_rule_packets_total")} == {"shop"}
    assert {one["metric"]["namespace"] for one in series(prometheus, "ovnqosd_policies")} == {"ovnqos"}


def test_panels_do_not_overlap() -> None:
    places: dict[tuple[int, int], list[str]] = defaultdict(list)
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        for place in itertools.product(range(at["x"], at["x"] + at["w"]), range(at["y"], at["y"] + at["h"])):
            places[place].append(panel["title"])
    assert {tuple(titles) for titles in places.values() if len(titles) > 1} == set()
    assert max(x for x, _ in places) < 24
