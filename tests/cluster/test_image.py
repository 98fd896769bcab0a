"""The daemon in its image, against a real API and a real Northbound; `make test-image` builds it and runs this."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Final

import pytest

from ovnqos.sandbox.process import Process
from tests.cluster.support_daemon import APPLIED, LEASE_NAMESPACE, apply, guide_policy, wait_for_rows, wait_for_status

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ovnqos.sandbox import NorthboundServer
    from tests.support.kubernetes.api import KubernetesApi

CONTAINER: Final = os.environ["OVNQOS_IMAGE_CONTAINER"]
USER: Final = "65532:65532"


def in_image(*command: str, folder: Path | None = None) -> list[str]:
    """The command, in the image's file system and as its user."""
    volume = () if folder is None else ("--volume", f"{folder}:{folder}:ro")
    return ["buildah", "run", "--isolation", "chroot", "--user", USER, *volume, CONTAINER, "--", *command]


@pytest.fixture
def daemon(
    cluster: KubernetesApi, daemon_token: str, northbound: NorthboundServer, tmp_path: Path, lease: str
) -> Iterator[Process]:
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    kubeconfig, authority = mounted / "kubeconfig", mounted / "ca.crt"
    kubeconfig.write_text(
        cluster.kubeconfig(daemon_token).read_text().replace(str(cluster.ca_certificate), str(authority))
    )
    shutil.copy(cluster.ca_certificate, authority)
    for path in (tmp_path, mounted, kubeconfig, authority):
        path.chmod(0o755)
    _socket, remote = northbound.remotes
    flags = ("--nb", remote, "--kubeconfig", str(kubeconfig), "--metrics-address", "127.0.0.1:0")
    election = ("--lease-namespace", LEASE_NAMESPACE, "--lease-name", lease)
    command = in_image("ovnqosd", *flags, *election, folder=mounted)
    process = Process(command, name="ovnqosd", log=tmp_path / "daemon.log")
    process.start()
    yield process
    process.stop()  # killed, buildah would leave the daemon behind
    print(process.log_text())  # noqa: T201 # shown where the test fails
    assert "Traceback" not in process.log_text()


def test_the_daemon_in_the_image_keeps_rows_and_status_true(
    cluster: KubernetesApi, northbound: NorthboundServer, daemon: Process
) -> None:
    apply(cluster, guide_policy(rate=4000))
    wait_for_rows(northbound, 2, "rate=4000")
    wait_for_status(cluster, APPLIED)
