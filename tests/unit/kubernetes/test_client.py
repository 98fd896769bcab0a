"""How the daemon's Kubernetes client is configured, and the one line that says what is wrong."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import pytest

from ovnqos.kubernetes import (
    ApiStatusError,
    ApiUnreachableError,
    Interruption,
    KubernetesConfigurationError,
    UnreadableAnswerError,
    connect,
)
from tests.support.scripted_api import Exchange, ScriptedApi, client_of, page, refusal, write_kubeconfig

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ovnqos.kubernetes import KubernetesClient


def test_a_request_shows_the_token_of_the_kubeconfig(tmp_path: Path) -> None:
    with ScriptedApi(page([], 5)) as api:
        client = connect(write_kubeconfig(tmp_path, api.url, {"token": "secret"}))
        assert client.request("GET", "/api/v1/pods", query={"limit": 1})["items"] == []
        client.close()
        assert api.headers[0]["authorization"] == "Bearer secret"
        assert api.requests == [{"limit": "1"}]


def test_without_a_file_the_one_of_kubectl_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setattr(
        "kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION",
        str(write_kubeconfig(tmp_path, "http://127.0.0.1:1")),
    )
    assert connect().server == "http://127.0.0.1:1"


def test_in_a_pod_the_service_account_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    monkeypatch.delenv("KUBECONFIG")
    monkeypatch.setattr("kubernetes.config.incluster_config.SERVICE_TOKEN_FILENAME", "/nonexistent/token")
    with pytest.raises(KubernetesConfigurationError) as caught:
        connect()
    assert str(caught.value) == "Kubernetes: the service account: Service token file does not exist."


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "no such file"),
        ("", "Invalid kube-config"),
        ("a: [", "while parsing"),
        ("[]", "malformed"),
        ("apiVersion: v1\ncurrent-context: x\ncontexts: []\n", "x"),
        ("current-context: 3\ncontexts: 4\n", ""),
    ],
)
def test_a_kubeconfig_that_cannot_be_used_is_one_line(tmp_path: Path, text: str | None, words: str) -> None:
    path = tmp_path / "config"
    if text is not None:
        path.write_text(text)
    with pytest.raises(KubernetesConfigurationError) as caught:
        connect(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    assert words in str(caught.value)


def test_the_context_that_is_named_is_used_or_those_that_are_there_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_kubeconfig(tmp_path, "http://127.0.0.1:1")
    assert connect(path, context="test").name == "context test"
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")  # a context is one of a kubeconfig, in a pod as well
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(path))
    assert connect(context="test").server == "http://127.0.0.1:1"
    with pytest.raises(KubernetesConfigurationError) as caught:
        connect(path, context="prod")
    assert str(caught.value) == f"Kubernetes: {path}: no context prod; use test"


def test_in_a_pod_a_kubeconfig_of_the_environment_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(write_kubeconfig(tmp_path, "http://127.0.0.1:1"))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
    monkeypatch.setenv("KUBECONFIG", path)
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", path)  # read once, at its import
    assert connect().name == "context test"


@pytest.mark.parametrize(
    ("script", "words"),
    [("echo 'please log in' >&2; exit 1", "please log in"), ("echo '{}'", ""), (None, "No such file")],
)
def test_a_credential_program_that_fails_is_one_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], script: str | None, words: str
) -> None:
    program = tmp_path / "login"
    if script is not None:
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    execution = {"apiVersion": "client.authentication.k8s.io/v1", "command": str(program), "interactiveMode": "Never"}
    path = write_kubeconfig(tmp_path, "http://127.0.0.1:1", {"exec": execution})
    with pytest.raises(KubernetesConfigurationError) as caught:
        connect(path)
    assert str(caught.value).startswith(f"Kubernetes: {path}: the user's credential program failed: ")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


def test_a_redirect_is_not_followed(tmp_path: Path) -> None:
    with (
        ScriptedApi(lambda exchange: exchange.send_json(302, {}, {"Location": "/elsewhere"})) as api,
        client_of(api.url, tmp_path) as client,
    ):
        with pytest.raises(ApiStatusError) as caught:
            client.request("GET", "/api/v1/pods")
        assert caught.value.status == 302
        assert len(api.requests) == 1


def test_a_name_that_dns_does_not_know_is_told(tmp_path: Path) -> None:
    with client_of("http://no-such-host.invalid:6443", tmp_path) as client:
        with pytest.raises(ApiUnreachableError) as caught:
            client.request("GET", "/api/v1/pods")
        assert str(caught.value).startswith("http://no-such-host.invalid:6443: ")


def token_file_client(folder: Path, url: str) -> tuple[KubernetesClient, Path]:
    """A client whose token is in a file beside the kubeconfig."""
    token = folder / "token"
    token.write_text("first")
    return connect(write_kubeconfig(folder, url, {"tokenFile": "token"})), token


def shown_tokens(api: ScriptedApi) -> list[str]:
    return [headers["authorization"] for headers in api.headers]


def test_a_token_file_that_changes_is_read_anew(tmp_path: Path) -> None:
    with ScriptedApi(*[page([], 5)] * 3) as api:
        client, token = token_file_client(tmp_path, api.url)
        client.request("GET", "/api/v1/pods")
        token.write_text("second, as it was rotated")
        client.request("GET", "/api/v1/pods")
        token.unlink()  # between two versions there may be none
        client.request("GET", "/api/v1/pods")
        client.close()
        assert shown_tokens(api) == ["Bearer first", *["Bearer second, as it was rotated"] * 2]


def test_the_token_of_a_service_account_is_read_anew_when_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token, authority = tmp_path / "token", tmp_path / "ca.crt"
    token.write_text("first")
    authority.write_text("-")
    monkeypatch.delenv("KUBECONFIG")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setattr("kubernetes.config.incluster_config.SERVICE_TOKEN_FILENAME", str(token))
    monkeypatch.setattr("kubernetes.config.incluster_config.SERVICE_CERT_FILENAME", str(authority))
    with ScriptedApi(*[page([], 5)] * 2) as api:
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", api.url.rpartition(":")[2])
        client = connect()
        client.server = api.url  # by plain HTTP
        client.request("GET", "/api/v1/pods")
        token.write_text("second")
        client.request("GET", "/api/v1/pods")
        client.close()
        assert [one.lower() for one in shown_tokens(api)] == ["bearer first", "bearer second"]


def test_a_refused_token_is_read_again_at_once_and_the_request_sent_once_more(tmp_path: Path) -> None:
    program, count = tmp_path / "credentials", tmp_path / "count"
    program.write_text(
        f"""#!/bin/sh
