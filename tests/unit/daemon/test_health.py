"""The health endpoints, over real sockets."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ovnqosd.health import HealthServer, ListenError, Protection
from ovnqosd.metrics import Metrics
from ovnqosd.settings.settings import ListenAddress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATIENCE_S = 20.0
LOOPBACK = ListenAddress("127.0.0.1", 0)


class Health:
    def __init__(self) -> None:
        self.dead: list[str] = []
        self.missing: list[str] = []

    @contextmanager
    def served(self, address: ListenAddress = LOOPBACK) -> Iterator[HealthServer]:
        server = HealthServer(address, Metrics().registry, alive=lambda: self.dead, ready=lambda: self.missing)
        server.start()
        try:
            yield server
        finally:
            server.stop()


def get(
    server: HealthServer, path: str, *, host: str = "127.0.0.1", method: str = "GET", accept: str = ""
) -> tuple[int, str, str]:
    connection = HTTPConnection(host, server.port, timeout=20)
    try:
        connection.request(method, path, headers={"Accept": accept} if accept else {})
        answer = connection.getresponse()
        return answer.status, answer.getheader("Content-Type", ""), answer.read().decode()
    finally:
        connection.close()


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/readyz?verbose"])
def test_all_well_is_200(path: str) -> None:
    with Health().served() as server:
        assert get(server, path) == (200, "text/plain; charset=utf-8", "ok\n")


def test_nothing_wakes_it_while_there_is_no_connection() -> None:
    with Health().served() as server:
        assert get(server, "/healthz")[0] == 200
        (thread,) = (one for one in threading.enumerate() if one.name == "health")
        status = Path(f"/proc/self/task/{thread.native_id}/status")

        def switches() -> int:
            return int(status.read_text().partition("\nvoluntary_ctxt_switches:")[2].split()[0])

        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:  # the connection is to be closed first
            before = switches()
            time.sleep(0.5)
            if switches() == before:
                return
        raise AssertionError("it wakes all the time")


def test_what_has_died_is_told_by_healthz_only() -> None:
    health = Health()
    with health.served() as server:
        health.dead = ["the thread status-writer has ended"]
        assert get(server, "/healthz")[::2] == (503, "the thread status-writer has ended\n")
        assert get(server, "/readyz")[0] == 200


def test_what_is_missing_is_told_by_readyz_only_and_until_it_is_there() -> None:
    health = Health()
    with health.served() as server:
        health.missing = ["pods are not read yet", "the Northbound does not answer"]
        assert get(server, "/readyz")[::2] == (503, "pods are not read yet\nthe Northbound does not answer\n")
        assert get(server, "/healthz")[0] == 200
        health.missing = []
        assert get(server, "/readyz")[0] == 200


def test_what_a_ready_process_does_is_told_by_readyz() -> None:
    server = HealthServer(LOOPBACK, Metrics().registry, alive=list, ready=list, role=lambda: "standing by")
    server.start()
    assert get(server, "/readyz")[2] == "ok: standing by\n"
    assert get(server, "/healthz")[2] == "ok\n"
    server.stop()


def test_metrics_are_served_in_the_format_that_is_asked_for() -> None:
    with Health().served() as server:
        status, kind, text = get(server, "/metrics")
        assert (status, kind.partition(";")[0]) == (200, "text/plain")
        assert "ovnqosd_leader 0.0\n" in text
        _, kind, text = get(server, "/metrics", accept="application/openmetrics-text; version=1.0.0")
        assert kind.startswith("application/openmetrics-text")
        assert text.endswith("# EOF\n")


def test_other_paths_are_not_there_and_head_has_no_body() -> None:
    with Health().served() as server:
        assert get(server, "/")[0] == 404
        assert get(server, "/healthz", method="HEAD")[::2] == (200, "")
        assert get(server, "/healthz", method="POST")[0] == 501


def test_every_address_is_served_on_both_families() -> None:
    with Health().served(ListenAddress.parse(":0")) as server:
        assert get(server, "/healthz")[0] == 200
        if socket.has_dualstack_ipv6():
            assert get(server, "/healthz", host="::1")[0] == 200


def test_a_loopback_address_of_ipv6_is_served() -> None:
    with Health().served(ListenAddress.parse("[::1]:0")) as server:
        assert get(server, "/healthz", host="::1")[0] == 200


def test_an_address_in_use_is_one_clear_error() -> None:
    with Health().served() as server:
        taken = ListenAddress("127.0.0.1", server.port)
        with pytest.raises(ListenError, match=rf"^metrics_address 127\.0\.0\.1:{server.port}: Address already in use$"):
            HealthServer(taken, Metrics().registry, alive=list, ready=list).start()


def test_stop_frees_the_address_while_a_client_is_connected() -> None:
    health = Health()
    with health.served() as server:
        port = server.port
        idle = socket.create_connection(("127.0.0.1", port))
        get(server, "/healthz")
        server.stop()
        server.stop()
        assert server.port == 0
        with health.served(ListenAddress("127.0.0.1", port)) as again:
            assert get(again, "/healthz")[0] == 200
        idle.close()


def test_slow_clients_take_neither_the_threads_nor_the_answers_of_others() -> None:
    with Health().served() as server, ExitStack() as stack:
        slow = [stack.enter_context(socket.create_connection(("127.0.0.1", server.port))) for _ in range(118)]

        def few_are_served() -> bool:
            for connection in slow:
                with suppress(ConnectionError):
                    connection.sendall(b"G")  # none of them is idle
            return serving_threads() <= 16

        assert get(server, "/healthz")[0] == 200
        assert get(server, "/readyz")[0] == 200
        wait_until(few_are_served)
        assert get(server, "/healthz")[0] == 200


def test_a_request_that_is_dripped_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ovnqosd.health._REQUEST_S", 0.3)

    def drip(connection: socket.socket) -> None:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nX-Drip: ")
        for _ in range(int(PATIENCE_S / 0.02)):
            connection.sendall(b"a")
            time.sleep(0.02)

    with (
        Health().served() as server,
        socket.create_connection(("127.0.0.1", server.port)) as connection,
        pytest.raises(ConnectionError),
    ):
        drip(connection)


def test_a_client_that_does_not_read_its_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ovnqosd.health._REQUEST_S", 0.3)
    health = Health()
    health.missing = ["a" * 50_000_000]  # more than the kernel's buffers take
    with health.served() as server, socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(b"GET /readyz HTTP/1.1\r\n\r\n")
        wait_until(lambda: serving_threads() == 1)
        wait_until(lambda: serving_threads() == 0)


def serving_threads() -> int:
    return sum("process_request_thread" in one.name for one in threading.enumerate())


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_process_without_descriptors_waits_and_serves_again() -> None:
    """In a process of its own, which has 128 descriptors and lends all but a few to something else."""
    program = """
