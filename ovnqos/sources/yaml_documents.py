"""YAML text to values, as the Kubernetes tools read it.

Built on the events of PyYAML's parser (libyaml where it is there), because its own constructors keep the last of two
equal keys in silence, make dates of strings, read `12:30` as a number, and recurse. Plain scalars are typed as by
`sigs.k8s.io/yaml`: YAML 1.1 with its `yes` and `on`, yet no dates and no base-60 numbers; keys become strings.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import yaml

from ovnqos.diagnostics import Code, Diagnostic
from ovnqos.sources.fields import UNNAMED, child_path, show
from ovnqos.sources.parsed import ParsedDocument, UnreadableTextError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_EXPANSION_MAXIMUM = 10_000_000
"""Most values that the aliases of one text may stand for; more is taken for an attack (a "billion laughs")."""

_WORDS: dict[str, object] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON"), True),
    **dict.fromkeys(("false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
_INTEGER = re.compile(r"([-+]?)(?:0b(?P<b>[01_]+)|0x(?P<x>[0-9a-fA-F_]+)|0o?(?P<o>[0-7_]+)|(?P<d>0|[1-9][0-9_]*))")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INTEGER_LENGTH = 80
_BASES = {"b": 2, "x": 16, "o": 8, "d": 10}
_TAG = "tag:yaml.org,2002:"
_MERGE = "<<"


def parse_yaml(text: str) -> Iterator[ParsedDocument]:
    """Parse the documents of a text; empty ones are left out.

    A key that a mapping holds twice is an error of its document, with its path and line; the last value counts.

    Raises:
        UnreadableTextError: the text, from some place on, is no YAML, or uses tags or keys that Kubernetes does not.
    """
    try:
        yield from _Builder().documents(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        message = error.problem or error.context or "not YAML"
        raise UnreadableTextError(message, *((mark.line + 1, mark.column + 1) if mark is not None else ())) from None
    except yaml.reader.ReaderError as error:
        before = text.encode()[: error.position]
        raise UnreadableTextError(f"not text: {error.reason}", before.count(b"\n") + 1) from None
    except yaml.YAMLError as error:
        raise UnreadableTextError(str(error).partition("\n")[0]) from None


@dataclass(slots=True)
class _Frame:
    """A mapping or list under construction."""

    container: dict[str, object] | list[object]
    anchor: str | None
    size_before: int
    key: str = ""
    expects_key: bool = True
    merging: bool = False
    merged: list[tuple[object, int]] = field(default_factory=list)


class _Builder:
    """Values from events. Iterative, so that no depth of nesting can exhaust the stack."""

    def __init__(self) -> None:
        self._stack: list[_Frame] = []
        self._anchors: dict[str, tuple[object, int]] = {}
        self._errors: list[Diagnostic] = []
        self._root: object = None
        self._line = 0
        self._size = 0

    def documents(self, text: str) -> Iterator[ParsedDocument]:
        handlers: dict[type, Callable[..., None]] = {
            yaml.ScalarEvent: self._scalar,
            yaml.MappingStartEvent: self._start_mapping,
            yaml.MappingEndEvent: self._end,
            yaml.SequenceStartEvent: self._start_list,
            yaml.SequenceEndEvent: self._end,
            yaml.AliasEvent: self._alias,
        }
        for event in yaml.parse(text, Loader=_Loader):
            handler = handlers.get(type(event))
            if handler is not None:
                handler(event)
            elif isinstance(event, yaml.DocumentEndEvent):
                if self._root is not None:
                    yield ParsedDocument(value=self._root, line=self._line, errors=tuple(self._errors))
                self._root, self._line = None, 0
                self._anchors, self._errors = {}, []

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        if self._stack and self._stack[-1].expects_key:
            plain_text = event.value
            if event.implicit[0]:
                value = _plain(plain_text)
                if isinstance(value, int):
                    plain_text = str(value).lower()
            self._key(plain_text, event, merging=event.implicit[0] and plain_text == _MERGE)
            return
        value = event.value
        if event.implicit[0]:
            value = _plain(value)
        elif event.tag is not None:
            value = _tagged(event)
        self._add(value, event)
        if event.anchor is not None:
            self._anchors[event.anchor] = (value, 1)

    def _key(self, key: str, event: yaml.NodeEvent, *, merging: bool) -> None:
        frame = self._stack[-1]
        frame.key, frame.expects_key, frame.merging = key, False, merging
        if key in frame.container and not merging:
            text = f"given twice, the second time in line {_line(event)}"
            self._errors.append(
                Diagnostic.error(UNNAMED, Code.DUPLICATE_FIELD, text, path=self._path(), hint="keep one")
            )

    def _path(self) -> str:
        path = ""
        for frame in self._stack:
            container = frame.container
            path = child_path(path, len(container) - 1 if isinstance(container, list) else frame.key)
        return path

    def _add(self, value: object, event: yaml.NodeEvent) -> None:
        self._size += 1
        if not self._stack:
            self._root, self._line = value, _line(event)
            return
        frame = self._stack[-1]
        if isinstance(frame.container, list):
            frame.container.append(value)
            return
        if frame.expects_key:
            raise _unreadable("a key must be a word, not a mapping or list", event)
        frame.expects_key = True
        if frame.merging:
            frame.merged.append((value, _line(event)))
        else:
            frame.container[frame.key] = value

    def _start_mapping(self, event: yaml.MappingStartEvent) -> None:
        _check_tag(event, "map")
        self._open({}, event, expects_key=True)

    def _start_list(self, event: yaml.SequenceStartEvent) -> None:
        _check_tag(event, "seq")
        self._open([], event, expects_key=False)

    def _open(
        self, container: dict[str, object] | list[object], event: yaml.CollectionStartEvent, *, expects_key: bool
    ) -> None:
        size = self._size
        self._add(container, event)
        self._stack.append(_Frame(container, event.anchor, size, expects_key=expects_key))

    def _end(self, _event: yaml.CollectionEndEvent) -> None:
        frame = self._stack.pop()
        for merged, line in frame.merged:
            for mapping in merged if isinstance(merged, list) else [merged]:
                if not isinstance(mapping, dict) or not isinstance(frame.container, dict):
                    message = "<< takes a mapping, or a list of mappings"
                    raise UnreadableTextError(message, line)
                for key, value in mapping.items():
                    frame.container.setdefault(key, value)
        if frame.anchor is not None:
            self._anchors[frame.anchor] = (frame.container, self._size - frame.size_before)

    def _alias(self, event: yaml.AliasEvent) -> None:
        if event.anchor not in self._anchors:
            raise _unreadable(f"alias *{event.anchor} stands for nothing that ends before it", event)
        value, size = self._anchors[event.anchor]
        self._size += size
        if self._size > _EXPANSION_MAXIMUM:
            raise _unreadable(f"aliases make more than {_EXPANSION_MAXIMUM} values of this text", event)
        if self._stack and self._stack[-1].expects_key and isinstance(value, str):
            self._key(value, event, merging=False)
        else:
            self._add(value, event)


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark is not None else 0


def _unreadable(message: str, event: yaml.Event) -> UnreadableTextError:
    mark = event.start_mark
    return UnreadableTextError(message, *((mark.line + 1, mark.column + 1) if mark is not None else ()))


def _check_tag(event: yaml.CollectionStartEvent, name: str) -> None:
    if event.tag not in {None, "!", _TAG + name}:
        raise _unreadable(f"tag {show(event.tag)} is not known to Kubernetes; remove it", event)


def _tagged(event: yaml.ScalarEvent) -> object:
    types: dict[str, tuple[type, ...]] = {
        "int": (int,),
        "float": (float, int),
        "bool": (bool,),
        "null": (type(None),),
        "str": (str,),
    }
    name = (event.tag or "").removeprefix(_TAG)
    if name == "str":
        return event.value
    value = _plain(event.value)
    if name not in types:
        raise _unreadable(f"tag {show(event.tag)} is not known to Kubernetes; remove it", event)
    if type(value) not in types[name]:
        raise _unreadable(f"{show(event.value)} is no {name}, as its tag says", event)
    return value


def _plain(text: str) -> object:
    """The value of a scalar without quotes."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "+-.0123456789":
        return text
    integer = _INTEGER.fullmatch(text) if len(text) <= _INTEGER_LENGTH else None
    if integer is not None and integer.lastgroup is not None:
        digits = integer[integer.lastgroup].replace("_", "") or "0"
        return int(integer[1] + digits, _BASES[integer.lastgroup])
    return float(text) if _FLOAT.fullmatch(text) else text
