"""The locks: one version of each distribution, with hashes, inside the ranges of pyproject.toml."""

from __future__ import annotations

import re
import tomllib
from typing import Any, Final

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.deploy import ROOT

PROJECT: Final[dict[str, Any]] = tomllib.loads((ROOT / "pyproject.toml").read_text())
RUNTIME_ALONE: Final = tuple(PROJECT["project"]["dependencies"])
RUNTIME: Final = (
    *RUNTIME_ALONE,
    *(
        one
        for extra in PROJECT["project"]["optional-dependencies"].values()
        for one in extra
        if Requirement(one).name != PROJECT["project"]["name"]  # an extra that includes another
    ),
)
GROUPS: Final = PROJECT["dependency-groups"]
RANGES: Final = {
    "requirements.lock": RUNTIME,
    "requirements-build.lock": (*GROUPS["build"], *PROJECT["build-system"]["requires"]),
    "requirements-docs.lock": (*RUNTIME_ALONE, *GROUPS["docs"]),
    "requirements-dev.lock": (
        *RUNTIME,
        *GROUPS["build"],
        *(one for one in GROUPS["dev"] if isinstance(one, str)),
    ),
}
PYTHONS: Final = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["project"]["classifiers"]))

locks = pytest.mark.parametrize("name", RANGES)


def entries(name: str) -> list[str]:
    """What the lock names, with its hashes: one line each."""
    text = (ROOT / name).read_text().replace("\\\n", " ")
    return [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]


def pins(name: str, python: str) -> dict[str, str]:
    """The versions that the lock has for a version of Python on Linux."""
    found: dict[str, str] = {}
    environment = {"python_version": python, "python_full_version": f"{python}.0", "sys_platform": "linux"}
    for entry in entries(name):
        one = Requirement(entry.partition(" --hash")[0].strip())
        if one.marker is None or one.marker.evaluate(environment):
            assert canonicalize_name(one.name) not in found
            found[canonicalize_name(one.name)] = str(one.specifier).removeprefix("==")
    return found


@locks
def test_it_names_versions_and_hashes_and_nothing_else(name: str) -> None:
    assert entries(name)
    for entry in entries(name):
        assert re.fullmatch(r"[\w.\[\]-]+==[\w.+!]+( ; [^#]*?)?(\s+--hash=sha256:[0-9a-f]{64})+\s*", entry)
    assert "://" not in (ROOT / name).read_text()


@locks
@pytest.mark.parametrize("python", PYTHONS)
def test_it_is_inside_the_ranges(name: str, python: str) -> None:
    """After a change of pyproject.toml: `make lock`."""
    found = pins(name, python)
    for one in map(Requirement, RANGES[name]):
        assert one.specifier.contains(found[canonicalize_name(one.name)], prereleases=True), one


@pytest.mark.parametrize("python", PYTHONS)
def test_the_locks_agree(python: str) -> None:
    everything = pins("requirements-dev.lock", python)
    for name in RANGES:
        found = pins(name, python)
        assert {one: found[one] for one in found if one in everything}.items() <= everything.items()
        assert name == "requirements-docs.lock" or found.keys() <= everything.keys()


def test_both_installations_use_them() -> None:
    for file in ("Makefile", "daemon/Dockerfile"):
        text = (ROOT / file).read_text()
        for install in re.findall(r"pip (?:install|wheel) .*-r (\S+)", text):
            assert install in RANGES
        assert "--require-hashes -r requirements-build.lock" in text
        assert not re.search(r"pip install (?!.*(--require-hashes|--no-deps|--resolution))", text)
