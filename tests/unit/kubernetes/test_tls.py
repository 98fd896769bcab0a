"""TLS of the Kubernetes client: chains of early clusters, a wrong authority, a CA file that is renewed."""

from __future__ import annotations

import http.server
import json
import ssl
import subprocess
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

import pytest
import urllib3.util.ssl_
from urllib3.exceptions import SSLError

from ovnqos.kubernetes import ApiUnreachableError, connect

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2")


def openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


class Authority:
    """An authority and a server's certificate for 127.0.0.1 that it signed, none of them with key identifiers."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.certificate = folder / "ca.crt"
        self.server = folder / "server.crt"
        self.server_key = folder / "server.key"
        settings = folder / "openssl.cnf"
        settings.write_text(
            "[req]\ndistinguished_name = name\n[name]\n"
            "[authority]\nbasicConstraints = critical,CA:TRUE\nkeyUsage = critical,keyCertSign\n"
            "subjectKeyIdentifier = none\nauthorityKeyIdentifier = none\n"
            "[server]\nsubjectAltName = IP:127.0.0.1\nextendedKeyUsage = serverAuth\n"
            "subjectKeyIdentifier = none\nauthorityKeyIdentifier = none\n"
        )
        common = ("req", "-x509", "-config", str(settings), *KEY)
        key = str(folder / "ca.key")
        authority = ("-subj", "/CN=kubernetes", "-extensions", "authority", "-keyout", key)
        openssl(*common, *authority, "-out", str(self.certificate))
        server = ("-subj", "/CN=kube-apiserver", "-extensions", "server", "-keyout", str(self.server_key))
        openssl(*common, *server, "-CA", str(self.certificate), "-CAkey", key, "-out", str(self.server))
        text = subprocess.run(
            ["openssl", "x509", "-noout", "-text", "-in", str(self.server)], check=True, capture_output=True, text=True
        ).stdout
        assert "Key Identifier" not in text


class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps({"kind": "Status"}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Be silent."""


@contextmanager
def serve(authority: Authority) -> Iterator[http.server.ThreadingHTTPServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.server, authority.server_key)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def kubeconfig(folder: Path, server: http.server.HTTPServer, **cluster: object) -> Path:
    path = folder / "kubeconfig"
    url = f"https://127.0.0.1:{server.server_address[1]}"
    document = {
        "clusters": [{"name": "a", "cluster": {"server": url, **cluster}}],
        "users": [{"name": "a", "user": {"token": "t"}}],
        "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
        "current-context": "a",
    }
    path.write_text(json.dumps(document))
    return path


@pytest.fixture(autouse=True)
def strict_contexts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Contexts are made as Python 3.13 makes them, whatever Python runs the test."""

    class StrictContext(ssl.SSLContext):
        def __new__(cls, *arguments: Any) -> Self:
            context = super().__new__(cls, *arguments)
            context.verify_flags |= ssl.VERIFY_X509_STRICT
            return context

    monkeypatch.setattr(urllib3.util.ssl_, "SSLContext", StrictContext)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "authority")


def test_a_chain_without_key_identifiers_is_refused_by_a_strict_context(authority: Authority) -> None:
    pool = urllib3.PoolManager(ca_certs=str(authority.certificate), retries=False)
    with serve(authority) as server, pytest.raises(SSLError, match="Missing Authority Key Identifier"):
        pool.request("GET", f"https://127.0.0.1:{server.server_address[1]}/version")


def test_a_chain_without_key_identifiers_is_accepted(authority: Authority, tmp_path: Path) -> None:
    with serve(authority) as server:
        path = kubeconfig(tmp_path, server, **{"certificate-authority": str(authority.certificate)})
        assert connect(path).request("GET", "/version") == {"kind": "Status"}


def test_another_authority_s_server_is_refused(authority: Authority, tmp_path: Path) -> None:
    other = Authority(tmp_path / "other")
    with serve(other) as server:
        path = kubeconfig(tmp_path, server, **{"certificate-authority": str(authority.certificate)})
        with pytest.raises(ApiUnreachableError, match="certificate verify failed"):
            connect(path).request("GET", "/version")


def test_a_server_of_another_name_is_refused(authority: Authority, tmp_path: Path) -> None:
    with serve(authority) as server:
        options = {"certificate-authority": str(authority.certificate), "tls-server-name": "kubernetes.default"}
        path = kubeconfig(tmp_path, server, **options)
        with pytest.raises(ApiUnreachableError, match=r"kubernetes\.default"):
            connect(path).request("GET", "/version")


def test_without_a_ca_the_system_s_authorities_decide(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(authority) as server:
        path = kubeconfig(tmp_path, server)
        with pytest.raises(ApiUnreachableError, match="certificate verify failed"):
            connect(path).request("GET", "/version")
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificate))
        assert connect(path).request("GET", "/version") == {"kind": "Status"}


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_insecure_skip_tls_verify_is_honoured(authority: Authority, tmp_path: Path) -> None:
    with serve(authority) as server:
        path = kubeconfig(tmp_path, server, **{"insecure-skip-tls-verify": True})
        assert connect(path).request("GET", "/version") == {"kind": "Status"}


def test_a_renewed_ca_file_is_honoured_by_the_next_connection(authority: Authority, tmp_path: Path) -> None:
    renewed = Authority(tmp_path / "renewed")
    file = tmp_path / "mounted-ca.crt"
    file.write_bytes(authority.certificate.read_bytes())
    with serve(renewed) as server:
        client = connect(kubeconfig(tmp_path, server, **{"certificate-authority": str(file)}))
        with pytest.raises(ApiUnreachableError, match="certificate verify failed"):
            client.request("GET", "/version")
        file.write_bytes(renewed.certificate.read_bytes())
        assert client.request("GET", "/version") == {"kind": "Status"}
