"""The SBOM of the image: what it says of wheels and lock, and when there is none."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.deploy import ROOT

if TYPE_CHECKING:
    from pathlib import Path


def wheel(folder: Path, name: str, version: str, *headers: str) -> str:
    """Make a wheel with this metadata, and return its SHA-256."""
    path = folder / f"{name.replace('-', '_')}-{version}-py3-none-any.whl"
    metadata = "\n".join(["Metadata-Version: 2.4", f"Name: {name}", f"Version: {version}", *headers])
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(
            f"{name.replace('-', '_')}-{version}.dist-info/METADATA", f"{metadata}\n\nText: not a header\n"
        )
    return hashlib.sha256(path.read_bytes()).hexdigest()


def run(lock: Path, wheels: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "scripts" / "make-sbom"), str(lock), str(wheels)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A lock, and the wheels of a project and two packages, one of them built from sources."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    extra = (
        "Requires-Dist: PyYAML>=6",
        'Requires-Dist: tool; extra == "test"',
        'Requires-Dist: q-q; extra == "daemon"',
    )
    wheel(wheels, "project", "1.0", "License-Expression: Apache-2.0", *extra)
    yaml = wheel(wheels, "PyYAML", "6.0", "License: MIT")
    wheel(wheels, "q-q", "2", "Classifier: License :: OSI Approved :: BSD License")
    (tmp_path / "lock").write_text(
        f"# made by a tool\npyyaml==6.0 \\\n    --hash=sha256:{'0' * 64} \\\n    --hash=sha256:{yaml}\n"
        f"q-q==2 ; python_version >= '3.11' \\\n    --hash=sha256:{'1' * 64}\n"
        f"elsewhere==3 ; sys_platform == 'win32' \\\n    --hash=sha256:{'2' * 64}\n"
    )
    return tmp_path


def test_it_names_the_packages_their_licenses_hashes_and_needs(folder: Path) -> None:
    document: dict[str, Any] = json.loads(run(folder / "lock", folder / "wheels").stdout)
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.5")
    project = document["metadata"]["component"]
    assert (project["type"], project["purl"]) == ("application", "pkg:pypi/project@1.0")
    assert project["licenses"] == [{"expression": "Apache-2.0"}]
    yaml, other = document["components"]
    assert yaml["licenses"] == [{"license": {"name": "MIT"}}]
    assert yaml["hashes"][0]["content"] in (folder / "lock").read_text()
    assert other["licenses"] == [{"license": {"name": "BSD License"}}]
    assert "hashes" not in other  # the lock has that of its sources
    needs = {entry["ref"]: entry["dependsOn"] for entry in document["dependencies"]}
    assert needs["pkg:pypi/project@1.0"] == ["pkg:pypi/pyyaml@6.0", "pkg:pypi/q-q@2"]


def test_it_is_the_same_every_time(folder: Path) -> None:
    first, second = (run(folder / "lock", folder / "wheels").stdout for _ in range(2))
    assert first == second
    wheel(folder / "wheels", "q-q", "2", "License: another")
    assert json.loads(run(folder / "lock", folder / "wheels").stdout)["serialNumber"] not in first


def test_a_wheel_of_another_version_than_the_lock_s_is_refused(folder: Path) -> None:
    (folder / "wheels" / "q_q-2-py3-none-any.whl").unlink()
    wheel(folder / "wheels", "q-q", "2.1")
    done = run(folder / "lock", folder / "wheels")
    assert (done.returncode, "has q-q 2, not 2.1" in done.stderr) == (1, True)


def test_a_wheel_that_the_lock_does_not_name_is_refused(folder: Path) -> None:
    wheel(folder / "wheels", "stowaway", "1")
    done = run(folder / "lock", folder / "wheels")
    assert (done.returncode, "project, stowaway" in done.stderr) == (1, True)
