"""The library's front: names are imported on first use, and only what is used."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import grimp
import pytest

import ovnqos
from ovnqos import _MODULE_OF, controller

FRONT = Path(ovnqos.__file__)

NAMES = """
AddressSet Bandwidth BandwidthScope Classifier Code Compiler DatabaseUnavailable DesiredState Diagnostic
Direction IPBlock InvalidObject KubeOvnTopology LabelSelector LockLost Manifests Namespace NetworkAttachmentDefinition
NetworkQoS NetworkSelectionType NetworkSelector Node Northbound ObjectRef OutcomeUnknown
OvnKubernetesTopology OvnQosError Owner
Plan Pod PodPeer PodQos PortGroup PortMatch Protocol QosRow Rule SchemaMismatch Severity Snapshot StalePlan
StaticTopology
TlsFiles Topology TransactionRefused UnreadableInput UnsafePlan __version__ load_manifests load_topology_map
parse_object plan_changes
"""
COMPILE = """
import sys
from ovnqos import Compiler, DesiredState, OvnKubernetesTopology, Owner, Snapshot, parse_object, plan_changes

compiler = Compiler(OvnKubernetesTopology(), Owner("example"))
compiler.apply(parse_object({"kind": "Namespace", "metadata": {"name": "shop"}}))
compiler.drain()
assert plan_changes(compiler.desired(), Snapshot(owner=compiler.owner)).is_empty
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)


def test_compiling_and_planning_loads_no_client_and_no_terminal() -> None:
    ended = run(COMPILE)
    assert ended.returncode == 0, ended.stderr
    loaded = set(ended.stdout.split())
    assert "ovnqos" in loaded
    heavy = {"click", "kubernetes", "ovs", "ovsdbapp", "prometheus_client", "rich", "structlog", "tenacity", "urllib3"}
    assert not loaded & heavy


def test_types_and_modules_of_the_names_agree() -> None:
    tree = ast.parse(FRONT.read_text())
    typed = next(node for node in tree.body if isinstance(node, ast.If))
    imported = {
        alias.name: node.module for node in typed.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert imported == _MODULE_OF
    assert set(ovnqos.__all__) == {*imported, "__version__"}


def test_the_public_names_are_these() -> None:
    """A name more or less is a decision: it goes into the changelog."""
    assert set(ovnqos.__all__) == set(NAMES.split())
    assert not set(controller.__all__) & set(ovnqos.__all__)


@pytest.mark.parametrize("name", ovnqos.__all__)
def test_every_name_can_be_imported(name: str) -> None:
    assert getattr(ovnqos, name) is not None


@pytest.mark.parametrize("room", ["controller", "convert", "explain", "kubernetes", "match", "verify"])
def test_the_other_public_modules_say_what_is_public(room: str) -> None:
    module = importlib.import_module(f"ovnqos.{room}")
    assert module.__all__
    for name in module.__all__:
        assert getattr(module, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'Compilre'"):
        ovnqos.Compilre  # type: ignore[attr-defined]  # noqa: B018  # what a typo does


@pytest.mark.parametrize("package", ["prometheus_client", "structlog", "urllib3"])
def test_the_daemon_without_its_extra_says_so_in_one_line(package: str) -> None:
    hide = f"import sys; sys.modules[{package!r}] = None; from ovnqosd.__main__ import main; main()"
    ended = run(hide)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == f"ovnqosd: the Python package {package} is not installed; install ovnqos[daemon]\n"


def test_no_modules_import_each_other_at_some_remove() -> None:
    graph = grimp.build_graph("ovnqos", "ovnqosd", cache_dir=None)
    above = {module: graph.find_upstream_modules(module) for module in graph.modules}
    assert [module for module, imported in above.items() if module in imported] == []
    assert {one for module in above for one in above[module] if module in above[one]} == set()


def test_no_two_public_classes_have_one_name() -> None:
    places = defaultdict(list)
    for folder in (FRONT.parent, FRONT.parents[1] / "daemon" / "ovnqosd"):
        for path in folder.rglob("*.py"):
            for name in re.findall(r"^class ([A-Z]\w*)", path.read_text(), re.MULTILINE):
                places[name].append(path.name)
    assert len(places) > 100
    assert {name: found for name, found in places.items() if len(found) > 1} == {}
