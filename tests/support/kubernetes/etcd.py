"""A real etcd on loopback with throw-away data: where an API server keeps its objects."""

from __future__ import annotations

import json
import urllib.request
from typing import TYPE_CHECKING, Any, Final, Self

from ovnqos.sandbox.process import Process
from ovnqos.sandbox.programs import SandboxError
from tests.support.kubernetes.programs import free_port, kubernetes_program

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# A proxy of the environment has no business with loopback
_opener: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Etcd:
    """An etcd of one member; a context manager. Inside `with` it answers.

    Attributes:
        folder: holds its data and log.
        url: where clients connect, `http://127.0.0.1:<port>`.
    """

    def __init__(self, folder: Path) -> None:
        """Describe it; entering it starts it.

        Args:
            folder: an existing folder that takes its files and is left in place.

        Raises:
            MissingProgramError: etcd is missing.
        """
        self.folder = folder
        self._program = kubernetes_program("etcd")
        self.url = ""
        self._process: Process | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def running(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.running

    @property
    def pid(self) -> int:
        """Its process id.

        Raises:
            SandboxError: it does not run.
        """
        if self._process is None:
            raise SandboxError("etcd does not run")
        return self._process.pid

    def start(self) -> None:
        """Start it, or start it again on the same data and port; return when it answers.

        Raises:
            SandboxError: it did not start; quotes its last log lines.
        """
        if self._process is None:
            self.url = f"http://127.0.0.1:{free_port()}"
            self._process = Process(self._command(), name="etcd", log=self.folder / "etcd.log")
        self._process.start(self._healthy, timeout=60)

    def kill(self) -> None:
        """End it as a crash would; the data stay, and `start()` serves them again."""
        if self._process is not None:
            self._process.kill()

    def compact(self) -> int:
        """Forget the history of all keys: reads and watches of older revisions are refused from now on.

        Returns:
            The revision up to which it has been forgotten, the latest.

        Raises:
            OSError: etcd does not answer.
        """
        revision = int(self._ask("/v3/maintenance/status", {})["header"]["revision"])
        self._ask("/v3/kv/compaction", {"revision": revision, "physical": True})
        return revision

    def _command(self) -> list[str]:
        peers = f"http://127.0.0.1:{free_port()}"
        return [
            str(self._program),
            "--name=sandbox",
            f"--data-dir={self.folder / 'etcd'}",
            f"--listen-client-urls={self.url}",
            f"--advertise-client-urls={self.url}",
            f"--listen-peer-urls={peers}",
            f"--initial-advertise-peer-urls={peers}",
            f"--initial-cluster=sandbox={peers}",
            "--unsafe-no-fsync",  # a crash of the program loses nothing; one of the machine ends the sandbox anyway
            "--logger=zap",
            "--log-level=warn",
        ]

    def _healthy(self) -> bool:
        try:
            with _opener.open(f"{self.url}/health", timeout=2) as answer:
                return bool(json.load(answer)["health"] == "true")
        except OSError:
            return False

    def _ask(self, path: str, body: Mapping[str, object]) -> dict[str, Any]:
        """One request to etcd's JSON gateway (etcd 3.4, "gRPC gateway")."""
        request = urllib.request.Request(self.url + path, data=json.dumps(body).encode(), method="POST")
        with _opener.open(request, timeout=10) as answer:
            result: dict[str, Any] = json.load(answer)
        return result
