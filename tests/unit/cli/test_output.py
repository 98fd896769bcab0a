"""How diagnostics are reported: lines for people, JSON for programs."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import pytest

from ovnqos.cli import output
from ovnqos.diagnostics import Code, Diagnostic, ObjectRef

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _run() -> Iterator[None]:
    with output.reports():
        yield


def pods(number: int) -> list[ObjectRef]:
    return [ObjectRef(kind="Pod", namespace="shop", name=f"web-{index}") for index in range(number)]


def warning(ref: ObjectRef, text: str = "has no effect") -> Diagnostic:
    return Diagnostic.warning(ref, Code.NO_EFFECT, text, path="spec.x", hint="remove it")


def error(ref: ObjectRef) -> Diagnostic:
    return Diagnostic.error(ref, Code.INVALID_FIELD, "is wrong", path="spec.x")


def test_a_warning_is_one_line_for_all_objects_and_names_five(capsys: pytest.CaptureFixture[str]) -> None:
    refs = pods(7)
    output.diagnostics([*map(warning, refs), warning(refs[0]), warning(refs[0], "is odd")])
    assert capsys.readouterr().err == ""  # warnings come at the end
    output.print_warnings()
    named = ", ".join(map(str, refs[:5]))
    assert capsys.readouterr().err.splitlines() == [
        f"warning: {named} and 2 more: spec.x: has no effect; remove it",
        f"warning: {refs[0]}: spec.x: is odd; remove it",
    ]


def test_each_error_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    refs = pods(7)
    output.diagnostics([*map(error, refs), error(refs[0])])
    assert capsys.readouterr().err.splitlines() == [f"error: {ref}: spec.x: is wrong" for ref in refs]


def test_an_error_past_which_a_command_goes_on_is_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    output.diagnostics(map(error, pods(1)), as_warnings=True)
    output.print_warnings()
    assert capsys.readouterr().err == "warning: Pod shop/web-0: spec.x: is wrong\n"


def test_json_has_a_line_for_each_object_and_all_fields(capsys: pytest.CaptureFixture[str]) -> None:
    output.report_json(enabled=True)
    output.diagnostics(map(warning, pods(2)))
    output.info("to do: no changes")
    output.print_warnings()
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert lines == [
        {"severity": "info", "text": "to do: no changes"},
        *(
            {
                "severity": "warning",
                "code": "NoEffect",
                "object": {"kind": "Pod", "namespace": "shop", "name": f"web-{index}", "origin": None},
                "path": "spec.x",
                "text": "has no effect",
                "hint": "remove it",
            }
            for index in range(2)
        ),
    ]


def test_warnings_of_one_cause_are_one_line_wherever_they_are_found(capsys: pytest.CaptureFixture[str]) -> None:
    first, second = pods(2)
    output.diagnostics([warning(first)])
    output.warning("no pods")
    output.diagnostics([warning(second), warning(first)])
    output.print_warnings()
    assert capsys.readouterr().err.splitlines() == [
        f"warning: {first}, {second}: spec.x: has no effect; remove it",
        "warning: no pods",
    ]


@pytest.mark.parametrize(
    ("when", "environment", "coloured"),
    [
        ("auto", {}, False),
        ("auto", {"FORCE_COLOR": "1"}, True),
        ("auto", {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        ("always", {"NO_COLOR": "1"}, True),
        ("never", {"FORCE_COLOR": "1"}, False),
    ],
)
def test_who_says_what_is_coloured(
    monkeypatch: pytest.MonkeyPatch, when: str, environment: dict[str, str], coloured: bool
) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    output.colour(when)
    assert output.has_colour(io.StringIO()) is coloured


def test_a_warning_of_a_run_within_a_run_is_printed_once_and_then_counted(capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        with output.reports():
            output.warning("no pods")
            output.diagnostics(map(warning, pods(1)))
    assert capsys.readouterr().err.splitlines() == [
        "warning: no pods",
        "warning: Pod shop/web-0: spec.x: has no effect; remove it",
        "2 warnings repeated from above",
    ]
