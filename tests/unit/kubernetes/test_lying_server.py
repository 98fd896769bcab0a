"""An API server whose answers are not those of Kubernetes: the reflector says so in one line, and goes on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from tests.support.reflectors import Recorder
from tests.support.scripted_api import Exchange, FakeClock, ScriptedApi, event, page, pod, reflected, watch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

CAUSE_MAXIMUM = 700


def raw(data: bytes) -> Callable[[Exchange], None]:
    """These bytes, and the end of the connection."""

    def answer(exchange: Exchange) -> None:
        exchange.wfile.write(data)
        exchange.close_connection = True

    return answer


def body(content: bytes, *, status: int = 200, **headers: str) -> Callable[[Exchange], None]:
    lines = {"Content-Length": str(len(content)), **{name.replace("_", "-"): text for name, text in headers.items()}}
    head = "".join(f"{name}: {text}\r\n" for name, text in lines.items())
    return raw(f"HTTP/1.1 {status} Any\r\n{head}\r\n".encode() + content)


def document(value: object) -> Callable[[Exchange], None]:
    return body(json.dumps(value).encode())


def items(*entries: object) -> Callable[[Exchange], None]:
    return document({"metadata": {"resourceVersion": "5"}, "items": list(entries)})


LISTS = {
    "null": document(None),
    "a number": body(b"1e999"),
    "no metadata": document({"items": []}),
    "a version that is no text": document({"metadata": {"resourceVersion": 5}, "items": []}),
    "an empty version": document({"metadata": {"resourceVersion": ""}, "items": []}),
    "items that are an object": document({"metadata": {"resourceVersion": "5"}, "items": {"a": 1}}),
    "items that are texts": items("a", "b"),
    "an item that is null": items(None),
    "an item without a name": items({"metadata": {"namespace": "shop", "resourceVersion": "1"}}),
    "an item whose name is an object": items({"metadata": {"name": {}, "resourceVersion": "1"}}),
    "not JSON": body(b"<html>login</html>"),
    "not UTF-8": body(b'{"metadata": "\xff\xfe"}'),
    "nested deeply": body(b"[" * 200_000),
    "a number of many digits": body(b'{"metadata": ' + b"9" * 10_000 + b"}"),
    "a body shorter than announced": body(b"{}", Content_Length="1000"),
    "a negative length": body(b"{}", Content_Length="-5"),
    "a length that is a word": body(b"{}", Content_Length="many"),
    "a chunk size that is a word": raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nmany\r\n{}\r\n0\r\n\r\n"),
    "a chunk that is cut": raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{}"),
    "no status line": raw(b"SSH-2.0-none\r\n"),
    "a status that is a word": raw(b"HTTP/1.1 fine OK\r\n\r\n"),
    "nothing": raw(b""),
    "a header without end": raw(b"HTTP/1.1 200 OK\r\nX: " + b"a" * 200_000),
    "many headers": raw(b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: a\r\n" % number for number in range(1000)) + b"\r\n"),
    "no content": raw(b"HTTP/1.1 204 No Content\r\n\r\n"),
    "not modified": raw(b"HTTP/1.1 304 Not Modified\r\n\r\n"),
    "a redirection": body(b"", status=302, Location="http://127.0.0.1:1/"),
    "brotli": body(b"{}", Content_Encoding="br"),
    "a refusal that is null": body(b"null", status=500),
    "a refusal of a megabyte": body(json.dumps({"message": "a\n" * 500_000, "reason": "b"}).encode(), status=500),
    "a refusal whose message is a list": body(b'{"message": [], "reason": {}}', status=403),
    "Retry-After in the past": body(b"{}", status=429, Retry_After="-1"),
    "Retry-After that is not a number": body(b"{}", status=503, Retry_After="nan"),
    "Retry-After without end": body(b"{}", status=503, Retry_After="9" * 5_000),
}
WATCHES = {
    "not JSON": watch(b"hello\n", ends=True),
    "a number": watch(b"1e999\n", ends=True),
    "null": watch(b"null\n", ends=True),
    "no type": watch(b'{"object": {}}\n', ends=True),
    "a type that is a number": watch(b'{"type": 7, "object": {}}\n', ends=True),
    "an unknown type": watch(event("REPLACED", pod("b", 6)), ends=True),
    "an object that is null": watch(event("ADDED", None), ends=True),
    "an object without a version": watch(event("ADDED", {"metadata": {"name": "b"}}), ends=True),
    "an error that is null": watch(event("ERROR", None), ends=True),
    "an error whose code is infinite": watch(b'{"type": "ERROR", "object": {"code": 1e999}}\n', ends=True),
    "an error whose code is a text": watch(event("ERROR", {"code": "410"}), ends=True),
    "a bookmark without a version": watch(event("BOOKMARK", {"metadata": {}}), ends=True),
    "half a line": watch(event("ADDED", pod("b", 6))[:30], ends=True),
    "nested deeply": watch(b"[" * 200_000 + b"\n", ends=True),
    "not UTF-8": watch(b'{"type": "\xff"}\n', ends=True),
    "a chunk size that is a word": raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nmany\r\n"),
}


def check_log(logs: Iterable[Mapping[str, object]]) -> None:
    """What is logged is a line each, and not long; a failure of this process' own would be an error."""
    for line in logs:
        assert line["log_level"] in {"debug", "info", "warning"}, line
        cause = str(line.get("cause", ""))
        assert "\n" not in cause
        assert len(cause) <= CAUSE_MAXIMUM


@pytest.mark.parametrize("name", LISTS)
def test_a_list_that_makes_no_sense_is_told_in_a_line_and_read_again(tmp_path: Path, name: str) -> None:
    recorder = Recorder()
    with (
        capture_logs() as logs,
        ScriptedApi(LISTS[name], page([pod("a", 1)], 5)) as api,
        reflected(api.url, tmp_path, recorder, clock=FakeClock()) as reflector,
    ):
        recorder.wait_for_objects("shop/a")
        api.wait_for_requests(3)
        assert sum(reflector.restarts.values()) >= 1
    check_log(logs)
    assert "warning" in {line["log_level"] for line in logs}


@pytest.mark.parametrize("name", WATCHES)
def test_a_watch_that_makes_no_sense_loses_no_object_and_goes_on(tmp_path: Path, name: str) -> None:
    recorder = Recorder()
    honest = page([pod("a", 1)], 5)

    def answer(exchange: Exchange) -> None:
        (watch(event("ADDED", pod("c", 9))) if "watch" in exchange.query else honest)(exchange)

    with (
        capture_logs() as logs,
        ScriptedApi(honest, WATCHES[name]) as api,
    ):
        api.last = answer
        with reflected(api.url, tmp_path, recorder, clock=FakeClock()):
            recorder.wait_for_objects("shop/a", "shop/c")
    check_log(logs)
