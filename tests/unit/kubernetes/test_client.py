"""How the daemon's Kubernetes client is configured, and the one line that says what is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ovnqos.kubernetes import ApiStatusError, ApiUnreachableError, KubernetesConfigurationError, connect
from tests.support.scripted_api import ScriptedApi, client_of, page, write_kubeconfig

if TYPE_CHECKING:
    from pathlib import Path


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
    monkeypatch.setattr("kubernetes.config.incluster_config.SERVICE_TOKEN_FILENAME", "/nonexistent/token")
    with pytest.raises(KubernetesConfigurationError) as caught:
        connect()
    assert str(caught.value) == "Kubernetes: the service account: Service token file does not exist."


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "Invalid kube-config"),
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
