"""What one tenant asks for changes nothing for packets between another tenant's pods."""

from __future__ import annotations

import json
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING

from hypothesis import example, given, settings
from netaddr import IPAddress, IPNetwork

from ovnqos import Direction, NetworkQoS, Pod
from ovnqos.explain import candidates_of_desired, explain, packet_of_pod
from ovnqos.match import PacketProtocol
from ovnqos.model.workloads import NO_POD_QOS, Namespace
from tests.support import random_clusters as make
from tests.support.cluster import DEFAULT, POD_NETWORKS, attachment, compiled, pod_networks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovnqos import Compiler

TENANTS = ("shop", "bank", "lab")
MINE = "shop"
NODES = ("node1", "node2")
CLUSTER = IPNetwork("10.0.0.0/16")
TOGETHER, APART = "shop/blue", "bank/blue-too"
NETWORK = [attachment(key, "10.0.0.0/16", network="blue") for key in (TOGETHER, APART)]
PACKETS = 6


def _pods(random: Random) -> Iterator[Pod]:
    """Pods of all tenants on few nodes, each with addresses of its own on the default network and another one.

    Of some clusters the only pods with IPv6 may be those of other tenants.
    """
    dual_stack = random.choice(((), ("bank", "lab"), TENANTS))
    for number in range(random.randint(4, 10)):
        namespace = random.choice((MINE, *TENANTS))
        six = [f"fd00::{number}"] if namespace in dual_stack else []
        networks = {DEFAULT: [f"10.0.0.{number}", *six], TOGETHER: [f"10.0.1.{number}"]}
        yield replace(
            make.pod(random),
            namespace=namespace,
            name=f"p{number}",
            node=random.choice(NODES),
            host_network=False,
            phase="Running",
            annotations={POD_NETWORKS: pod_networks(networks)},
        )


def _without_others(objects: list[object]) -> list[object]:
    """The same without the pods and policies of tenants but one, and what they say of their namespaces' pods."""
    return [
        replace(one, qos=NO_POD_QOS) if isinstance(one, Namespace) and one.name != MINE else one
        for one in objects
        if not isinstance(one, (NetworkQoS, Pod)) or one.namespace == MINE
    ]


def _compile(objects: list[object]) -> Compiler:
    policies = [one for one in objects if isinstance(one, NetworkQoS)]
    others = [one for one in objects if not isinstance(one, NetworkQoS)]
    return compiled(policies, *others, *NETWORK, cluster_cidrs=[CLUSTER])


def _effects(compiler: Compiler, sender: Pod, destination: str, network: str, port: int) -> list[object]:
    """What becomes of a packet as it enters and as it leaves its switch, for each pipeline version of OVN."""
    sent = packet_of_pod(
        compiler.inventory,
        sender.key,
        IPAddress(destination),
        network=network,
        protocol=PacketProtocol.UDP,
        port=port,
    )
    candidates = candidates_of_desired(compiler.desired(), sent.switch, compiler.owner)
    found = explain(sent.packet, candidates.rows, candidates.names)
    return [
        (direction, version, outcome.effects)
        for direction in Direction
        for version, outcome in found.lookup(direction).outcomes.items()
    ]


@settings(max_examples=200)
@example(Random(25_841))  # another tenant's pod was the first with IPv6
@given(make.RANDOMS)
def test_no_object_of_a_tenant_changes_a_packet_between_anothers_pods(random: Random) -> None:
    pods = list(_pods(random))
    mine = [one for one in pods if one.namespace == MINE]
    namespaces = [replace(make.namespace(random), name=name) for name in TENANTS]
    policies = {one.key: one for one in (*make.policies(random), *make.policies(random))}
    objects: list[object] = [*pods, *namespaces, *policies.values()]
    alone, together = _compile(_without_others(objects)), _compile(objects)
    for _ in range(PACKETS if len(mine) > 1 else 0):
        sender, receiver = random.sample(mine, 2)
        networks = json.loads(receiver.annotations[POD_NETWORKS])
        key = random.choice((DEFAULT, TOGETHER))
        destination = random.choice(networks[key]["ip_addresses"]).partition("/")[0]
        network = DEFAULT if key == DEFAULT else "blue"
        sent = (sender, destination, network, random.choice((22, 80, 443, 9)))
        assert _effects(together, *sent) == _effects(alone, *sent), (sent, objects)
