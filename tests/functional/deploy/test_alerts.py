"""The alerts that are shipped, as Prometheus reads and evaluates them."""

from __future__ import annotations

from pathlib import Path

import yaml

from tests.support.deploy import DEPLOY, documents
from tests.support.deploy_tools import promtool

TESTS = Path(__file__).parent / "alerts.yaml"


def rules(folder: Path) -> Path:
    """The rules without the object around them."""
    (document,) = documents(DEPLOY / "components" / "monitoring" / "prometheus-rule.yaml")
    path = folder / "rules.yaml"
    path.write_text(yaml.safe_dump(document["spec"]))
    return path


def test_prometheus_takes_the_rules(tmp_path: Path) -> None:
    count = len(yaml.safe_load(rules(tmp_path).read_text())["groups"][0]["rules"])
    assert f"SUCCESS: {count} rules found" in promtool("check", "rules", str(rules(tmp_path)))


def test_each_alert_fires_when_it_should(tmp_path: Path) -> None:
    tests = tmp_path / "alerts.yaml"
    tests.write_text(TESTS.read_text().replace("RULES", str(rules(tmp_path))))
    assert "SUCCESS" in promtool("test", "rules", str(tests))
