"""What the documentation for contributors names is there: files, and the code in them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
_FOLDERS = ("", "ovnqos", "daemon/ovnqosd")
_FILE = re.compile(r"`([\w/]+\.py)`")
_IN_FILE = re.compile(r"`(\w+)` in `([\w/]+\.py)`")


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/architecture.md"])
def test_named_files_are_there(page: str) -> None:
    named = set(_FILE.findall((ROOT / page).read_text()))
    assert named
    assert [name for name in sorted(named) if not any((ROOT / folder / name).is_file() for folder in _FOLDERS)] == []


def test_the_licence_and_whom_to_tell_of_a_vulnerability_are_there() -> None:
    assert "Apache License\n                           Version 2.0" in (ROOT / "LICENSE").read_text()
    assert "vulnerab" in (ROOT / "SECURITY.md").read_text().lower()


def test_named_code_is_in_its_file() -> None:
    named = _IN_FILE.findall((ROOT / "CONTRIBUTING.md").read_text())
    assert named
    for name, file in named:
        assert re.search(rf"^(def|class) {name}\b|^    {name} = ", (ROOT / file).read_text(), re.MULTILINE), name
