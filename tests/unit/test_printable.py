"""Nothing that others wrote reaches a terminal, a log or an object of Kubernetes raw."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import yaml

from ovnqos import Code, Diagnostic, ObjectRef, Owner, Snapshot, plan_changes
from ovnqos.cli import output, tables
from ovnqos.controller import ActualRow, RowContent, printable
from ovnqosd.status.condition import message_of
from ovnqosd.status.policy_outcome import Reason
from tests.support.cluster import compiled, pod, policy
from tests.support.deploy import ROOT
from tests.support.outcomes import policy_outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

RAW = ("\x1b[2J", "\x1b]0;title\x07", "\r", "\x00", "\x9b31m", "\u202e", "\u2066", "\u2028", "\ud800", "\U000e0001")
HOSTILE = "a" + "".join(RAW) + "\nforged: line"
REF = ObjectRef(kind="Pod", namespace="shop", name="web")
DIAGNOSTIC = Diagnostic.warning(REF, Code.NO_EFFECT, HOSTILE, path=f"metadata.annotations[{HOSTILE}]", hint=HOSTILE)


def check(text: str, *, lines: int = 1) -> None:
    assert [one for one in RAW if one in text] == []
    assert len(text.splitlines()) == lines
    assert not any(line.startswith("forged") for line in text.splitlines())


@pytest.fixture(autouse=True)
def _reports() -> Iterator[None]:
    with output.reports():
        yield


def test_text_that_can_be_seen_stays_as_it_is() -> None:
    for text in ("", "plain", "größer 漢字 ✔ …", "tab stays\tand lines\n"):
        assert printable(text, keep="\t\n") == text


def test_what_is_escaped_means_the_same_in_json() -> None:
    assert json.loads(f'"{printable(HOSTILE)}"') == HOSTILE
    check(printable(HOSTILE))


def test_a_diagnostic_is_one_line_of_what_can_be_seen() -> None:
    check(str(DIAGNOSTIC))
    check(str(ObjectRef(kind="Pod", name="web", origin=HOSTILE)))


@pytest.mark.parametrize("as_json", [True, False])
def test_reports_of_the_command(capsys: pytest.CaptureFixture[str], as_json: bool) -> None:
    output.report_json(enabled=as_json)
    output.diagnostics([DIAGNOSTIC])
    output.warning(ValueError(HOSTILE.replace("\n", " ")))
    output.print_warnings()
    check(capsys.readouterr().err, lines=2)


def test_tables_on_a_terminal_and_in_a_file(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tables.table(["NAME", "MATCH", tables.REASON], [{"NAME": "x", "MATCH": HOSTILE, tables.REASON: HOSTILE}])
    check(capsys.readouterr().out, lines=2)
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("NO_COLOR", "1")
    tables.table(["NAME", "MATCH", tables.REASON], [{"NAME": "x", "MATCH": HOSTILE, tables.REASON: HOSTILE}])
    assert [one for one in RAW if one in terminal.getvalue()] == []
    assert "forged" in terminal.getvalue()


@pytest.mark.parametrize("form", ["objects", "diff"])
@pytest.mark.parametrize("terminal", [True, False])
def test_a_diff_of_rows_that_another_writer_changed(monkeypatch: pytest.MonkeyPatch, terminal: bool, form: str) -> None:
    desired = compiled(policy(), pod("web", "10.0.0.5")).desired()
    (row,) = desired.rows.values()
    content = replace(RowContent.desired(row, Owner()), match=HOSTILE)
    actual = ActualRow(uuid="u", content=content, switches=frozenset({"node1"}))
    snapshot = Snapshot(rows=(actual,), switches={"node1": "s"}, ports={"shop_web": "p"})
    written = io.StringIO()
    monkeypatch.setattr(written, "isatty", lambda: terminal)
    monkeypatch.setattr(sys, "stdout", written)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    output.plan(plan_changes(desired, snapshot), form)
    found = written.getvalue()
    assert ("- to-lport" if form == "objects" else "-  to-lport") in found
    assert [one for one in RAW[1:] if one in found] == []
    assert not any(line.startswith("forged") for line in found.splitlines())


def test_statuses() -> None:
    check(
        message_of(replace(policy_outcome(), reason=Reason.UNSUPPORTED, causes=(DIAGNOSTIC,), warnings=(DIAGNOSTIC,)))
    )


@pytest.mark.parametrize("form", ["json", "console"])
def test_logs(form: str) -> None:
    """In a process of its own: pytest shows what is logged, and pytest-xdist cannot send half a surrogate."""
    program = """
import logging, sys
import structlog
from ovnqosd.logs import configure
from ovnqosd.settings.settings import LogFormat, LogLevel
from tests.unit.test_printable import HOSTILE
configure(LogFormat(sys.argv[1]), LogLevel.INFO)
structlog.get_logger("ovnqosd.test").warning(f"event {HOSTILE}", cause=HOSTILE)
logging.getLogger("library").warning("said %s", HOSTILE)
"""
    done = subprocess.run([sys.executable, "-c", program, form], capture_output=True, text=True, cwd=ROOT, check=True)
    check(done.stderr, lines=2)


def test_yaml_of_the_command_means_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    converted = {"kind": "NetworkQoS", "metadata": {"name": HOSTILE.replace("\ud800", "")}}
    written = io.StringIO()
    monkeypatch.setattr(sys, "stdout", written)
    output.result_yaml([converted])
    assert [*yaml.safe_load_all(written.getvalue())] == [converted]
    assert [one for one in RAW if one in written.getvalue()] == []
