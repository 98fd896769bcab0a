"""A watch's byte stream, cut into events: one JSON object a line, in pieces that end anywhere."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ovnqos.kubernetes.request_errors import UnreadableAnswerError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchEvent:
    """`type` is ADDED, MODIFIED, DELETED, BOOKMARK or ERROR; the document of an ERROR is a Status."""

    type: str
    document: dict[str, object]


def read_events(chunks: Iterable[bytes]) -> Iterator[list[WatchEvent]]:
    """Reads the events of a stream; those that arrived together come together.

    An unfinished last line is dropped: whoever watches on from the last version is sent it again.

    Raises:
        UnreadableAnswerError: a line is no event.
    """
    return (list(map(_read_event, lines)) for lines in _split_lines(chunks))


def _split_lines(chunks: Iterable[bytes]) -> Iterator[list[bytes]]:
    unfinished: list[bytes] = []  # joined once, when the line ends: a large object comes in many pieces
    for chunk in chunks:
        *finished, rest = chunk.split(b"\n")
        if finished:
            finished[0] = b"".join([*unfinished, finished[0]])
            unfinished = []
            lines = [line for line in finished if line.strip()]
            if lines:
                yield lines
        if rest:
            unfinished.append(rest)


def _read_event(line: bytes) -> WatchEvent:
    try:
        event: object = json.loads(line)
    except (ValueError, RecursionError) as error:
        message = f"a line of the watch is not JSON: {error}"
        raise UnreadableAnswerError(message) from None
    if isinstance(event, dict):
        kind, document = event.get("type"), event.get("object")
        if isinstance(kind, str) and isinstance(document, dict):
            return WatchEvent(type=kind, document=document)
    message = "a line of the watch is no event"
    raise UnreadableAnswerError(message)
