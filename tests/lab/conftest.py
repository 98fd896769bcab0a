"""Fixtures of the tier that sends real packets: it needs root, Open vSwitch, ovn-controller and the measuring tools."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from ovnqos.sandbox import NEEDED, Programs, Sandbox, SandboxError, require_root

if TYPE_CHECKING:
    from collections.abc import Iterator


def require_lab() -> None:
    """Returns if this machine can run the tier; under CI=true the tier fails otherwise, else it is skipped."""
    try:
        Programs().require(*NEEDED)
        require_root()
    except SandboxError as missing:
        if os.environ.get("CI") == "true":
            pytest.fail(f"tests/lab cannot run: {missing}", pytrace=False)
        pytest.skip(f"tests/lab cannot run: {missing}")


@pytest.fixture(scope="session")
def lab() -> None:
    """That this machine can run the tier."""
    require_lab()


@pytest.fixture(scope="session")
def sandbox(lab: None) -> Iterator[Sandbox]:
    """Two nodes, `ovn-worker` and `ovn-worker2`, the dual-stack default network and a host outside; no pods yet.

    It serves the whole session: a test's pods live in a Kubernetes namespace of the test's own, and its QoS rows are
    removed when it ends.
    """
    with Sandbox(nodes=("ovn-worker", "ovn-worker2")) as started:
        yield started
