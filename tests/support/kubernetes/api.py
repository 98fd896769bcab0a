"""A real Kubernetes API without a cluster: kube-apiserver and etcd on loopback, for tests of what runs in a cluster.

There are no controllers and no kubelet: pods stay as they were created, a deleted namespace stays `Terminating`, and
nothing is garbage-collected.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from ovnqos.sandbox.process import Process
from ovnqos.sandbox.programs import SandboxError, run
from tests.support.kubernetes.etcd import Etcd
from tests.support.kubernetes.http import JSON, YAML, KubernetesHttp
from tests.support.kubernetes.pki import KubernetesPki
from tests.support.kubernetes.programs import free_port, kubernetes_program, openssl_program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_ADDRESS: Final = "127.0.0.1"
_ISSUER: Final = "https://kubernetes.default.svc"
_START_SECONDS: Final = 90  # 2 s on an idle machine
_CRDS: Final = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_ADMINISTRATOR: Final = "administrator"


class KubernetesApi:
    """A Kubernetes API server with RBAC and an etcd of its own; a context manager. Inside `with` it is ready.

    `close()`, or the end of the `with`, ends both and removes their folder; the kernel ends them if this process dies.

    Attributes:
        folder: holds all files.
        url: `https://127.0.0.1:<port>`; it stays the same over restarts.
        admin_token: the bearer token of a member of `system:masters`, who may do everything.
        etcd: where the objects are.
    """

    def __init__(self) -> None:
        """Describe it; entering it starts it.

        Raises:
            MissingProgramError: a program is missing; names the script or the Debian package that brings it.
        """
        self._program = kubernetes_program("kube-apiserver")
        kubernetes_program("etcd")
        openssl_program()
        self.folder = Path()
        self.url = ""
        self.admin_token = secrets.token_urlsafe(24)
        self.etcd: Etcd
        self._http: KubernetesHttp
        self._pki: KubernetesPki
        self._process: Process
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.folder = Path(tempfile.mkdtemp(prefix="ovnqos-kubernetes-"))
            stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
            self.etcd = stack.enter_context(Etcd(self.folder))
            self._pki = KubernetesPki.create(self.folder, address=_ADDRESS)
            port = free_port(_ADDRESS)
            self.url = f"https://{_ADDRESS}:{port}"
            self._http = KubernetesHttp(self.url, authority=self._pki.authority, token=self.admin_token)
            log = self.folder / "kube-apiserver.log"
            self._process = Process(self._command(port), name="kube-apiserver", log=log)
            stack.callback(self._process.kill)
            self.start_api()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End both servers and remove their folder."""
        self._stack.close()

    @property
    def ca_certificate(self) -> Path:
        """The certificate that clients check the server's by (PEM)."""
        return self._pki.authority

    @property
    def running(self) -> bool:
        """Whether the API server runs (also while it is frozen)."""
        return self._process.running

    @property
    def pid(self) -> int:
        """The API server's process id.

        Raises:
            SandboxError: it does not run.
        """
        return self._process.pid

    @property
    def minor_version(self) -> int:
        """The minor version of the API server: 20 of Kubernetes 1.20.

        Raises:
            OSError: the server does not answer.
        """
        return int(self.request("GET", "/version")[1]["minor"].rstrip("+"))

    def start_api(self) -> None:
        """Start the API server, again on its port and on the same objects; return when it is ready.

        Raises:
            SandboxError: it already runs, or did not start; quotes its last log lines.
        """
        self._process.start(self._ready, timeout=_START_SECONDS)

    def stop_api(self) -> None:
        """End the API server as a crash would: open watches break at once, and connections are refused."""
        self._process.kill()

    def freeze_api(self) -> None:
        """Stop the API server's execution: connections stay open, and nothing is answered until `thaw_api()`."""
        self._process.freeze()

    def thaw_api(self) -> None:
        """Let a frozen API server go on."""
        self._process.thaw()

    def restart(self) -> None:
        """End both servers as a crash would, and starts them again on the same data and ports."""
        self.stop_api()
        self.etcd.kill()
        self.etcd.start()
        self.start_api()

    def compact(self) -> None:
        """Make every resourceVersion of before too old: reads and watches from it are refused with 410.

        The API server is started again for that: its watch cache would serve old events that etcd has forgotten.
        """
        self.stop_api()
        self.etcd.compact()
        self.start_api()

    def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        token: str | None = None,
        content_type: str = JSON,
    ) -> tuple[int, Any]:
        """One request, by the administrator unless a token says otherwise; see `KubernetesHttp.request`.

        Returns:
            The HTTP status, whatever it is, and the body: read as JSON, or as text if it is none.

        Raises:
            OSError: the server does not answer.
        """
        return self._http.request(method, path, body, token=token, content_type=content_type)

    def watch(self, path: str, *, token: str | None = None, timeout: float = 30) -> Iterator[dict[str, Any]]:
        """The events of a watch, by the administrator unless a token says otherwise; see `KubernetesHttp.watch`.

        Raises:
            OSError: the server refused the watch (HTTPError), does not answer, or sent no event in time.
        """
        return self._http.watch(path, token=token, timeout=timeout)

    def create(self, path: str, document: object, *, content_type: str = JSON) -> dict[str, Any]:
        """Create an object, by the administrator.

        Args:
            path: of the collection, e.g. `/api/v1/namespaces/default/pods`.
            document: the object, or its text.
            content_type: of the document, if it is a text.

        Returns:
            The object as the server keeps it.

        Raises:
            SandboxError: the server refused it; quotes why.
        """
        status, answer = self.request("POST", path, document, content_type=content_type)
        if status != 201:
            raise SandboxError(f"POST {path}: {status}: {_message(answer)}")
        created: dict[str, Any] = answer
        return created

    def install_crd(self, manifest: str) -> None:
        """Create a CustomResourceDefinition and returns when its objects are served.

        Args:
            manifest: its YAML (or JSON), one document.

        Raises:
            SandboxError: the server refused it or found fault with its schema, or did not serve it in time.
        """
        created = self.create(_CRDS, manifest, content_type=YAML)
        spec = created["spec"]
        versions = [version["name"] for version in spec["versions"] if version["served"]]
        collections = [f"/apis/{spec['group']}/{version}/{spec['names']['plural']}" for version in versions]
        definition = f"{_CRDS}/{created['metadata']['name']}"

        def served() -> bool:
            conditions = self.request("GET", definition)[1].get("status", {}).get("conditions") or []
            states = {condition["type"]: condition for condition in conditions}
            if states.get("NonStructuralSchema", {}).get("status") == "True":
                raise SandboxError(f"{definition}: {states['NonStructuralSchema']['message']}")
            established = states.get("Established", {}).get("status") == "True"
            return established and all(self.request("GET", path)[0] == 200 for path in collections)

        self.wait_until(served, what=f"serve {created['metadata']['name']}")

    def wait_until(self, condition: Callable[[], bool], *, what: str, timeout: float = 30) -> None:
        """Return as soon as the condition is true.

        Args:
            condition: asked every few milliseconds.
            what: what the API server is waited for to do, for the error message.
            timeout: seconds to wait at most.

        Raises:
            SandboxError: the API server ended, or the time is up; quotes its last log lines.
        """
        self._process.wait_until(condition, what=what, timeout=timeout)

    def token_for_service_account(self, namespace: str, name: str) -> str:
        """A token by which a request is the service account's, `system:serviceaccount:<namespace>:<name>`.

        Raises:
            SandboxError: there is no such service account.
        """
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
        document = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"audiences": [_ISSUER]}}
        return str(self.create(path, document)["status"]["token"])

    def kubeconfig(self, token: str | None = None) -> Path:
        """Write a kubeconfig and returns where it is; it goes with the folder.

        Args:
            token: whose it is; None is the administrator's.
        """
        token = token or self.admin_token
        name = "sandbox"
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {"name": name, "cluster": {"server": self.url, "certificate-authority": str(self.ca_certificate)}}
            ],
            "users": [{"name": name, "user": {"token": token}}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
            "current-context": name,
        }
        path = self.folder / f"kubeconfig-{hashlib.sha256(token.encode()).hexdigest()[:12]}"
        path.touch(mode=0o600)
        path.write_text(json.dumps(content, indent=2))  # JSON is YAML
        return path

    def kubectl(self, *arguments: str, token: str | None = None, text: str | None = None) -> str:
        """Run kubectl and return what it prints.

        Args:
            arguments: its command and options.
            token: whose request it is; None is the administrator's.
            text: its standard input.

        Raises:
            MissingProgramError: kubectl is missing.
            SandboxError: it failed; quotes what it said.
        """
        options = (f"--kubeconfig={self.kubeconfig(token)}", f"--cache-dir={self.folder / 'kubectl-cache'}")
        return run([str(kubernetes_program("kubectl")), *options, *arguments], text=text, folder=self.folder)

    def _command(self, port: int) -> list[str]:
        tokens = self.folder / "tokens.csv"
        tokens.touch(mode=0o600)
        tokens.write_text(f'{self.admin_token},{_ADMINISTRATOR},{_ADMINISTRATOR},"system:masters"\n')
        return [
            str(self._program),
            f"--etcd-servers={self.etcd.url}",
            f"--bind-address={_ADDRESS}",
            f"--advertise-address={_ADDRESS}",
            f"--secure-port={port}",
            f"--cert-dir={self.folder}",
            f"--tls-cert-file={self._pki.certificate}",
            f"--tls-private-key-file={self._pki.private_key}",
            f"--token-auth-file={tokens}",
            "--authorization-mode=RBAC",
            f"--service-account-issuer={_ISSUER}",
            f"--service-account-signing-key-file={self._pki.service_account_key}",
            f"--service-account-key-file={self._pki.service_account_key}",
            "--service-cluster-ip-range=10.96.0.0/16",
            "--endpoint-reconciler-type=none",  # it refuses a loopback address
            "--disable-admission-plugins=ServiceAccount",  # no controller makes the accounts that it wants
            "--profiling=false",
        ]

    def _ready(self) -> bool:
        try:
            # the namespace `default` is made only after the server calls itself ready
            return all(self.request("GET", path)[0] == 200 for path in ("/readyz", "/api/v1/namespaces/default"))
        except OSError:
            return False


def _message(answer: object) -> str:
    return str(answer.get("message", answer)) if isinstance(answer, dict) else str(answer)
