"""Our JSON reader against the pure-Python one of `ovs`: the same bytes, however cut, give the same messages."""

from __future__ import annotations

import codecs
import errno
import json
from typing import Any

import ovs.json
import ovs.jsonrpc
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ovnqos.ovsdb.json_stream import MAX_DEPTH, JsonReader, StreamConnection

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(
    ["", "{", "}]", '"', "\\", '\\"', "é", "\U0001f600", "a\\\\", "\u2028", "\x7f"]
)
NUMBERS = (
    st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([0, -0.0, 1.0, 2**63, 2**63 - 1, -(2**63), 1e300, 1e19])
)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(TEXT, VALUES, max_size=4)
FRAGMENTS = st.sampled_from(
    [
        *'{}[]:," \t\n\r\\/-+.eE0123a',
        *("true", "false", "null", "NaN", "Infinity", "-Infinity", "nul", "True"),
        *('"a"', '"\\n"', '"\\u00e9"', '"\\ud83d\\ude00"', '"\\ud83d"', '"\\ude00"', '"\\\\ud83d"', '"\\u0000"'),
        *('"\\x"', '"\\u12"', '"\\\\"', '"\\\\\\""', '"\x01"', '"\\ud83d\\\\ude00"', '"é"', "é", "\ufeff", "\x00"),
        *("1e5", "1e-400", "-0", "-0.0", "1.0", "1.5", "01", "1.", ".5", "-", "1e", "9" * 19, "9" * 300),
        *("0e1", "9223372036854775808", "-9223372036854775808", "1" * 5000),
        *(
            '{"a":1}',
            '{"a":1,"a":2}',
            "[]",
            "{}",
            "[1,]",
            "[1 2]",
            '{"a"}',
            '{"a":{},"b":[{}]}',
            "[[[[]]]]",
            "[}",
            "{]",
        ),
    ]
)
CUTS = st.lists(st.integers(0, 200), max_size=12)


def shown(value: Any) -> str:
    """A value with its numbers as floats: `ovs` makes integers of 1.0 and 1e3, and floats of those beyond 64 bits."""
    if isinstance(value, bool | str | None):
        return repr(value)
    if isinstance(value, int | float):
        return repr(float(value) + 0.0)
    if isinstance(value, list):
        return f"[{', '.join(map(shown, value))}]"
    return f"{{{', '.join(f'{key!r}: {shown(one)}' for key, one in value.items())}}}"


