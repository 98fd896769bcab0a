"""JSON text to values, by the standard library's fast parser; a repeated key is located in a second, slower look."""

from __future__ import annotations

import json
import re
from typing import NoReturn

from ovnqos.diagnostics import Code, Diagnostic
from ovnqos.sources.fields import UNNAMED, show
from ovnqos.sources.parsed import ParsedDocument, UnreadableTextError
from ovnqos.sources.yaml_documents import parse_yaml

_SPACE = re.compile(r"[ \t\r\n]*")


def parse_json(text: str) -> list[ParsedDocument]:
    """Parse the JSON documents of a text, which follow each other with or without white space between them.

    A key that an object holds twice is an error of its document; the last value counts.

    Raises:
        UnreadableTextError: the text, from some place on, is no JSON.
    """
    repeated: list[str] = []

    def object_of(pairs: list[tuple[str, object]]) -> dict[str, object]:
        value = dict(pairs)
        if len(value) != len(pairs):
            keys = [key for key, _ in pairs]
            repeated.append(next(key for key in value if keys.count(key) > 1))
        return value

    decoder = json.JSONDecoder(object_pairs_hook=object_of, parse_constant=_refuse)
    documents = []
    start = _skip_space(text, 0)
    while start < len(text):
        try:
            value, end = decoder.raw_decode(text, start)
        except json.JSONDecodeError as error:
            raise UnreadableTextError(f"not JSON: {error.msg}", error.lineno, error.colno) from None
        except RecursionError:
            message = "not read: nested too deep"
            raise UnreadableTextError(message) from None
        except ValueError as error:
            message = f"not read: {error}"
            raise UnreadableTextError(message) from None
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
    message = f"{constant} is no JSON number"
    raise ValueError(message)


def _located(repeated: list[str], text: str, line: int) -> tuple[Diagnostic, ...]:
    """The errors with path and line, by reading the JSON as YAML; without them if YAML cannot (escaped surrogates)."""
    try:
        errors = [error for document in parse_yaml("\n" * (line - 1) + text) for error in document.errors]
    except UnreadableTextError:
        errors = []
    return tuple(errors) or tuple(
        Diagnostic.error(UNNAMED, Code.DUPLICATE_FIELD, f"key {show(key)} is given twice", hint="keep one")
        for key in repeated
    )
