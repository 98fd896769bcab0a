"""Generated NetworkQoS objects: half of their rules take IP blocks with exceptions, half select pods."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Literal

from bench.sizes import TIERS, Size, random_stream, uid

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

Document = dict[str, Any]
DestinationKind = Literal["ip-block", "own-namespace", "namespace-and-pod", "namespace-only"]

OUTSIDE_RANGES = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16")
PORTS = (("TCP", 80), ("TCP", 443), ("TCP", 5201), ("TCP", 8080), ("UDP", 53), ("UDP", 5201), ("SCTP", 3868))
RATES_KBPS = (1_000, 5_000, 10_000, 20_000, 50_000, 100_000, 500_000, 1_000_000)


def generate_policies(size: Size, seed: int, *, dual_stack: bool) -> Iterator[Document]:
    """Yield a size's NetworkQoS objects, those of one namespace with distinct priorities up to 101 of them.

    Object k of a namespace selects its pods of app k as sources, so that no two objects share a source pod. Where the
    size is `shared`, those of app k + 1 too, and all have one priority.
    With `dual_stack`, half of the ipBlock rules have a second, IPv6 block.
    """
    rng = random_stream("policies", size, seed)
    rng_v6 = random_stream("policies-v6", size, seed)
    destinations = _destination_kinds(size, rng)
    priorities = [itertools.cycle(rng.sample(range(101), 101)) for _ in range(size.namespaces)]
    for position in range(size.policies):
        app, namespace = divmod(position, size.namespaces)
        egress = []
        for _ in range(size.rules):
            kind = next(destinations)
            to = [_destination(kind, size, rng, namespace)]
            if kind == "ip-block" and dual_stack and rng_v6.random() < 0.5:
                to.append(_ip_block_v6(rng_v6))
            egress.append(_rule(to, rng))
        name = f"qos-{app}"
        yield {
            "apiVersion": "k8s.ovn.org/v1alpha1",
            "kind": "NetworkQoS",
            "metadata": {
                "name": name,
                "namespace": f"ns-{namespace}",
                "uid": uid(f"networkqos/ns-{namespace}/{name}"),
                "resourceVersion": "1",
                "generation": 1,
            },
            "spec": {
                "priority": 50 if size.shared else next(priorities[namespace]),
                "podSelector": _labelled("app", [f"app-{one}" for one in range(app, app + 1 + size.shared)]),
                "egress": egress,
            },
        }


def _destination_kinds(size: Size, rng: random.Random) -> Iterator[DestinationKind]:
    total = size.policies * size.rules
    selecting = total - total // 2
    own, only = round(selecting * 0.6), max(1, round(selecting * 0.05))
    counts: dict[DestinationKind, int] = {
        "ip-block": total // 2,
        "own-namespace": own,
        "namespace-and-pod": selecting - own - only,
        "namespace-only": only,
    }
    kinds = [kind for kind, count in counts.items() for _ in range(count)]
    rng.shuffle(kinds)
    return iter(kinds)


def _rule(to: list[Document], rng: random.Random) -> Document:
    classifier: Document = {"to": to}
    if rng.random() < 1 / 3:
        chosen = rng.sample(PORTS, rng.randint(1, 2))
        classifier["ports"] = [{"protocol": protocol, "port": port} for protocol, port in chosen]
    rule: Document = {"dscp": rng.randint(0, 63), "classifier": classifier}
    if rng.random() < 0.5:
        rule["bandwidth"] = {"rate": rng.choice(RATES_KBPS)}
        if rng.random() < 0.5:
            rule["bandwidth"]["burst"] = rule["bandwidth"]["rate"]
    return rule


def _destination(kind: DestinationKind, size: Size, rng: random.Random, namespace: int) -> Document:
    if kind == "ip-block":
        return _ip_block(rng)
    if kind == "own-namespace":
        return {"podSelector": _pod_selector(size, rng)}
    if kind == "namespace-and-pod":
        teams = [f"team-{team}" for team in rng.sample(range(size.teams), min(size.teams, rng.randint(1, 2)))]
        return {"namespaceSelector": _labelled("team", teams), "podSelector": _pod_selector(size, rng)}
    if rng.random() < 0.5:
        return {"namespaceSelector": _labelled("kubernetes.io/metadata.name", [f"ns-{rng.randrange(size.namespaces)}"])}
    return {"namespaceSelector": _labelled("team", [f"team-{namespace % size.teams}"])}


def _pod_selector(size: Size, rng: random.Random) -> Document:
    if rng.random() < 0.5:
        return _labelled("tier", rng.sample(TIERS, rng.randint(1, 2)))
    return _labelled("app", [f"app-{app}" for app in rng.sample(range(size.apps), rng.randint(1, 3))])


def _labelled(key: str, values: list[str]) -> Document:
    if len(values) == 1:
        return {"matchLabels": {key: values[0]}}
    return {"matchExpressions": [{"key": key, "operator": "In", "values": sorted(values)}]}


def _ip_block(rng: random.Random) -> Document:
    count = rng.randint(1, 4)
    if rng.random() < 0.5:
        excluded = rng.sample(OUTSIDE_RANGES, count)
        return {"ipBlock": {"cidr": "0.0.0.0/0", "except": excluded}}
    second = rng.randrange(128)  # the cluster's own addresses are 10.128.0.0/9
    thirds = rng.sample(range(256), count)
    excluded = [
        f"10.{second}.{third}.0/24" if rng.random() < 0.5 else f"10.{second}.{third}.{rng.randrange(256)}/32"
        for third in thirds
    ]
    return {"ipBlock": {"cidr": f"10.{second}.0.0/16", "except": excluded}}


def _ip_block_v6(rng: random.Random) -> Document:
    site = rng.randrange(1 << 16)
    excluded = [f"2001:db8:{site:x}:{subnet:x}::/64" for subnet in rng.sample(range(1, 1 << 16), rng.randint(1, 4))]
    return {"ipBlock": {"cidr": f"2001:db8:{site:x}::/48", "except": excluded}}
