"""The alerts that are shipped: each metric and label value in them is one that the daemon has; each is explained."""

from __future__ import annotations

import re
import tomllib

import pytest

from ovnqos.kubernetes import RESOURCES
from ovnqosd.metrics import Metrics
from tests.support.deploy import DEPLOY, OVERLAYS, ROOT, documents

MONITORING = DEPLOY / "components" / "monitoring"
RULES = [
    rule for group in documents(MONITORING / "prometheus-rule.yaml")[0]["spec"]["groups"] for rule in group["rules"]
]
EXPRESSIONS = {rule["alert"]: rule["expr"] for rule in RULES}
PAGE = ROOT / "docs" / "alerts.md"
SECTIONS = re.findall(r"^## (\w+)$", PAGE.read_text(), re.MULTILINE)

alerts = pytest.mark.parametrize("alert", EXPRESSIONS)


def samples() -> dict[str, list[dict[str, str]]]:
    """The labels of each sample that the daemon shows at its start."""
    metrics = Metrics()
    metrics.read_reflectors(())
    metrics.read_northbound(lambda: True)
    found: dict[str, list[dict[str, str]]] = {}
    for family in metrics.registry.collect():
        for sample in family.samples:
            found.setdefault(sample.name, []).append(sample.labels)
        found.setdefault(family.name, [])
    return found


def test_there_is_an_alert_for_each_thing_that_can_go_wrong() -> None:
    wanted = "Down NoLeader NotSynced NorthboundUnavailable ApiNotWatched DriftRepairedOften PoliciesNotInForce"
    wanted += " AnnotationsNotInForce ReconcileSlow RemovalsHeld"
    assert {f"Ovnqosd{name}" for name in wanted.split()} == EXPRESSIONS.keys()


@alerts
def test_its_metrics_are_the_daemon_s(alert: str) -> None:
    used = set(re.findall(r"\bovnqosd_\w+", EXPRESSIONS[alert]))
    assert used or "up{" in EXPRESSIONS[alert]
    assert used <= samples().keys()


@alerts
def test_the_labels_that_it_asks_for_are_the_daemon_s(alert: str) -> None:
    known = samples()
    kinds = {resource.kind for resource in RESOURCES}
    for metric, selector in re.findall(r"\b(ovnqosd_\w+)\{([^}]*)\}", EXPRESSIONS[alert]):
        for label, operator, value in re.findall(r'(\w+)(=~|!=|=)"([^"]*)"', selector):
            if label == "job":
                assert (operator, value) == ("=", "ovnqos/ovnqosd")
            elif label == "component":
                assert value in {overlay.name for overlay in OVERLAYS}
            elif metric.startswith("ovnqosd_watch_"):
                assert (label, value in kinds) == ("kind", True)
            else:
                shown = {labels[label] for labels in known[metric]}
                assert set(value.split("|")) <= shown, (metric, label)


def test_the_labels_that_the_daemon_does_not_have_come_from_the_pod_monitor() -> None:
    (monitor,) = documents(MONITORING / "pod-monitor.yaml")
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    targets = {relabeling["targetLabel"] for relabeling in endpoint["relabelings"]}
    assert targets == {"node", "component"}
    assert f"{monitor['metadata']['namespace']}/{monitor['metadata']['name']}" == "ovnqos/ovnqosd"


@alerts
def test_it_says_how_bad_it_is_and_what_it_means(alert: str) -> None:
    (rule,) = (rule for rule in RULES if rule["alert"] == alert)
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}
    assert re.fullmatch(r"\d+m", rule["for"])


@alerts
def test_its_runbook_is_a_section_of_the_page_on_alerts(alert: str) -> None:
    (rule,) = (rule for rule in RULES if rule["alert"] == alert)
    url, _, anchor = rule["annotations"]["runbook_url"].partition("#")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert url == f"{project['urls']['Homepage']}/blob/main/{PAGE.relative_to(ROOT)}"
    assert anchor == alert.lower()  # as headings become anchors
    assert alert in SECTIONS


def test_the_page_explains_no_alert_that_is_not_there() -> None:
    assert sorted(SECTIONS) == sorted(EXPRESSIONS)
