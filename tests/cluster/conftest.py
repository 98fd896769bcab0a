"""Fixtures of the tier that needs a real Kubernetes API: kube-apiserver and etcd, no cluster, no root."""

from __future__ import annotations

import os
import socket
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from ovnqos.sandbox import MissingProgramError, NorthboundServer
from tests.cluster.support_daemon import (
    LEASE_NAMESPACE,
    PODS,
    SWITCHES,
    Daemon,
    apply,
    delete_all,
    guide_text,
    pod,
)
from tests.support.kubernetes.api import KubernetesApi

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# It needs the image, which `make test-image` builds
collect_ignore = [] if "OVNQOS_IMAGE_CONTAINER" in os.environ else ["test_image.py"]

DEPLOY = Path(__file__).parents[2] / "daemon" / "deploy"
NETWORK_QOS_CRD = DEPLOY / "crd.yaml"
NETWORK_ATTACHMENT_DEFINITION_CRD = DEPLOY.parent / "compose" / "network-attachment-definitions.yaml"


def describe_api() -> KubernetesApi:
    """An API server to enter; under CI=true the test fails where a program for it is missing, else it is skipped."""
    try:
        return KubernetesApi()
    except MissingProgramError as missing:
        if os.environ.get("CI") == "true":
            pytest.fail(f"tests/cluster cannot run: {missing}", pytrace=False)
        pytest.skip(f"tests/cluster cannot run: {missing}")


def install_crds(api: KubernetesApi) -> None:
    """Makes the API server keep the objects that the daemon reads."""
    for manifest in (NETWORK_QOS_CRD, NETWORK_ATTACHMENT_DEFINITION_CRD):
        api.install_crd(manifest.read_text())


@pytest.fixture(scope="session")
def api() -> Iterator[KubernetesApi]:
    """A Kubernetes API with the custom resources installed; it serves the whole session.

    A test's objects live in a namespace of its own. Tests that stop, restart, freeze or compact it take `own_api`.
    """
    with describe_api() as started:
        install_crds(started)
        yield started


@pytest.fixture
def own_api(api: KubernetesApi) -> Iterator[KubernetesApi]:
    """The same, for a test that may do anything to it, and leaves the custom resources installed."""
    yield api
    if api.running:
        api.thaw_api()
    else:
        api.start_api()


@pytest.fixture
def namespace(api: KubernetesApi) -> Iterator[str]:
    """A namespace of the test's own; what is in it is removed, so that no daemon sees it later."""
    document = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"generateName": "test-"}}
    name = str(api.create("/api/v1/namespaces", document)["metadata"]["name"])
    yield name  # without a namespace controller it stays there
    delete_all(api, name)


@pytest.fixture(scope="session")
def daemon_token(api: KubernetesApi) -> str:
    """The token of the daemon's account, with the rights as shipped."""
    api.kubectl("apply", "-k", str(DEPLOY / "base"))
    return api.token_for_service_account(LEASE_NAMESPACE, "ovnqosd")


@pytest.fixture
def northbound() -> Iterator[NorthboundServer]:
    """A Northbound with the switches and ports of the guide's pods; it listens on TCP too."""
    with NorthboundServer(listen=["ptcp:0:127.0.0.1"]) as server:
        for switch in SWITCHES:
            server.nbctl("ls-add", switch)
        for name, (node, _address, _labels) in PODS.items():
            server.nbctl("lsp-add", f"ovn.stream_{node}", f"default.ovn.stream_default_{name}")
        yield server


@pytest.fixture
def cluster(own_api: KubernetesApi) -> Iterator[KubernetesApi]:
    """The guide's network and pods, and no nodes; the policy is each test's own to create."""
    assert own_api.request("DELETE", "/api/v1/nodes")[0] == 200
    apply(own_api, yaml.safe_load(guide_text("nad.yaml")), *map(pod, PODS))
    yield own_api
    delete_all(own_api)


@pytest.fixture
def unused_port() -> int:
    """Where a daemon may serve its metrics."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def lease() -> str:
    """The name of the Lease of the test's daemons."""
    return f"ovnqosd-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def start(
    cluster: KubernetesApi, daemon_token: str, northbound: NorthboundServer, tmp_path: Path, lease: str
) -> Iterator[Callable[..., Daemon]]:
    """Starts daemons, with flags; none of them may ever have shown a traceback."""
    running: list[Daemon] = []

    def start_one(*flags: str) -> Daemon:
        running.append(Daemon(cluster, daemon_token, northbound.remote, tmp_path, lease, *flags))
        return running[-1]

    yield start_one
    logs = [daemon.log() for daemon in running]
    for daemon in running:
        daemon.process.kill()
    assert not [log for log in logs if "Traceback" in log]
