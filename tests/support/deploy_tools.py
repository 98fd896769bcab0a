"""Helm's engine, Prometheus and promtool, from the folder that `scripts/fetch-deploy-tools` makes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.support.deploy import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping

CHART: Final = ROOT / "daemon" / "chart"
_FOLDER: Final = "deploy-tools-2"
_SCRIPT: Final = "scripts/fetch-deploy-tools"
# In a process of its own: the library is Go's, with its own threads and signal handlers
_RUNNER: Final = """
import json, sys
import helm_python as helm
call = json.load(sys.stdin)
chart, values = call["chart"], call["values"]
try:
    if call["action"] == "lint":
        answer = helm.lint(chart, values, strict=True)
    elif call["action"] == "render":
        with helm.Chart.load(chart) as loaded:
            answer = {
                "crds": [one["data"] for one in loaded.crds],
                "templates": loaded.render(values, name=call["name"], namespace=call["namespace"]),
            }
    elif call["action"] == "package":
        with helm.Chart.load(chart) as loaded:
            answer = loaded.save(call["destination"])
    else:
        with helm.Config(kubeconfig_path=call["kubeconfig"], namespace=call["namespace"]) as config:
            if call["action"] == "uninstall":
                answer = config.uninstall(call["name"])
            else:
                answer = getattr(config, call["action"])(chart, call["name"], values)
except helm.HelmError as error:
    answer = {"error": str(error)}
json.dump(answer, sys.stdout, default=str)
"""


class HelmError(Exception):
    """Helm refused a call; the message is Helm's."""


def tools_folder() -> Path:
    """The folder of the tools; under CI=true the test fails where it is missing, else it is skipped."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ovnqos" / _FOLDER
    if not folder.is_dir():
        reason = f"not found: {folder}; run {_SCRIPT}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    return folder


def helm(action: str, values: Mapping[str, Any] | None = None, *, chart: Path = CHART, **arguments: str) -> Any:
    """Call Helm.

    Args:
        action: `lint`, `render`, `package`, `install`, `upgrade` or `uninstall`.
        values: of the chart.
        chart: its folder or archive.
        arguments: name and namespace of the release, kubeconfig, destination.

    Returns:
        The answer of the library's function; of `render`, `crds` and `templates` by path.

    Raises:
        HelmError: Helm reports an error.
    """
    call = {"action": action, "chart": str(chart), "values": dict(values or {}), **arguments}
    done = subprocess.run(
        [sys.executable, "-c", _RUNNER],
        input=json.dumps(call),
        env=os.environ | {"PYTHONPATH": str(tools_folder() / "helm")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    if isinstance(answer, dict) and "error" in answer:
        raise HelmError(answer["error"])
    return answer


def promtool(*arguments: str) -> str:
    """Run promtool and return what it prints; the test fails where it does."""
    command = [str(tools_folder() / "promtool"), *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout
    return done.stdout
