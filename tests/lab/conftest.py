"""Fixtures of the tier that sends real packets: it needs root, Open vSwitch, ovn-controller and the measuring tools."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from ovnqos import Northbound
from ovnqos.sandbox import REQUIRED_PROGRAMS, Programs, SandboxError, require_root
from tests.lab.support_cluster import LabCluster
from tests.lab.support_guide import Guide
from tests.lab.support_matrix import Matrix
from tests.lab.support_ovn import INSTALLED, OVN, REPORT, WHOLE_MATRIX
from tests.lab.support_report import document, remarks, tables
from tests.lab.support_results import MEASURED_AGAIN, RESULTS, Results, ShortRateError
from tests.support.lab_sandbox import LabSandbox
from tests.support.ovn_programs import ProgramsOfRoot
from tests.support.ovn_programs import ovn_version as version_of
from tests.support.pairwise import pairwise

if TYPE_CHECKING:
    from collections.abc import Iterator

_MEASURED: Final = "traffic matrix"
_KEPT_BEFORE = pytest.StashKey[tuple[int, int, int]]()
"""Of a test: how many results there were before it."""


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "pairwise: a change runs each pair of its parameters once, make matrix all")
    config.addinivalue_line("markers", "alone: its figures need a machine that does nothing else meanwhile")
    config.addinivalue_line("markers", "ovn_of_its_own: says on which OVN it runs with which arguments")
    config.addinivalue_line("markers", "one_ovn: runs on the first OVN only; what it shows does not depend on OVN")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each test that sends packets runs on each OVN."""
    if "programs" in metafunc.fixturenames and not metafunc.definition.get_closest_marker("ovn_of_its_own"):
        chosen = OVN[:1] if metafunc.definition.get_closest_marker("one_ovn") else OVN
        metafunc.parametrize("programs", chosen, indirect=True, scope="session")


def pytest_itemcollected(item: pytest.Item) -> None:
    """Where several processes share the tests, those that use one sandbox stay together (`--dist loadgroup`)."""
    used, ovn = getattr(item, "fixturenames", ()), _ovn_of(item)
    shared = next((one for one in ("session_matrix", "session_guide") if one in used), None)
    if shared is None and (ovn is None or item.get_closest_marker("one_ovn")):
        group = "on one OVN"
    else:
        group = f"{shared or item.path.stem} on {ovn}"
    item.add_marker(pytest.mark.xdist_group(group))
    item.add_marker(pytest.mark.flaky(reruns=MEASURED_AGAIN, reruns_delay=2, only_rerun=[ShortRateError]))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Choose what this session runs, and keep the tests of each OVN together, so that a sandbox is started once."""
    chosen = items if WHOLE_MATRIX else _pairwise(items)
    left_out = set(items) - set(chosen)
    config.hook.pytest_deselected(items=[one for one in items if one in left_out])
    items[:] = sorted(chosen, key=lambda one: OVN.index(ovn) if (ovn := _ovn_of(one)) else -1)
    if getattr(config.option, "loadgroup", False) and not all("@" in one.nodeid for one in items):
        raise pytest.UsageError("this pytest-xdist does not group tests with this pytest")


def _ovn_of(item: pytest.Item) -> str | None:
    callspec = getattr(item, "callspec", None)
    return callspec.params.get("programs") if callspec else None


def _pairwise(items: list[pytest.Item]) -> list[pytest.Item]:
    """Of a test with the marker `pairwise`, keep what has each pair of its parameters, OVN among them, once."""
    by_test: dict[str, dict[tuple[str, ...], pytest.Item]] = {}
    kept = []
    for item in items:
        if isinstance(item, pytest.Function) and item.get_closest_marker("pairwise"):
            cell = tuple(f"{name}={value}" for name, value in sorted(item.callspec.params.items()))
            by_test.setdefault(item.nodeid.partition("[")[0], {})[cell] = item
        else:
            kept.append(item)
    for cells in by_test.values():
        kept += [cells[cell] for cell in pairwise(list(cells))]
    return [item for item in items if item in set(kept)]


def cannot_run(missing: SandboxError) -> None:
    """Under CI=true the tier fails where it cannot run, else it is skipped."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"tests/lab cannot run: {missing}", pytrace=False)
    pytest.skip(f"tests/lab cannot run: {missing}")