import os, resource, sys, time
from ovnqosd.health import HealthServer
from ovnqosd.metrics import Metrics
from ovnqosd.settings.settings import ListenAddress
resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128))
server = HealthServer(ListenAddress("127.0.0.1", 0), Metrics().registry, alive=list, ready=list)
server.start()
taken = []
try:
    while True:
        taken.append(os.open(os.devnull, os.O_RDONLY))
except OSError:
    pass
print(server.port, flush=True)
sys.stdin.readline()
for one in taken:
    os.close(one)
sys.stdin.readline()
"""
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        with socket.create_connection(("127.0.0.1", int(process.stdout.readline()))) as connection:
            connection.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
            started = cpu_seconds(process.pid)
            time.sleep(2.0)
            assert cpu_seconds(process.pid) - started < 0.15  # a loop that spins takes all that there is
            process.stdin.write("\n")
            process.stdin.flush()
            connection.settimeout(PATIENCE_S)
            assert connection.recv(100).startswith(b"HTTP/1.1 200")
        process.communicate("\n")


def cpu_seconds(pid: int) -> float:
    """Seconds of CPU that a process has taken."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class TestProtection:
    """TLS and a bearer token on the port for metrics."""

    @contextmanager
    def served(self, protection: Protection) -> Iterator[HealthServer]:
        server = HealthServer(LOOPBACK, Metrics().registry, alive=list, ready=list, protection=protection)
        server.start()
        try:
            yield server
        finally:
            server.stop()

    def answer(self, server: HealthServer, path: str, token: str = "") -> int:
        connection = HTTPConnection("127.0.0.1", server.port, timeout=20)
        try:
            connection.request("GET", path, headers={"Authorization": token} if token else {})
            answer = connection.getresponse()
            answer.read()
            return answer.status
        finally:
            connection.close()

    def test_a_certificate_that_cannot_be_used_is_told_at_the_start(self, tmp_path: Path) -> None:
        (tmp_path / "tls.crt").write_text("no certificate")
        broken = Protection(certificate=tmp_path / "tls.crt", private_key=tmp_path / "tls.crt")
        with pytest.raises(ListenError, match="metrics_certificate"), self.served(broken):
            pass

    @pytest.mark.parametrize(
        ("given", "status"),
        [
            ("", 401),
            ("Bearer", 401),
            ("Bearer other", 401),
            ("Basic secret", 401),
            ("Bearer secret", 200),
            ("bearer secret", 200),
        ],
    )
    def test_metrics_are_for_who_has_the_token(self, tmp_path: Path, given: str, status: int) -> None:
        token = tmp_path / "token"
        token.write_text("secret\n")
        with self.served(Protection(token_file=token)) as server:
            assert self.answer(server, "/metrics", token=given) == status
            assert self.answer(server, "/healthz") == 200
            assert self.answer(server, "/readyz") == 200

    @pytest.mark.parametrize("text", ["", "\n"])
    def test_an_empty_or_missing_token_lets_nobody_in(self, tmp_path: Path, text: str) -> None:
        token = tmp_path / "token"
        with self.served(Protection(token_file=token)) as server:
            assert self.answer(server, "/metrics", token="Bearer ") == 401
            token.write_text(text)
            assert self.answer(server, "/metrics", token="Bearer ") == 401
            token.write_text("renewed")
            assert self.answer(server, "/metrics", token="Bearer renewed") == 200
