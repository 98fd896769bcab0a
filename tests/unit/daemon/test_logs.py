"""The log: one line an event on stderr, whoever wrote it."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from ovnqosd.logs import configure
from ovnqosd.settings.settings import LogFormat, LogLevel

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    for name in ("ovnqosd", "ovnqos"):
        logging.getLogger(name).setLevel(logging.NOTSET)
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    out, err = capsys.readouterr()
    assert out == ""
    return [json.loads(line) for line in err.splitlines()]


def own() -> Any:
    return structlog.get_logger("ovnqosd.test")


def test_an_event_is_one_json_line_with_the_zone(capsys: pytest.CaptureFixture[str]) -> None:
    configure(LogFormat.JSON, LogLevel.INFO, zone="node1")
    own().bind(kind="Pod").warning("cannot read", status=500, cause="two\nlines")
    (line,) = lines(capsys)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "cannot read",
        "level": "warning",
        "logger": "ovnqosd.test",
        "kind": "Pod",
        "status": 500,
        "cause": "two\nlines",
        "zone": "node1",
    }


def test_a_zone_that_becomes_known_later_stands_in_the_lines_of_earlier_loggers(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure(LogFormat.JSON, LogLevel.INFO)
    earlier = own().bind(kind="Pod")
    earlier.info("first")
    configure(LogFormat.JSON, LogLevel.INFO, zone="node1")
    earlier.info("second")
    first, second = lines(capsys)
    assert "zone" not in first
    assert second["zone"] == "node1"


@pytest.mark.parametrize("level", list(LogLevel))
def test_the_level_is_for_our_own_events(capsys: pytest.CaptureFixture[str], level: LogLevel) -> None:
    configure(LogFormat.JSON, level)
    names = [one.value for one in LogLevel]
    for name in names:
        getattr(own(), name)(name)
    assert [line["event"] for line in lines(capsys)] == names[names.index(level.value) :]


@pytest.mark.parametrize(
    "name", ["ovsdbapp.backend.ovs_idl.vlog", "kubernetes.client.rest", "urllib3.connectionpool", "ovs"]
)
def test_libraries_are_heard_from_warning_on_and_once(capsys: pytest.CaptureFixture[str], name: str) -> None:
    configure(LogFormat.JSON, LogLevel.DEBUG, zone="node1")
    configure(LogFormat.JSON, LogLevel.DEBUG, zone="node1")
    logging.getLogger(name).info("reconnecting")
    logging.getLogger(name).warning("lost %s", "tcp:1.2.3.4:6641")
    (line,) = lines(capsys)
    assert (line["event"], line["logger"], line["zone"]) == ("lost tcp:1.2.3.4:6641", name, "node1")


def test_our_library_logs_at_our_level(capsys: pytest.CaptureFixture[str]) -> None:
    configure(LogFormat.JSON, LogLevel.INFO)
    logging.getLogger("ovnqos.ovsdb.replica").info("connected")
    assert [line["event"] for line in lines(capsys)] == ["connected"]


def test_an_exception_is_in_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure(LogFormat.JSON, LogLevel.INFO)
    try:
        raise LookupError("no such row")
    except LookupError:
        own().exception("failed")
        logging.getLogger("ovsdbapp").exception("failed there")
    for line in lines(capsys):
        assert "LookupError: no such row" in line["exception"]


def test_the_console_format_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    configure(LogFormat.CONSOLE, LogLevel.INFO, zone="node1")
    own().info("reading again", kind="Pod")
    _, err = capsys.readouterr()
    (line,) = err.splitlines()
    assert "reading again" in line
    assert "kind=Pod" in line
    assert "zone=node1" in line
    assert "\x1b" not in line
