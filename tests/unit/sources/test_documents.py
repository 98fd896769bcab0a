"""Files, folders and standard input to documents."""

from __future__ import annotations

import io
import json
import os
import re
from typing import TYPE_CHECKING

import pytest
import yaml

from ovnqos.errors import UnreadableInput
from ovnqos.sources import read_documents
from ovnqos.sources.objects import shorten_pod
from tests.support import invalid_documents as cases
from tests.support.invalid_documents import outline

if TYPE_CHECKING:
    from pathlib import Path


def values_of(text: str) -> list[object]:
    return [document.value for document in read_documents(["-"], stdin=io.StringIO(text))]


def problem_with(text: str) -> str:
    with pytest.raises(UnreadableInput) as raised:
        values_of(text)
    return str(raised.value)


def test_documents_come_with_file_and_line(tmp_path: Path) -> None:
    file = tmp_path / "two.yaml"
    file.write_text("# first\na: 1\n---\n---\n\nb: 2\n---\n")
    first, second = read_documents([file])
    assert (first.value, first.origin, first.place) == ({"a": 1}, str(file), "line 2")
    assert (second.value, second.origin, second.place) == ({"b": 2}, str(file), "line 6")


def test_a_folder_is_read_in_order_without_hidden_and_other_files(tmp_path: Path) -> None:
    for name in ("b.yml", "a.json", "sub/c.yaml", "sub/.d.yaml", ".hidden/e.yaml", "README.md", "UPPER.YAML"):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(f'{{"name": "{name}"}}')
    (tmp_path / "loop").symlink_to(tmp_path)
    names = [document.value["name"] for document in read_documents([tmp_path])]
    assert names == ["UPPER.YAML", "a.json", "b.yml", "sub/c.yaml"]


def test_a_file_named_twice_is_read_once(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("a: 1")
    assert len(read_documents([file, str(tmp_path), f"{tmp_path}/../{tmp_path.name}/a.yaml"])) == 1


def test_a_named_file_may_have_any_suffix(tmp_path: Path) -> None:
    file = tmp_path / "manifest.txt"
    file.write_bytes(b"\xef\xbb\xbfa: 1")
    assert [document.value for document in read_documents([file])] == [{"a": 1}]


@pytest.mark.parametrize("name", ["x.json", "x.yaml"])
def test_json_may_hold_several_documents(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.write_text('{"a": 1}\n{"b": "\\ud83d\\ude00"}\n')
    assert [(document.value, document.place) for document in read_documents([file])] == [
        ({"a": 1}, "line 1"),
        ({"b": "\N{GRINNING FACE}"}, "line 2"),
    ]


def test_yaml_in_flow_style_is_no_json() -> None:
    assert values_of("{a: 1, b: [x]}") == [{"a": 1, "b": ["x"]}]


@pytest.mark.parametrize(
    ("scalar", "value"),
    [
        ("yes", True),
        ("Off", False),
        ("~", None),
        ("", None),
        ("20", 20),
        ("-1_000", -1000),
        ("0x1F", 31),
        ("017", 15),
        ("0o17", 15),
        ("0b11", 3),
        ("1e3", 1000.0),
        ("1.5", 1.5),
        (".inf", float("inf")),
        ("2026-11-21", "2026-11-21"),
        ("2026-11-21T10:00:00Z", "2026-11-21T10:00:00Z"),
        ("12:30", "12:30"),
        ("=", "="),
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("y", "y"),
        ("'yes'", "yes"),
        ('"20"', "20"),
        ("!!str 20", "20"),
        ("!!int 20", 20),
        ("|2\n    x", "  x\n"),
        ("0x" + "f" * 2000, "0x" + "f" * 2000),
    ],
)
def test_scalars_are_typed_as_kubernetes_types_them(scalar: str, value: object) -> None:
    (document,) = values_of(f"a: {scalar}\n")
    assert document == {"a": value}


def test_keys_become_strings() -> None:
    assert values_of("1: a\ntrue: b\n0x10: c\n2026-01-01: d\n") == [
        {"1": "a", "true": "b", "16": "c", "2026-01-01": "d"}
    ]


def test_anchors_aliases_and_merges_are_resolved() -> None:
    text = (
        "base: &base {x: 1, y: 2}\nlist: [*base, &s text, *s]\nmerged: {<<: *base, y: 3}\nmany: {<<: [{z: 1}, *base]}\n"
    )
    assert values_of(text) == [
        {
            "base": {"x": 1, "y": 2},
            "list": [{"x": 1, "y": 2}, "text", "text"],
            "merged": {"x": 1, "y": 3},
            "many": {"z": 1, "x": 1, "y": 2},
        }
    ]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('{"a": ' + "[" * 100_000, id="JSON"),
        pytest.param("a: " + "[" * 20_000 + "]" * 20_000, id="YAML in brackets"),
        pytest.param("a:\n " + "- " * 20_000 + "x", id="YAML in lines"),
    ],
)
def test_deep_nesting_is_read_or_refused_in_one_line(text: str) -> None:
    # where the limit is, is the parser's own: libyaml refuses more than 1,000 levels since PyYAML 6.0.4
    outcome: object
    try:
        (outcome,) = values_of(text)
    except UnreadableInput as error:
        outcome = str(error)
    if isinstance(outcome, str):
        assert re.fullmatch(r"standard input(:\d+:\d+)?: [^\n]*(nest|deep)[^\n]*", outcome)
    else:
        assert isinstance(outcome, dict)


