"""Cut a byte stream into JSON documents and parse them, as `ovs.json.Parser` does, at the standard library's speed.

`ovs` parses character by character in Python where its C extension is not built (2.6 MB/s measured, and pip never
builds it). Here the stream is cut by counting brackets outside strings, a few C-level passes a chunk, and each document
goes once through the standard library's `json`. What the two parsers judge differently is settled as `ovs` settles it.
"""

from __future__ import annotations

import json
import re
import sys
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NoReturn

import ovs.json

from ovnqos.collector import collector_paused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAX_DEPTH: Final = 1000
"""Nesting that `ovs.json.Parser` accepts (`MAX_HEIGHT`); `ovsdb-server` has the same limit."""

_RECURSIVE_DEPTH: Final = 100
"""Documents nested deeper go to the parser of `ovs`: the standard library's recurses, and Python's stack has an end."""

_COLLAPSE_PASSES: Final = 24
"""Passes that remove matched pairs of brackets; OVSDB messages nest about ten deep."""

_PLAIN_INTEGER_LENGTH: Final = 18
"""An integer of so few characters fits in 64 bits; `ovs` turns those that do not into floats."""

_SHARE_FROM: Final = 64 * 1024
"""Characters of a document from which on equal members of sets are made one object as they are read."""

_NO_DOCUMENT: Final = "syntax error at beginning of input"
_SPACE: Final = b" \t\r\n"
_NOT_BRACKETS: Final = bytes(byte for byte in range(256) if byte not in b"[]{}")
_SQUARE: Final = bytes.maketrans(b"{}", b"[]")
_TOKEN: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*("?)|[][{}]', re.DOTALL)
_REST_OF_STRING: Final = re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*("?)', re.DOTALL)
_REFUSED_ESCAPE: Final = re.compile(r"\\u(?:0000|[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F]))")


class InvalidJsonError(ValueError):
    """The bytes are not JSON as OVSDB speaks it. The message says what is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """The bytes of one top-level JSON object or array, not parsed yet.

    `deep` is true when it may nest so deep that only a parser without recursion can read it.
    """

    data: bytes
    deep: bool

    def parse(self) -> object:
        """Returns the value, as `ovs.json.Parser` would: dict, list, str, int, float, bool and None.

        Raises:
            InvalidJsonError: what `ovs` refuses is refused: bad syntax or UTF-8, NaN, a NUL, half a surrogate pair.
        """
        try:
            text = self.data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise InvalidJsonError(f"invalid UTF-8 at byte {error.start}") from None
        if self.deep:
            return _parse_as_ovs(text)
        # Pairs of backslashes go first: what is left of a run is the start of an escape.
        if "\\u" in text and _REFUSED_ESCAPE.search(text.replace("\\\\", " ")):
            raise InvalidJsonError("a NUL, or half a surrogate pair, in a string")
        try:
            with collector_paused():
                value: object = (_SHARING_DECODER if len(text) > _SHARE_FROM else _DECODER).decode(text)
        except ValueError as error:
            raise InvalidJsonError(str(error)) from None
        return value


class DocumentCutter:
    """Cuts what `feed` is given, in chunks of any size, into documents.

    The cost is linear in the bytes fed: no byte is looked at again because more arrive.

    Attributes:
        documents: the complete documents, oldest first; the reader takes them out.
        error: why nothing more will come, once the stream cannot be JSON; documents before that place stay.
    """

    def __init__(self) -> None:
        self.documents: deque[Document] = deque()
        self.error: str | None = None
        self._parts: list[bytes] = []  # of the document that has begun
        self._held = b""  # a backslash whose escaped byte has not arrived
        self._depth = 0
        self._deepest = 0
        self._in_string = False

    @property
    def pending(self) -> bool:
        """True while a document has begun and not ended."""
        return self._depth > 0

    def feed(self, data: bytes) -> None:
        """Takes the next bytes of the stream; complete documents appear in `documents`."""
        if self.error is not None:
            return
        chunk = self._held + data
        trailing_backslashes = len(chunk) - len(chunk.rstrip(b"\\"))
        self._held = b"\\" if trailing_backslashes % 2 else b""
        if self._held:
            chunk = chunk[:-1]
        for part in self._parts_of(chunk):
            if self._depth and self._is_all_inside(part):
                self._parts.append(part)
            else:
                self._walk(part)
                if self.error is not None:
                    return
        if self._held and not self._depth:
            self.error = _NO_DOCUMENT
        if self._depth > MAX_DEPTH:
            self.error = f"input exceeds maximum nesting depth {MAX_DEPTH}"

    def _parts_of(self, chunk: bytes) -> Iterator[bytes]:
        """Brackets that may begin or end a document apart from all that is inside of it.

        A document ends and the next begins at `}{`, as ovsdb-server writes them; elsewhere that is only in strings.
        """
        for index, piece in enumerate(pieces := chunk.split(b"}{")):
            whole = (b"{" if index else b"") + piece + (b"}" if index < len(pieces) - 1 else b"")
            begin = int(not self._depth and whole[:1] in (b"{", b"["))
            end = max(begin, len(whole) - (whole[-1:] in (b"}", b"]")))
            yield from filter(None, (whole[:begin], whole[begin:end], whole[end:]))

    def _is_all_inside(self, chunk: bytes) -> bool:
        """Counts brackets. True, with the state moved on, when the document that has begun does not end in `chunk`."""
        text = chunk.replace(b"\\\\", b"").replace(b'\\"', b"") if b"\\" in chunk else chunk
        pieces = text.split(b'"')
        outside = b"".join(pieces[1::2] if self._in_string else pieces[::2])
        brackets = outside.translate(_SQUARE, _NOT_BRACKETS)
        passes = 0
        while b"[]" in brackets:
            if passes == _COLLAPSE_PASSES:
                return False
            brackets = brackets.replace(b"[]", b"")
            passes += 1
        closing = brackets.count(b"]")
        if closing >= self._depth:
            return False
        opening = len(brackets) - closing
        # An upper bound, for each pass removed at least one level of nesting.
        self._deepest = max(self._deepest, self._depth + passes, self._depth - closing + opening + passes)
        self._depth += opening - closing
        self._in_string ^= len(pieces) % 2 == 0
        return True

    def _walk(self, chunk: bytes) -> None:
        """Follows every bracket of `chunk`, cutting out the documents that end in it."""
        position = start = 0
        if self._in_string:
            rest = _REST_OF_STRING.match(chunk)
            position = rest.end() if rest else 0
            self._in_string = not (rest and rest.group(1))
        depth, deepest = self._depth, self._deepest
        for token in _TOKEN.finditer(chunk, position):
            first = chunk[token.start()]
            if not depth:
                if first not in b"[{" or chunk[start : token.start()].strip(_SPACE):
                    break
                start = token.start()
            if first in b"[{":
                depth += 1
                deepest = max(deepest, depth)
            elif first in b"]}":
                depth -= 1
                if not depth:
                    self._parts.append(chunk[start : token.end()])
                    self._cut(deepest)
                    start, deepest = token.end(), 0
            else:
                self._in_string = not token.group(1)
        self._depth, self._deepest = depth, deepest
        if depth:
            self._parts.append(chunk[start:])
        elif chunk[start:].strip(_SPACE):
            self.error = _NO_DOCUMENT

    def _cut(self, deepest: int) -> None:
        self.documents.append(Document(data=b"".join(self._parts), deep=deepest > _RECURSIVE_DEPTH))
        self._parts.clear()


def _parse_as_ovs(text: str) -> object:
    """Parses by the rules of `ovs` itself. Raises InvalidJsonError where `ovs` gives an error."""
    value = ovs.json.from_string(text)
    if isinstance(value, str):
        raise InvalidJsonError(value)
    return value


def _number(text: str) -> int | float:
    """Reads a number as `ovs` does: 1.0 and 1e3 are integers, an integer beyond 64 bits is a float."""
    if len(text) <= _PLAIN_INTEGER_LENGTH and text.lstrip("-").isdigit():
        return int(text)
    numbers = _parse_as_ovs(f"[{text}]")
    assert isinstance(numbers, list)
    number: int | float = numbers[0]
    return number


def _refuse_constant(name: str) -> NoReturn:
    raise InvalidJsonError(f"{name} is not JSON")


def _share_members(value: dict[str, Any]) -> dict[str, Any]:
    """Makes equal members of sets one object, row by row: a Northbound has the same addresses in many sets.

    Later would do as well but for the memory: what is freed at once is used for the next row.
    """
    for column in value.values():
        if type(column) is list and len(column) == 2 and column[0] == "set":
            members = column[1]
            if members and type(members[0]) is str:
                with suppress(TypeError):  # no set of OVSDB's: texts and others mixed
                    members[:] = map(sys.intern, members)
    return value


def _decoder(object_hook: Callable[[dict[str, Any]], Any] | None = None) -> json.JSONDecoder:
    return json.JSONDecoder(
        object_hook=object_hook, parse_int=_number, parse_float=_number, parse_constant=_refuse_constant
    )


_DECODER: Final = _decoder()
_SHARING_DECODER: Final = _decoder(_share_members)
