"""The example of docs/pod-limits.md: it says what the page says that it says."""

from __future__ import annotations

import re
from pathlib import Path

from tests.functional.support_command import ovnqos

PAGE = Path(__file__).parents[3] / "docs" / "pod-limits.md"
EXAMPLE = re.compile(r"^ovnqos (?P<words>[^\n]*) <<'END'\n(?P<given>.*?)^END\n```\n```\n(?P<said>.*?)^```", re.M | re.S)


def test_the_pages_example_runs_as_shown() -> None:
    example = EXAMPLE.search(PAGE.read_text())
    assert example is not None
    ended = ovnqos(*example["words"].split(), stdin=example["given"])
    assert ended.code == 0, ended.err
    shown = example["said"].splitlines()
    assert [line for line in shown if not line.startswith("warning: ")] == ended.out.splitlines()
    assert {line for line in shown if line.startswith("warning: ")} <= set(ended.err.splitlines())
    assert any(line.startswith("warning: ") for line in shown)
