"""YAML and JSON text to values, as the Kubernetes tools read it.

YAML is built from the events of PyYAML's parser (libyaml where it is there). PyYAML's own constructors keep the last of
two equal keys in silence, make dates of strings, read `12:30` as a number, and take twice as long. Plain scalars are
typed as by `sigs.k8s.io/yaml`: YAML 1.1 with its `yes` and `on`, yet no dates and no base-60 numbers; keys become
strings. JSON is read by the standard library; a repeated key is located in a second, slower look.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

import yaml

from ovnqos.diagnostics import Code, Diagnostic
from ovnqos.sources.fields import UNNAMED
from ovnqos.sources.values import child_path, show

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Shorten = Callable[[dict[str, object]], Mapping[str, object]]

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DEPTH_MAXIMUM = 256
_EXPANSION_MAXIMUM = 10_000_000
"""Most values that the aliases of one text may stand for; more is refused as an attack ("billion laughs")."""

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
_SPACE = re.compile(r"[ \t\r\n]*")


class UnreadableTextError(ValueError):
    """The text cannot be read. `line` and `column` count from 1; 0 where they are not known."""

    def __init__(self, message: str, line: int = 0, column: int = 0) -> None:
        super().__init__(message)
        self.line = line
        self.column = column


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedDocument:
    """One document of a text: its value, the line it begins in, and an error for each key that it repeats."""

    value: object
    line: int
    errors: tuple[Diagnostic, ...] = ()


def parse_yaml(text: bytes, *, shorten: Shorten | None = None) -> Iterator[ParsedDocument]:
    """Parse the documents of a YAML text in UTF-8; empty ones are left out.

    A key that a mapping holds twice is an error of its document, with its path and line; the last value counts.

    Args:
        text: with or without a byte order mark.
        shorten: what is kept of a document, and of an item of a list, as soon as it is read; None keeps all.

    Raises:
        UnreadableTextError: the text, from some place on, is no YAML, is nested too deep, or uses tags or keys that
            Kubernetes does not.
    """
    try:
        yield from _YamlReader(text, shorten).documents()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        message = error.problem or error.context or "not YAML"
        raise UnreadableTextError(message, *((mark.line + 1, mark.column + 1) if mark is not None else ())) from None
    except yaml.reader.ReaderError as error:
        line = text[: error.position].count(b"\n") + 1
        raise UnreadableTextError(f"not text: {error.reason}", line) from None
    except yaml.YAMLError as error:
        raise UnreadableTextError(str(error).partition("\n")[0]) from None
    except RecursionError:  # of a caller that is deep in its own stack
        raise UnreadableTextError("nested too deep") from None


class _YamlReader:
    """Values from events. What is called for each scalar is inlined: a large cluster has millions."""

    def __init__(self, text: bytes, shorten: Shorten | None) -> None:
        self._next: Callable[[], yaml.Event] = _Loader(text).get_event
        self._shorten = shorten
        self._keys: dict[str, str] = {}  # the plain keys so far: few in number, and one string each
        self._anchors: dict[str, tuple[object, int]] = {}
        self._errors: list[Diagnostic] = []
        self._place: list[str | int] = []  # the key or index in each mapping and list that is open
        self._size = 0

    def documents(self) -> Iterator[ParsedDocument]:
        while not isinstance(event := self._next(), yaml.StreamEndEvent):
            if isinstance(event, yaml.DocumentStartEvent):
                self._anchors, self._errors = {}, []
                first = self._next()
                value = self._value(first)
                if value is not None:
                    yield ParsedDocument(value=value, line=_line(first), errors=tuple(self._errors))

    def _value(self, event: yaml.Event) -> object:
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        before = self._size
        self._size += 1
        value: object
        if isinstance(event, yaml.ScalarEvent):
            value = _scalar(event)
        elif isinstance(event, yaml.MappingStartEvent):
            value = self._mapping(event)
        elif isinstance(event, yaml.SequenceStartEvent):
            value = self._list(event)
        else:
            raise _unreadable("not YAML", event)
        if event.anchor is not None:
            self._anchors[event.anchor] = (value, self._size - before)
        return value

    def _list(self, start: yaml.SequenceStartEvent) -> list[object]:
        self._open(start, "seq")
        values: list[object] = []
        following, place = self._next, self._place
        while not isinstance(event := following(), yaml.SequenceEndEvent):
            place[-1] = len(values)
            values.append(self._value(event))
        place.pop()
        return values

    def _mapping(self, start: yaml.MappingStartEvent) -> Mapping[str, object]:
        self._open(start, "map")
        values: dict[str, object] = {}
        merged: list[Mapping[str, object]] = []
        following, place, keys = self._next, self._place, self._keys
        while not isinstance(event := following(), yaml.MappingEndEvent):
            known = keys.get(event.value) if type(event) is yaml.ScalarEvent and event.implicit[0] else None
            key, merges = (known, False) if known is not None else self._key(event)
            place[-1] = key
            if merges:
                merged.extend(self._merged(event))
                continue
            if key in values:
                text = f"given twice, the second time in line {_line(event)}"
                error = Diagnostic.error(UNNAMED, Code.DUPLICATE_FIELD, text, path=self._path(), hint="keep one")
                self._errors.append(error)
            event = following()
            if type(event) is yaml.ScalarEvent and event.anchor is None:
                self._size += 1
                values[key] = _scalar(event)
            else:
                values[key] = self._value(event)
        for mapping in merged:
            values = {**mapping, **values}
        place.pop()
        if self._shorten is not None and (not place or (len(place) == 2 and place[0] == "items")):
            return self._shorten(values)
        return values

    def _open(self, start: yaml.CollectionStartEvent, tag: str) -> None:
        if start.tag not in {None, "!", _TAG + tag}:
            raise _unreadable(f"tag {show(start.tag)} is not known to Kubernetes; remove it", start)
        if len(self._place) == _DEPTH_MAXIMUM:
            raise _unreadable(f"nested deeper than {_DEPTH_MAXIMUM} levels", start)
        self._place.append("")

    def _key(self, event: yaml.Event) -> tuple[str, bool]:
        """A key, and whether it is `<<`, whose value is merged into the mapping."""
        if isinstance(event, yaml.ScalarEvent):
            if not event.implicit[0]:
                return event.value, False
            if event.value == _MERGE:
                return _MERGE, True
            value = _plain(event.value)
            return self._keys.setdefault(
                event.value, str(value).lower() if isinstance(value, int) else event.value
            ), False
        key = self._alias(event) if isinstance(event, yaml.AliasEvent) else None
        if not isinstance(key, str):
            raise _unreadable("a key must be a scalar, not a mapping or list", event)
        return key, False

    def _merged(self, key: yaml.Event) -> list[Mapping[str, object]]:
        value = self._value(self._next())
        values = value if isinstance(value, list) else [value]
        mappings: list[Mapping[str, object]] = [one for one in values if isinstance(one, dict)]
        if len(mappings) != len(values):
            raise _unreadable("<< takes a mapping, or a list of mappings", key)
        return mappings

    def _alias(self, event: yaml.AliasEvent) -> object:
        if event.anchor not in self._anchors:
            raise _unreadable(f"alias *{event.anchor} has no anchor that ends before it", event)
        value, size = self._anchors[event.anchor]
        self._size += size
        if self._size > _EXPANSION_MAXIMUM:
            raise _unreadable(f"aliases make more than {_EXPANSION_MAXIMUM} values of this text", event)
        return value

    def _path(self) -> str:
        path = ""
        for key in self._place:
            path = child_path(path, key)
        return path


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark is not None else 0


def _unreadable(message: str, event: yaml.Event) -> UnreadableTextError:
    mark = event.start_mark
    return UnreadableTextError(message, *((mark.line + 1, mark.column + 1) if mark is not None else ()))


def _scalar(event: yaml.ScalarEvent) -> object:
    if event.implicit[0]:
        return _plain(event.value)
    return event.value if event.tag is None else _tagged(event)


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
        raise _unreadable(f"{show(event.value)} is not of type {name}, which its tag names", event)
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


def parse_json(text: str, *, shorten: Shorten | None = None) -> list[ParsedDocument]:
    """Parse the JSON documents of a text, which follow each other with or without white space between them.

    A key that an object holds twice is an error of its document; the last value counts.

    Args:
        text: the text.
        shorten: what is kept of each object that has metadata, as soon as it is read; None keeps all.

    Raises:
        UnreadableTextError: the text, from some place on, is no JSON.
    """
    repeated: list[str] = []

    def object_of(pairs: list[tuple[str, object]]) -> Mapping[str, object]:
        value = dict(pairs)
        if len(value) != len(pairs):
            keys = [key for key, _ in pairs]
            repeated.append(next(key for key in value if keys.count(key) > 1))
        return shorten(value) if shorten is not None and "metadata" in value else value

    decoder = json.JSONDecoder(object_pairs_hook=object_of, parse_constant=_refuse)
    documents = []
    start = _skip_space(text, 0)
    while start < len(text):
        try:
            value, end = decoder.raw_decode(text, start)
        except json.JSONDecodeError as error:
            raise UnreadableTextError(f"not JSON: {error.msg}", error.lineno, error.colno) from None
        except RecursionError:
            raise UnreadableTextError("nested too deep") from None
        except ValueError as error:
            raise UnreadableTextError(f"not read: {error}") from None
        line = text.count("\n", 0, start) + 1
        errors = _located(repeated, text[start:end], line) if repeated else ()
        documents.append(ParsedDocument(value=value, line=line, errors=errors))
        repeated.clear()
        start = _skip_space(text, end)
    return documents


def _skip_space(text: str, start: int) -> int:
    match = _SPACE.match(text, start)
    return match.end() if match is not None else start


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON number")


def _located(repeated: list[str], text: str, line: int) -> tuple[Diagnostic, ...]:
    """The errors with path and line, by reading the JSON as YAML; without them if YAML cannot (escaped surrogates)."""
    try:
        lines = b"\n" * (line - 1) + text.encode()
        errors = [error for document in parse_yaml(lines) for error in document.errors]
    except (UnicodeError, UnreadableTextError):
        errors = []
    return tuple(errors) or tuple(
        Diagnostic.error(UNNAMED, Code.DUPLICATE_FIELD, f"key {show(key)} is given twice", hint="keep one")
        for key in repeated
    )