def as_ovs_reads(stream: bytes) -> tuple[list[str], bool]:
    """What ovs.json.Parser makes of a stream of objects, and whether all of it was read without an error."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        text, sound = decoder.decode(stream), not decoder.getstate()[0]
    except UnicodeDecodeError as error:
        text, sound = stream[: error.start].decode(), False
    objects: list[str] = []
    while text := text.lstrip(" \t\r\n"):
        parser = ovs.json.Parser()
        try:
            text = text[parser.feed(text) :]
        except ValueError:  # it lets int() fail on a number of more than 4300 digits
            return objects, False
        if not parser.is_done():
            return objects, False
        value = parser.finish()
        if not isinstance(value, dict):  # a text is an error; a list is no message
            return objects, False
        objects.append(shown(value))
    return objects, sound


def as_we_read(stream: bytes, cuts: list[int]) -> tuple[list[str], bool]:
    reader = JsonReader()
    position = 0
    for length in [*cuts, len(stream)]:
        reader.feed(stream[position : position + length])
        position += length
    return [shown(one) for one in reader.objects], not reader.error and not reader.pending


@given(
    objects=st.lists(st.tuples(OBJECTS, st.booleans(), st.sampled_from([None, 0, 1, "\t"])), max_size=5),
    between=st.sampled_from(["", " ", "\r\n\t "]),
    cuts=CUTS,
)
def test_valid_objects_are_read_alike_wherever_the_stream_is_cut(
    objects: list[tuple[Any, bool, Any]], between: str, cuts: list[int]
) -> None:
    texts = [json.dumps(value, ensure_ascii=ascii_, indent=indent) for value, ascii_, indent in objects]
    stream = "".join(text + between for text in texts).encode()

    read, sound = as_we_read(stream, cuts)

    assert (read, sound) == as_ovs_reads(stream)
    assert len(read) == len(objects) or "\\u0000" in between.join(texts)


@settings(max_examples=600)
@given(fragments=st.lists(FRAGMENTS, max_size=14), wrapped=st.booleans(), cuts=CUTS)
@example(fragments=['"\\ud83d"'], wrapped=True, cuts=[])
@example(fragments=['"\\', '"]"'], wrapped=True, cuts=[3])
@example(fragments=["1" * 5000], wrapped=True, cuts=[])
@example(fragments=["{}", "x{"], wrapped=False, cuts=[])
@example(fragments=["{}", "}{"], wrapped=False, cuts=[])
def test_malformed_streams_give_the_same_objects_until_the_fault(
    fragments: list[str], wrapped: bool, cuts: list[int]
) -> None:
    stream = "".join(['{"a":[', ",".join(fragments), "]}"] if wrapped else fragments).encode()

    assert as_we_read(stream, cuts) == as_ovs_reads(stream)


@given(value=OBJECTS, place=st.integers(0, 400), wrong=st.binary(max_size=3), drop=st.integers(0, 3), cuts=CUTS)
def test_damaged_bytes_are_noticed_and_nothing_before_them_is_lost(
    value: Any, place: int, wrong: bytes, drop: int, cuts: list[int]
) -> None:
    whole = json.dumps({"é": value, "v": value}, ensure_ascii=False).encode() * 3
    place %= len(whole)
    stream = whole[:place] + wrong + whole[place + drop :]

    read, sound = as_we_read(stream, cuts)

    expected, expected_sound = as_ovs_reads(stream)
    assert sound == expected_sound
    try:
        stream.decode()
    except UnicodeDecodeError:  # of a chunk with bytes that are not text, nothing is read
        assert read == expected[: len(read)]
    else:
        assert read == expected


@pytest.mark.parametrize("piece", [1, 7, 64, 1_000_000])
@pytest.mark.parametrize("depth", [10, 100, MAX_DEPTH, MAX_DEPTH + 10, 100_000])
@pytest.mark.parametrize("brackets", ["[]", "{}"])
def test_deep_nesting_is_read_or_refused_and_never_more_than_that(brackets: str, depth: int, piece: int) -> None:
    opening = "[" if brackets == "[]" else '{"a":'
    reader = JsonReader()
    stream = ('{"top":' + opening * depth + "1" + brackets[1] * depth + "} {}").encode()
    for start in range(0, len(stream), piece):
        reader.feed(stream[start : start + piece])
        if reader.error:
            break

    if depth <= 100:
        assert len(reader.objects) == 2
    if depth > MAX_DEPTH and piece < 100:
        assert reader.error
        assert start <= (MAX_DEPTH + 10) * len(opening)
    assert reader.error or len(reader.objects) == 2


def test_an_object_longer_than_many_reads_is_read_whole() -> None:
    value = {
        "params": [{f"row{i}": {"match": 'inport == "vm\\1" {[', "ids": [["set", [i, "é"]]]} for i in range(2000)}]
    }
    stream = json.dumps(value, ensure_ascii=False).encode()

    for piece in (1, 1000, 65536):
        assert as_we_read(stream, [piece] * (len(stream) // piece)) == ([shown(value)], True)


def test_an_object_that_never_ends_is_parsed_at_most_once() -> None:
    """The cost of a chunk does not grow with what came before it."""
    reader = JsonReader()
    reader.feed(b'{"a":[')
    for _ in range(2000):
        reader.feed(b'{"x":"}{"},' * 100)
        assert len(reader._parts) > 1
    assert not reader.error
    reader.feed(b"1]}")
    assert len(reader.objects) == 1


class Chunks:
    """An open stream that gives one chunk a wake-up, and then ends."""

    name = "unix:/chunks"

    def __init__(self, chunks: list[bytes]) -> None:
        self._chunks = [chunk for part in chunks if part for chunk in (None, part)]

    def recv(self, size: int) -> tuple[int, bytes]:
        if not self._chunks:
            return 0, b""
        chunk = self._chunks.pop(0)
        if chunk is None:
            return errno.EAGAIN, b""
        if len(chunk) > size:
            self._chunks.insert(0, chunk[size:])
        return 0, chunk[:size]

    def close(self) -> None:
        self._chunks.clear()


def received(connection: Any) -> tuple[list[str], int]:
    messages = []
    while True:
        error, message = connection.recv()
        if message is not None:
            messages.append(str(message))
        elif error != errno.EAGAIN:
            return messages, error


MESSAGES = st.sampled_from(
    [
        {"id": 1, "result": {"a": ["set", [1, 2]]}, "error": None},
        {"id": None, "method": "update3", "params": [None, "x", {"QoS": {"u": {"modify": {"priority": 1}}}}]},
        {"id": "echo", "method": "echo", "params": []},
        {"id": 2, "result": None, "error": {"error": "unknown database"}},
        {"id": 3, "method": 4, "params": []},
        {"id": 3, "method": "m", "params": {}},
        {"unknown": 1},
        ["not", "an", "object"],
        {},
    ]
)


@given(messages=st.lists(MESSAGES, max_size=6), tail=st.sampled_from(["", " ", "x ", "1 ", "[", "nul "]), cuts=CUTS)
def test_a_connection_gives_the_same_messages_and_ends_alike(messages: list[Any], tail: str, cuts: list[int]) -> None:
    stream = ("".join(map(json.dumps, messages)) + tail).encode()
    chunks, position = [], 0
    for length in [*cuts, len(stream)]:
        chunks.append(stream[position : position + length])
        position += length

    ours = received(StreamConnection(Chunks(chunks)))

    assert ours == received(ovs.jsonrpc.Connection(Chunks(chunks)))


def test_a_character_cut_between_two_reads_arrives_whole() -> None:
    message = json.dumps({"id": None, "method": "é\U0001f600", "params": []}, ensure_ascii=False).encode()

    messages, _ = received(StreamConnection(Chunks([message[i : i + 1] for i in range(len(message))])))

    assert messages == ['notification, method="é\U0001f600", params=[]']


class Sink:
    """An open stream that takes so many bytes a call."""

    name = "unix:/sink"

    def __init__(self, taken_at_once: int) -> None:
        self.taken = b""
        self._size = taken_at_once
        self._open = True

    def send(self, data: bytes | bytearray) -> int:
        self._open = not self._open
        if self._open:
            return -errno.EAGAIN
        self.taken += bytes(data[: self._size])
        return min(self._size, len(data))


@given(params=st.lists(VALUES, min_size=1, max_size=5), size=st.integers(1, 50))
def test_what_is_sent_in_pieces_is_the_message(params: list[Any], size: int) -> None:
    sink = Sink(size)
    connection = StreamConnection(sink)

    connection.send(ovs.jsonrpc.Message.create_notify("update", params))
    connection.send(ovs.jsonrpc.Message.create_notify("update", [1]))
    while connection.get_backlog():
        connection.run()

    decoder = json.JSONDecoder()
    first, end = decoder.raw_decode(sink.taken.decode("ascii"))
    assert shown(first["params"]) == shown(params)
    assert json.loads(sink.taken[end:]) == {"method": "update", "params": [1], "id": None}
