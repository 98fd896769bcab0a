"""Read JSON objects from a stream with the standard library's parser, in linear time however the bytes are cut."""

from __future__ import annotations

import codecs
import json
import re
import sys
from collections import deque
from contextlib import suppress
from typing import Any, Final, NoReturn

from ovnqos.collector import collector_paused

MAX_DEPTH: Final = 500
"""Nesting that is accepted; messages of OVSDB nest about ten deep."""

_SHARE_FROM: Final = 64 * 1024
"""Characters received together from which on equal members of sets are made one object as they are read."""

_OBJECT_AFTER_OBJECT: Final = re.compile(r"\}\s*[^\s,\]}]")
_REFUSED_ESCAPE: Final = re.compile(r"\\u(?:0000|[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F]))")
_CUT_TOKEN: Final = 8
"""Characters before the end of what has arrived within which the parser may stumble over half a token."""


class JsonReader:
    """Cuts a stream into JSON objects and parses each once, in linear time, however the bytes are cut.

    Brackets outside strings are counted at the speed of C: that is where an object ends, so nothing is parsed in
    vain. `ovs` parses character by character in Python (2.6 MB/s measured), for pip builds no C parser of it.

    Attributes:
        objects: what has arrived, oldest first; the user removes them.
        error: why nothing more will come; what was read before stays.
    """

    def __init__(self) -> None:
        self.objects: deque[Any] = deque()
        self.error: str | None = None
        self._decode = codecs.getincrementaldecoder("utf-8")().decode
        self._parts: list[str] = []  # of the object that has begun
        self._backslash = ""  # one whose escaped character has not arrived
        self._depth = 0
        self._in_string = False

    @property
    def pending(self) -> bool:
        """Whether an object has begun and not ended."""
        return bool("".join(self._parts) or self._backslash)

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the stream."""
        if self.error is None:
            try:
                self._take(self._backslash + self._decode(data))
            except (ValueError, RecursionError) as error:
                self.error = str(error)

    def _take(self, text: str) -> None:
        self._backslash = "\\" if (len(text) - len(text.rstrip("\\"))) % 2 else ""
        text = text.removesuffix(self._backslash)
        self._parts.append(text)
        pieces = (text.replace("\\\\", "").replace('\\"', "") if "\\" in text else text).split('"')
        outside = "".join(pieces[self._in_string :: 2])
        self._in_string ^= len(pieces) % 2 == 0
        self._depth += sum(map(outside.count, "{[")) - sum(map(outside.count, "}]"))
        if self._depth > MAX_DEPTH:
            raise ValueError(f"nested deeper than {MAX_DEPTH}")
        if self._depth <= 0 or _OBJECT_AFTER_OBJECT.search(outside):
            self._parse()

    def _parse(self) -> None:
        text = "".join(self._parts)
        self._parts = []
        decoder = _SHARING_DECODER if len(text) > _SHARE_FROM else _DECODER
        position = _skip_blanks(text, 0)
        with collector_paused():
            while position < len(text):
                if text[position] != "{":
                    raise ValueError(f"no JSON object at {text[position : position + 20]!r}")
                try:
                    value, end = decoder.raw_decode(text, position)
                except json.JSONDecodeError as error:
                    is_cut = error.pos >= len(text) - _CUT_TOKEN or error.msg.startswith("Unterminated string")
                    if self._depth <= 0 or not is_cut:
                        raise
                    self._parts = [text[position:]]
                    return
                if text.find("\\u", position, end) >= 0:
                    _check_escapes(text[position:end])
                self.objects.append(value)
                position = _skip_blanks(text, end)


def _skip_blanks(text: str, position: int) -> int:
    while text[position : position + 1] in (" ", "\t", "\r", "\n"):
        position += 1
    return position


def _check_escapes(text: str) -> None:
    if _REFUSED_ESCAPE.search(text.replace("\\\\", " ")):
        raise ValueError("a NUL, or half a surrogate pair, in a string")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


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


_DECODER: Final = json.JSONDecoder(parse_constant=_refuse_constant)
_SHARING_DECODER: Final = json.JSONDecoder(parse_constant=_refuse_constant, object_hook=_share_members)
