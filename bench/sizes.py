"""How large the generated clusters are, and how their pods and objects are dealt out to namespaces."""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass

TIERS = ("frontend", "backend", "cache", "database")
"""Values of the pods' label `tier`; an app has one."""

PODS_PER_NAMESPACE = 50
NAMESPACES_PER_TEAM = 5
APPS_WITHOUT_POLICY = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How large a cluster is.

    Attributes:
        name: part of the seed, so that two sizes differ in more than their length.
        pods: pods in the cluster.
        policies: NetworkQoS objects.
        rules: egress rules an object.
        nodes: nodes in the cluster.
        shared: whether the objects of a namespace have one priority, and each source pod is one of two objects.
    """

    name: str
    pods: int
    policies: int
    rules: int
    nodes: int
    shared: bool = False

    @property
    def namespaces(self) -> int:
        """Number of namespaces."""
        return max(2, self.pods // PODS_PER_NAMESPACE)

    @property
    def teams(self) -> int:
        """Number of teams that the namespaces belong to."""
        return max(1, self.namespaces // NAMESPACES_PER_TEAM)

    @property
    def apps(self) -> int:
        """Number of apps a namespace: one for each of its objects, and some that no object selects as a source."""
        return -(-self.policies // self.namespaces) + APPS_WITHOUT_POLICY


SIZES = {
    size.name: size
    for size in (
        Size(name="S", pods=100, policies=10, rules=2, nodes=5),
        Size(name="M", pods=1_000, policies=100, rules=5, nodes=20),
        Size(name="E", pods=1_000, policies=100, rules=5, nodes=20, shared=True),
        Size(name="L", pods=5_000, policies=1_000, rules=5, nodes=50),
        Size(name="XL", pods=50_000, policies=5_000, rules=5, nodes=500),
    )
}


def random_stream(purpose: str, size: Size, seed: int) -> random.Random:
    """Return a stream of numbers of its own for each purpose, so that one does not shift another."""
    return random.Random(f"{purpose}/{size.name}/{seed}")  # a string is hashed by SHA-512: stable across versions


def uid(name: str) -> str:
    """Return the metadata.uid of the object of that name."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, name))
