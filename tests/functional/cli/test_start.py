"""What the command loads before it knows what to do: `--help` and completion are to answer at once."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ovnqos.match.packet import PacketProtocol
from tests.functional.support_command import ovnqos

HEAVY = {"kubernetes", "netaddr", "ovs", "ovsdbapp", "prometheus_client", "rich", "ssl", "yaml"}
"""Packages that only commands at work need."""


@pytest.mark.parametrize(
    ("words", "environment"),
    [
        (["--version"], {}),
        (["--help"], {}),
        (["apply", "--help"], {}),
        (["verify", "--help"], {}),
        ([], {"_OVNQOS_COMPLETE": "bash_complete", "COMP_WORDS": "ovnqos explain --", "COMP_CWORD": "2"}),
    ],
    ids=lambda given: " ".join(given) if isinstance(given, list) else "",
)
def test_help_and_completion_load_click_alone(words: list[str], environment: dict[str, str]) -> None:
    script = (
        f"import atexit, os, sys; atexit.register(lambda: sys.stderr.write(str({HEAVY} & sys.modules.keys()))); "
        "os.environ |= eval(sys.argv[1]); from ovnqos.cli.main import run; run(sys.argv[2:])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script, str(environment), *words], capture_output=True, text=True, check=True, timeout=60
    )
    assert ended.stdout
    assert ended.stderr == "set()"


def test_the_protocols_of_explain_are_those_of_packets() -> None:
    assert f"[{'|'.join(PacketProtocol)}]" in ovnqos("explain", "--help").out
