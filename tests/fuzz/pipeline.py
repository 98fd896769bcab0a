"""Every document through what the project does with one: parse, compile as it comes and all at once, plan, render."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any

from netaddr import IPNetwork

from ovnqos import (
    Compiler,
    InvalidObject,
    KubeOvnTopology,
    Namespace,
    Node,
    OvnKubernetesTopology,
    Snapshot,
    StaticTopology,
    parse_object,
    plan_changes,
)
from ovnqos.diagnostics import printable
from ovnqos.match import parse
from ovnqos.sources.egress_qos import parse_egress_qos
from ovnqos.sources.topology_map import parse_topology_map
from ovnqosd.loop.outcomes import ObjectUpdate
from ovnqosd.status.events import events_of_report
from tests.fuzz.documents import document, egress_qos, topology_map

if TYPE_CHECKING:
    from ovnqos import DesiredState, Topology

ROUND = 60
"""Documents of one cluster; then another begins."""
ANNOTATIONS = frozenset({"example.com/addresses"})
CIDRS = (IPNetwork("10.0.0.0/16"), IPNetwork("fd00::/8"))
MAP = parse_topology_map(
    {
        "networks": {
            "default": {
                "topology": "layer3",
                "switch": "{node}",
                "port": "{namespace}_{name}",
                "addresses": {"annotation": "example.com/addresses"},
            },
            "shop/blue": {"topology": "layer2", "switch": "lan", "port": "{namespace}_{name}_blue"},
        }
    }
)


def topologies() -> tuple[Topology, ...]:
    """One of each kind; the first is a zone of one node."""
    return (
        OvnKubernetesTopology(zone_nodes=["node1"]),
        OvnKubernetesTopology(),
        KubeOvnTopology(),
        StaticTopology(MAP),
    )


@dataclass(slots=True)
class Found:
    """A cluster as it comes, and the versions of each of its objects: the last readable ones stay in force."""

    compiler: Compiler
    versions: dict[tuple[str, str], list[object]] = field(default_factory=dict)


def check_round(seed: int) -> int:
    """Take one cluster's documents through everything; return how many. Raises what is wrong.

    The documents depend on the seed alone.
    """
    random = Random(seed)
    topology = random.choice(topologies())
    for parse_other, other in ((parse_egress_qos, egress_qos(random)), (parse_topology_map, topology_map(random))):
        try:
            parse_other(other)
        except InvalidObject as error:
            assert printable(str(error), keep="\n") == str(error)  # noqa: PT017 - what it says is what is checked
    found = Found(Compiler(topology, cluster_cidrs=CIDRS if random.random() < 0.8 else ()))
    for _ in range(ROUND):
        _take(document(random), found)
        if random.random() < 0.1 and found.versions:
            key = random.choice([*found.versions])
            found.compiler.delete(*key)
            del found.versions[key]
        if random.random() < 0.3:
            found.compiler.drain()
    _check(found, topology, random)
    return ROUND


def _take(given: dict[str, Any], found: Found) -> None:
    one = parse_object(given, also_keep=ANNOTATIONS)
    if one is None:
        return
    if isinstance(one, InvalidObject):
        for said in (*one.diagnostics, *one.warnings):
            assert str(said).isprintable()
        if not one.object.name:  # it is reported, and nothing is known of its rows
            return
        key = (one.object.kind, one.object.key)
    else:
        key = (type(one).__name__, one.name if isinstance(one, Namespace | Node) else one.key)
    found.compiler.apply(one)
    found.versions.setdefault(key, []).append(one)


def _check(found: Found, topology: Topology, random: Random) -> None:
    live = found.compiler.desired()
    for said in found.compiler.all_diagnostics():
        assert str(said).isprintable()
        for event in events_of_report(ObjectUpdate(object=said.object, uid="1", diagnostics=(said,))):
            event.message.encode()
    keys = random.sample([*found.versions], len(found.versions))
    versions = (one for key in keys for one in found.versions[key])
    whole = Compiler.of(versions, topology, cluster_cidrs=found.compiler.inventory.cluster_cidrs).desired()
    assert _content(live) == _content(whole), "compiled as it came, and all at once"
    for row in live.rows.values():
        assert parse(str(row.match)) == row.match or str(parse(str(row.match))) == str(row.match)
    switches = {name: f"s-{name}" for row in live.rows.values() for name in row.switches}
    ports = {name: f"p-{name}" for group in live.port_groups.values() for name in group.ports}
    plan = plan_changes(live, Snapshot(switches=switches, ports=ports))
    for text in (plan.as_diff(), plan.as_nbctl(), plan.as_json()):
        text.encode()
        assert printable(text, keep="\n") == text
    json.loads(plan.as_json())
    for operations in plan.operations():
        json.dumps(operations, allow_nan=False).encode()


def _content(desired: DesiredState) -> tuple[Any, ...]:
    sets = {name: one.addresses for name, one in desired.address_sets.items()}
    return desired.rows, {name: one.ports for name, one in desired.port_groups.items()}, sets