echo >> {count}
echo '{{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",'
echo "\\"status\\": {{\\"token\\": \\"$(wc -l < {count} | tr -d ' ')\\"}}}}"
"""
    )
    program.chmod(0o755)
    credentials = {"apiVersion": "client.authentication.k8s.io/v1", "command": str(program), "interactiveMode": "Never"}
    unauthorized = refusal(401, "Unauthorized")
    with ScriptedApi(page([], 5), unauthorized, page([], 6), unauthorized, unauthorized) as api:
        client = connect(write_kubeconfig(tmp_path, api.url, {"exec": credentials}))
        client.request("GET", "/api/v1/pods")
        client.request("GET", "/api/v1/pods")
        with pytest.raises(ApiStatusError) as caught:
            client.request("GET", "/api/v1/pods")
        assert caught.value.status == 401
        client.close()
        assert shown_tokens(api) == [f"Bearer {number}" for number in (1, 1, 2, 2, 3)]


def test_a_token_that_is_refused_and_is_the_only_one_is_not_shown_twice(tmp_path: Path) -> None:
    with ScriptedApi(refusal(401, "Unauthorized")) as api:
        client, _ = token_file_client(tmp_path, api.url)
        with pytest.raises(ApiStatusError):
            client.request("GET", "/api/v1/pods")
        client.close()
        assert len(api.requests) == 1


def drip(*, header: bool) -> Callable[[Exchange], None]:
    """An answer without end, a byte now and then: of a header, or of the document."""

    def answer(exchange: Exchange) -> None:
        if header:
            exchange.wfile.write(b"HTTP/1.1 200 OK\r\nX-Drip: ")
        else:
            exchange.start_stream()
        exchange.close_connection = True
        while not exchange.script.ending.wait(0.02):
            if header:
                exchange.wfile.write(b"a")
            else:
                exchange.send_chunk(b" ")

    return answer


@pytest.mark.parametrize("header", [True, False], ids=["header", "document"])
def test_an_answer_that_is_dripped_is_given_up(tmp_path: Path, header: bool) -> None:
    with (
        ScriptedApi(drip(header=header)) as api,
        client_of(api.url, tmp_path) as client,
        pytest.raises(ApiUnreachableError, match="no whole answer in time"),
    ):
        client.request("GET", "/api/v1/pods", timeout=1.0)


def test_an_answer_without_end_is_refused(tmp_path: Path) -> None:
    def flood(exchange: Exchange) -> None:
        exchange.start_stream()
        exchange.close_connection = True
        while not exchange.script.ending.is_set():
            exchange.send_chunk(b" " * 60_000)

    with ScriptedApi(flood, flood) as api, client_of(api.url, tmp_path) as client:
        client.answer_maximum = 10_000_000
        with pytest.raises(UnreadableAnswerError, match="an answer of more than 10000000 bytes"):
            client.request("GET", "/api/v1/pods")
        with pytest.raises(UnreadableAnswerError, match="an answer of more than 10000000 bytes"):
            client.read("/api/v1/pods", {}, Interruption())


def test_a_compressed_answer_is_refused_and_not_blown_up(tmp_path: Path) -> None:
    def bomb(exchange: Exchange) -> None:
        body = gzip.compress(b" " * 50_000_000 + b"{}")
        exchange.send_response(200)
        exchange.send_header("Content-Encoding", "gzip")
        exchange.send_header("Content-Length", str(len(body)))
        exchange.end_headers()
        exchange.wfile.write(body)

    with (
        ScriptedApi(bomb) as api,
        client_of(api.url, tmp_path) as client,
        pytest.raises(UnreadableAnswerError, match="Content-Encoding"),
    ):
        client.request("GET", "/api/v1/pods")
