"""Fixtures of the tier that needs a real Kubernetes API: kube-apiserver and etcd, no cluster, no root."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ovnqos.sandbox import MissingProgramError
from ovnqos.sandbox.kubernetes_api import KubernetesApi

if TYPE_CHECKING:
    from collections.abc import Iterator

NETWORK_QOS_CRD = Path(__file__).parents[2] / "daemon" / "deploy" / "crd.yaml"
NETWORK_ATTACHMENT_DEFINITION_CRD = Path(__file__).parent / "network-attachment-definitions.yaml"


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
    """A Kubernetes API with the custom resources installed.

    It serves the whole session: a test's objects live in a namespace of the test's own. Tests that stop, restart or
    compact it take `own_api`.
    """
    with describe_api() as started:
        install_crds(started)
        yield started


@pytest.fixture(scope="module")
def own_api() -> Iterator[KubernetesApi]:
    """A Kubernetes API of the test module's own, with the custom resources installed.

    Its tests may stop, restart, freeze and compact it, and leave it running.
    """
    with describe_api() as started:
        install_crds(started)
        yield started


@pytest.fixture
def namespace(api: KubernetesApi) -> str:
    """A namespace of the test's own, in the session's API; without a namespace controller it stays there."""
    document = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"generateName": "test-"}}
    return str(api.create("/api/v1/namespaces", document)["metadata"]["name"])
