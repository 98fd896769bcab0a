"""How diagnostics are reported: lines for people, JSON for programs."""

from __future__ import annotations

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
    assert capsys.readouterr().err == "warning: Pod shop/web-0: spec.x: is wrong\n"


def test_json_has_a_line_for_each_object_and_all_fields(capsys: pytest.CaptureFixture[str]) -> None:
    output.report_json(enabled=True)
    output.diagnostics(map(warning, pods(2)))
    output.info("to do: no changes")
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert lines == [
        *(
            {
                "severity": "warning",
                "code": "NoEffect",
                "object": {"kind": "Pod", "namespace": "shop", "name": f"web-{index}", "origin": ""},
                "path": "spec.x",
                "text": "has no effect",
                "hint": "remove it",
            }
            for index in range(2)
        ),
        {"severity": "info", "text": "to do: no changes"},
    ]


def test_a_table_is_a_line_a_row_and_its_last_column_is_as_long_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    output.table(["SWITCH", "PRIORITY", "MATCH"], [["node1", "5", "ip4"], ["n", "10400", "a" * 300]])
    assert capsys.readouterr().out.splitlines() == [
        "SWITCH  PRIORITY  MATCH",
        "node1          5  ip4",
        f"n          10400  {'a' * 300}",
    ]


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