def test_ordinary_nesting_is_read() -> None:
    (document,) = values_of("a:\n " + "- " * 200 + "x")
    assert isinstance(document, dict)


@pytest.mark.parametrize(("text", "place"), cases.UNREADABLE_YAML)
def test_what_cannot_be_read_is_one_line_with_its_place(text: str, place: str) -> None:
    problem = problem_with(text)
    assert problem.startswith(f"standard input{place}: ")
    assert "\n" not in problem


@pytest.mark.parametrize(("text", "place"), cases.UNREADABLE_JSON)
def test_a_json_file_must_be_json(tmp_path: Path, text: str, place: str) -> None:
    file = tmp_path / "x.json"
    file.write_text(text)
    with pytest.raises(UnreadableInput) as raised:
        read_documents([file])
    assert str(raised.value).startswith(f"{file}{place}: ")
    assert "\n" not in str(raised.value)


def test_of_pods_only_what_is_read_is_kept_in_memory() -> None:
    pod = (
        "{apiVersion: v1, kind: Pod, metadata: {name: web, uid: x, labels: {a: b}}, "
        "spec: {nodeName: n, containers: [{name: c}]}, status: {phase: Running, podIP: 10.0.0.1}}"
    )
    kept = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web", "uid": "x", "labels": {"a": "b"}},
        "spec": {"nodeName": "n"},
        "status": {"phase": "Running"},
    }
    as_json = json.dumps(yaml.safe_load(pod))
    for text in (pod, as_json):
        (single,) = read_documents(["-"], stdin=io.StringIO(text), shorten=shorten_pod)
        assert single.value == kept
    for text in (f"kind: List\nitems:\n- {pod}\n", f'{{"kind": "List", "items": [{as_json}]}}'):
        (listed,) = read_documents(["-"], stdin=io.StringIO(text), shorten=shorten_pod)
        assert listed.value == {"kind": "List", "items": [kept]}


def test_a_text_in_utf_16_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "utf16.yaml"
    file.write_bytes("a: 1".encode("utf-16"))
    with pytest.raises(UnreadableInput, match="not text in UTF-8"):
        read_documents([file])


def test_aliases_that_explode_are_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]" for level in range(1, 10)]
    assert "10000000" in problem_with("\n".join(lines))


def test_every_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("a: b: c")
    (tmp_path / "binary.yaml").write_bytes(b"\x80\xff")
    (tmp_path / "good.yaml").write_text("a: 1")
    (tmp_path / "empty").mkdir()
    (tmp_path / "loop.yaml").symlink_to(tmp_path / "loop.yaml")
    with pytest.raises(UnreadableInput) as raised:
        read_documents([tmp_path, tmp_path / "missing.yaml", tmp_path / "empty", tmp_path / "good.yaml" / "x"])
    assert str(raised.value).splitlines() == [
        f"{tmp_path}/bad.yaml:1:5: mapping values are not allowed in this context",
        f"{tmp_path}/binary.yaml: not text in UTF-8",
        f"{tmp_path}/loop.yaml: too many levels of symbolic links",
        f"{tmp_path}/missing.yaml: no such file or folder",
        f"{tmp_path}/empty: no .yaml, .yml or .json file in it",
        f"{tmp_path}/good.yaml/x: not a directory",
    ]


def test_a_name_of_odd_bytes_is_told_in_printable_text(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"odd\xff\n.yaml")).write_text("a: b: c")
    with pytest.raises(UnreadableInput) as raised:
        read_documents([tmp_path])
    assert str(raised.value).isprintable()


def test_repeated_keys_are_faults_with_path_and_line() -> None:
    text = "spec:\n  egress:\n  - dscp: 1\n    bandwidth: {rate: 1}\n    dscp: 2\nspec: {}\n"
    (document,) = read_documents(["-"], stdin=io.StringIO(text))
    assert outline(document.errors) == ["error DuplicateField spec.egress[0].dscp", "error DuplicateField spec"]
    assert [one.text[-6:] for one in document.errors] == ["line 5", "line 6"]


def test_repeated_keys_of_json_are_faults_too(tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    file.write_text('{"a": 1}\n{"a":\n [{"b": 1,\n "b": 2}]}\n{"x": "\\ud83d\\ude00", "x": 1}')
    first, second, third = read_documents([file])
    assert first.errors == ()
    assert outline(second.errors) == ["error DuplicateField a[0].b"]
    assert second.errors[0].text.endswith("line 4")
    assert outline(third.errors) == ["error DuplicateField"]
    assert '"x"' in third.errors[0].text
