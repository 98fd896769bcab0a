"""Generated clusters: namespaces, nodes, pods and NetworkQoS objects as plain Kubernetes Lists; one seed, one cluster.

`python -m bench.generate --size M --mode zone -o FOLDER` writes one JSON file a kind.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from netaddr import IPNetwork

from bench.policies import generate_policies
from bench.sizes import SIZES, TIERS, Size, random_stream, uid

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator, Sequence

__all__ = ["SIZES", "Cluster", "Mode", "Size", "generate"]

Mode = Literal["zone", "central"]
Document = dict[str, Any]

ZONE_NODE = "node-0"
"""In zone mode, the node whose daemon is measured: it holds exactly one source pod an object."""

ENVIRONMENTS = ("production", "staging", "development")

CLUSTER_SUBNET = IPNetwork("10.128.0.0/9")
CLUSTER_SUBNET_V6 = IPNetwork("fd00:10:128::/48")
SERVICE_SUBNET = "172.30.0.0/16"
NODE_PREFIX_LENGTH = 19  # 1,024 nodes of 8,190 addresses: the zone's node of XL holds 5,000 pods
FIRST_POD_ADDRESS = 3  # .1 is the gateway, .2 the management port


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """The objects of a generated cluster, each a plain Kubernetes document."""

    namespaces: list[Document]
    nodes: list[Document]
    pods: list[Document]
    policies: list[Document]

    def documents(self) -> list[Document]:
        """Return four `kind: List` documents: namespaces, nodes, pods, NetworkQoS objects."""
        return [_list(items) for items in (self.namespaces, self.nodes, self.pods, self.policies)]

    def write(self, folder: Path) -> list[Path]:
        """Write one JSON file a kind into `folder`, which is made if missing, and return their paths."""
        folder.mkdir(parents=True, exist_ok=True)
        paths = [folder / f"{kind}.json" for kind in ("namespaces", "nodes", "pods", "networkqoses")]
        for path, document in zip(paths, self.documents(), strict=True):
            path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        return paths


def generate(size: str | Size, *, seed: int = 1, mode: Mode = "zone", dual_stack: bool = False) -> Cluster:
    """Make a cluster; equal arguments give equal documents.

    Args:
        size: a name of `SIZES`, or another size.
        seed: varies labels, selectors, rules and placement.
        mode: `zone`: node `node-0` holds exactly one source pod of each object and no other pod; `central`: the source
            pods are spread over all nodes. Labels, namespaces and rules are the same in both.
        dual_stack: give each pod an IPv6 address too, and half of the ipBlock rules a second, IPv6 block.

    Raises:
        ValueError: the size cannot hold what the mode promises.
    """
    size = SIZES[size] if isinstance(size, str) else size
    if size.pods // size.namespaces < size.apps:
        raise ValueError(f"{size.name}: {size.pods} pods are too few for {size.apps} apps in each namespace")
    if size.nodes < 2 or size.nodes > 1 << (NODE_PREFIX_LENGTH - CLUSTER_SUBNET.prefixlen):
        raise ValueError(f"{size.name}: {size.nodes} nodes do not fit, 2 to 1024 do")
    return Cluster(
        namespaces=[_namespace(size, index) for index in range(size.namespaces)],
        nodes=[_node(index, mode, dual_stack=dual_stack) for index in range(size.nodes)],
        pods=list(_pods(size, seed, mode, dual_stack=dual_stack)),
        policies=list(generate_policies(size, seed, dual_stack=dual_stack)),
    )


def _list(items: list[Document]) -> Document:
    return {"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": ""}, "items": items}


def _namespace(size: Size, index: int) -> Document:
    name = f"ns-{index}"
    labels = {
        "kubernetes.io/metadata.name": name,
        "team": f"team-{index % size.teams}",
        "environment": ENVIRONMENTS[index // size.teams % len(ENVIRONMENTS)],
    }
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "uid": uid(name), "resourceVersion": "1", "labels": labels},
        "status": {"phase": "Active"},
    }


def _node_subnets(index: int, *, dual_stack: bool) -> list[IPNetwork]:
    length = 1 << (32 - NODE_PREFIX_LENGTH)
    subnets = [IPNetwork((CLUSTER_SUBNET.first + index * length, NODE_PREFIX_LENGTH), version=4)]
    if dual_stack:
        subnets.append(IPNetwork((CLUSTER_SUBNET_V6.first + (index << 64), 64), version=6))
    return subnets


def _node(index: int, mode: Mode, *, dual_stack: bool) -> Document:
    name = f"node-{index}"
    subnets = [str(subnet) for subnet in _node_subnets(index, dual_stack=dual_stack)]
    annotations = {
        "k8s.ovn.org/node-subnets": json.dumps({"default": subnets}),
        "k8s.ovn.org/zone-name": name if mode == "zone" else "global",
    }
    labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "node-role.kubernetes.io/worker": ""}
    metadata = {"name": name, "uid": uid(name), "resourceVersion": "1", "labels": labels, "annotations": annotations}
    addresses = [{"type": "InternalIP", "address": _host_address(index)}, {"type": "Hostname", "address": name}]
    return {"apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": {}, "status": {"addresses": addresses}}


def _host_address(node: int) -> str:
    return f"172.18.{(node + 2) // 256}.{(node + 2) % 256}"


def _pods(size: Size, seed: int, mode: Mode, *, dual_stack: bool) -> Iterator[Document]:
    apps = random_stream("apps", size, seed)
    placement = random_stream(f"placement-{mode}", size, seed)
    subnets = [_node_subnets(index, dual_stack=dual_stack) for index in range(size.nodes)]
    next_address = [FIRST_POD_ADDRESS] * size.nodes
    for position in range(size.pods):
        ordinal, namespace = divmod(position, size.namespaces)
        app = ordinal if ordinal < size.apps else apps.randrange(size.apps)
        node = _place(size, mode, placement, namespace, ordinal)
        labels = {
            "app": f"app-{app}",
            "tier": TIERS[app % len(TIERS)],
            "version": f"v{apps.randint(1, 3)}",
            "team": f"team-{namespace % size.teams}",
        }
        networks = [(subnet, next_address[node]) for subnet in subnets[node]]
        next_address[node] += 1
        yield pod_document(f"ns-{namespace}", f"app-{app}-{ordinal}", node, labels, networks)


def _place(size: Size, mode: Mode, placement: random.Random, namespace: int, ordinal: int) -> int:
    if mode == "central":
        return placement.randrange(size.nodes)
    # Object k of a namespace selects app k, whose first pod is pod k: one source pod an object on the zone's node.
    return 0 if ordinal < _policies_of(size, namespace) else placement.randrange(1, size.nodes)


def _policies_of(size: Size, namespace: int) -> int:
    return len(range(namespace, size.policies, size.namespaces))


def pod_document(
    namespace: str, name: str, node: int, labels: dict[str, str], networks: Sequence[tuple[IPNetwork, int]]
) -> Document:
    """A running pod, as the API server tells of it.

    Args:
        namespace: of the pod.
        name: of the pod.
        node: the node's number.
        labels: of the pod.
        networks: subnets of the default network, one for each IP version, and the pod's place in each.
    """
    addresses = [str(subnet[offset]) for subnet, offset in networks]
    gateways = [str(subnet[1]) for subnet, _ in networks]
    with_length = [f"{address}/{subnet.prefixlen}" for address, (subnet, _) in zip(addresses, networks, strict=True)]
    network: Document = {
        "ip_addresses": with_length,
        "mac_address": "0a:58:" + ":".join(f"{int(octet):02x}" for octet in addresses[0].split(".")),
        "gateway_ips": gateways,
        "routes": [{"dest": dest, "nextHop": gateways[0]} for dest in (str(CLUSTER_SUBNET), SERVICE_SUBNET)],
        "role": "primary",
    }
    if len(addresses) == 1:  # the fields of single-stack pods, kept by ovn-kubernetes for older readers
        network |= {"ip_address": with_length[0], "gateway_ip": gateways[0]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": uid(f"{namespace}/{name}"),
            "resourceVersion": "1",
            "labels": labels,
            "annotations": {"k8s.ovn.org/pod-networks": json.dumps({"default": network}, separators=(",", ":"))},
        },
        "spec": {
            "nodeName": f"node-{node}",
            "restartPolicy": "Always",
            "containers": [{"name": labels["app"], "image": f"registry.example/{labels['app']}:{labels['version']}"}],
        },
        "status": {
            "phase": "Running",
            "hostIP": _host_address(node),
            "podIP": addresses[0],
            "podIPs": [{"ip": address} for address in addresses],
        },
    }


def main() -> None:
    """Write a generated cluster's files, from the command line's arguments."""
    parser = argparse.ArgumentParser(prog="python -m bench.generate", description=__doc__)
    parser.add_argument("--size", choices=SIZES, default="M")
    parser.add_argument("--mode", choices=get_args(Mode), default="zone")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--dual-stack", action="store_true")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER")
    arguments = parser.parse_args()
    cluster = generate(arguments.size, seed=arguments.seed, mode=arguments.mode, dual_stack=arguments.dual_stack)
    for path in cluster.write(arguments.output):
        print(path)


if __name__ == "__main__":
    main()