@pytest.fixture(scope="session")
def lab() -> None:
    """That this machine can run the tier."""
    try:
        require_root()
        Programs().require(*REQUIRED_PROGRAMS)
    except SandboxError as missing:
        cannot_run(missing)


@pytest.fixture(scope="session")
def programs(lab: None, request: pytest.FixtureRequest) -> Programs:
    """The OVN programs that carry the packets."""
    if request.param == INSTALLED:
        return Programs()
    try:
        found = ProgramsOfRoot.of_debian(request.param)
        found.require(*REQUIRED_PROGRAMS)
    except SandboxError as missing:
        cannot_run(missing)
    return found


@pytest.fixture(scope="session")
def ovn_version(programs: Programs) -> str:
    """Their release, e.g. `23.03`."""
    return version_of(programs)


@pytest.fixture(scope="session")
def sandbox(programs: Programs) -> Iterator[LabSandbox]:
    """Two nodes, `ovn-worker` and `ovn-worker2`, the dual-stack default network and a host outside; no pods yet.

    It serves the whole session: a test's pods live in a Kubernetes namespace of the test's own, and its QoS rows are
    removed when it ends.
    """
    with LabSandbox(nodes=("ovn-worker", "ovn-worker2"), programs=programs) as started:
        yield started


@pytest.fixture(scope="session")
def session_matrix(sandbox: LabSandbox) -> Iterator[Matrix]:
    """The networks and pods of the traffic matrix, in the session's sandbox."""
    with Northbound.connect(sandbox.central.northbound.remote) as northbound:
        yield Matrix(LabCluster(sandbox, northbound))


@pytest.fixture
def matrix(session_matrix: Matrix) -> Iterator[Matrix]:
    """The traffic matrix; policies that the test applies are removed when it ends."""
    yield session_matrix
    session_matrix.cluster.withdraw()


@pytest.fixture(scope="session")
def session_guide(programs: Programs) -> Iterator[Guide]:
    """The guide's network and pods, in a sandbox of their own."""
    with (
        LabSandbox(nodes=("ovn-worker", "ovn-worker2"), programs=programs) as sandbox,
        Northbound.connect(sandbox.central.northbound.remote) as northbound,
    ):
        yield Guide(LabCluster(sandbox, northbound))


@pytest.fixture
def guide(session_guide: Guide) -> Iterator[Guide]:
    """The guide's cluster; policies that the test applies are removed when it ends."""
    yield session_guide
    session_guide.cluster.withdraw()


@pytest.fixture
def results(request: pytest.FixtureRequest, ovn_version: str) -> Results:
    """Takes what the traffic matrix measures on this OVN, for the report at the end."""
    found = request.config.stash.setdefault(RESULTS, {}).setdefault(ovn_version, Results())
    found.cut(*request.node.stash.setdefault(_KEPT_BEFORE, found.lengths))
    return found


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hands what one of several processes measured to the one that reports."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput[_MEASURED] = pickle.dumps(session.config.stash.get(RESULTS, {}))


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Takes what one of several processes measured."""
    measured = node.config.stash.setdefault(RESULTS, {})
    for ovn, found in pickle.loads(getattr(node, "workeroutput", {}).get(_MEASURED, pickle.dumps({}))).items():
        measured.setdefault(ovn, Results()).extend(found)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config) -> None:
    """Prints the traffic matrix, and writes it where it is asked for and nothing failed."""
    measured = dict(sorted(config.stash.get(RESULTS, {}).items()))
    if not measured:
        return
    terminalreporter.section("traffic matrix")
    for table in tables(measured):
        for line in (*table.aligned(), ""):
            terminalreporter.write_line(line)
    for remark in remarks(measured):
        terminalreporter.write_line(remark)
    if not REPORT:
        return
    if exitstatus == pytest.ExitCode.OK:
        Path(REPORT).write_text(document(measured))
        terminalreporter.write_line(f"written: {REPORT}")
    else:
        terminalreporter.write_line(f"not written: {REPORT}, as tests failed")
