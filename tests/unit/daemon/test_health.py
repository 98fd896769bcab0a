"""The health endpoints, over real sockets."""

from __future__ import annotations

import socket
from contextlib import contextmanager
from http.client import HTTPConnection
from typing import TYPE_CHECKING

import pytest

from ovnqosd.health import HealthServer, ListenError
from ovnqosd.metrics import Metrics
from ovnqosd.settings.settings import ListenAddress

if TYPE_CHECKING:
    from collections.abc import Iterator

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
