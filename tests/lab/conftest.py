"""Fixtures of the tier that sends real packets: it needs root, Open vSwitch, ovn-controller and the measuring tools."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from ovnqos import Northbound
from ovnqos.sandbox import NEEDED, Programs, Sandbox, SandboxError, require_root
from tests.lab.support_cluster import LabCluster
from tests.lab.support_guide import Guide
from tests.lab.support_matrix import Matrix
from tests.lab.support_results import RESULTS, Results

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
def programs() -> Programs:
    """The OVN programs that carry the packets."""
    return Programs()


@pytest.fixture(scope="session")
def sandbox(lab: None, programs: Programs) -> Iterator[Sandbox]:
    """Two nodes, `ovn-worker` and `ovn-worker2`, the dual-stack default network and a host outside; no pods yet.

    It serves the whole session: a test's pods live in a Kubernetes namespace of the test's own, and its QoS rows are
    removed when it ends.
    """
    with Sandbox(nodes=("ovn-worker", "ovn-worker2"), programs=programs) as started:
        yield started


@pytest.fixture(scope="session")
def session_matrix(sandbox: Sandbox) -> Iterator[Matrix]:
    """The networks and pods of the traffic matrix, in the session's sandbox."""
    with Northbound.connect(sandbox.central.northbound.remote) as northbound:
        yield Matrix(LabCluster(sandbox, northbound))


@pytest.fixture
def matrix(session_matrix: Matrix) -> Iterator[Matrix]:
    """The traffic matrix; policies that the test applies are removed when it ends."""
    yield session_matrix
    session_matrix.cluster.withdraw()


@pytest.fixture(scope="session")
def session_guide(lab: None, programs: Programs) -> Iterator[Guide]:
    """The guide's network and pods, in a sandbox of their own."""
    with (
        Sandbox(nodes=("ovn-worker", "ovn-worker2"), programs=programs) as sandbox,
        Northbound.connect(sandbox.central.northbound.remote) as northbound,
    ):
        yield Guide(LabCluster(sandbox, northbound))


@pytest.fixture
def guide(session_guide: Guide) -> Iterator[Guide]:
    """The guide's cluster; policies that the test applies are removed when it ends."""
    yield session_guide
    session_guide.cluster.withdraw()


@pytest.fixture(scope="session")
def results(pytestconfig: pytest.Config) -> Results:
    """Takes what the traffic matrix measures, for the table at the end."""
    return pytestconfig.stash.setdefault(RESULTS, Results())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Prints the traffic matrix."""
    lines = list(config.stash.get(RESULTS, Results()).table())
    if lines:
        terminalreporter.section("traffic matrix")
        for line in lines:
            terminalreporter.write_line(line)
