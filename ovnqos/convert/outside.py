"""Which packets a classifier takes, as far as pod annotations can say it: all, or those that leave the cluster."""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING

from netaddr import IPNetwork, IPSet, cidr_merge

from ovnqos.model.policy import Classifier, IPBlock

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_EVERYTHING = {4: "0.0.0.0/0", 6: "::/0"}


class Reach(Enum):
    """The packets of a pod that something is for."""

    ALL = auto()
    OUTSIDE = auto()


def outside_blocks(cluster_cidrs: Iterable[IPNetwork]) -> tuple[IPBlock, ...]:
    """The addresses outside the cluster: a block for each IP version, less the cluster's; none if nothing is left."""
    cidrs = tuple(cluster_cidrs)
    blocks = []
    for version, text in _EVERYTHING.items():
        everything = IPNetwork(text)
        inside = tuple(cidr_merge([cidr for cidr in cidrs if cidr.version == version]))
        if everything not in inside:
            blocks.append(IPBlock(cidr=everything, excluded=inside))
    return tuple(blocks)


def reach_of(classifier: Classifier, cluster_cidrs: Sequence[IPNetwork]) -> Reach | None:
    """What a classifier takes; None when it is neither of the two. Without CIDRs nothing is known to be outside."""
    if classifier.ports is not None or classifier.sources is not None:
        return None
    if classifier.destinations is None:
        return Reach.ALL
    blocks = [peer for peer in classifier.destinations if isinstance(peer, IPBlock)]
    if len(blocks) < len(classifier.destinations):
        return None
    taken = _addresses(blocks)
    if taken == _addresses(outside_blocks(())):
        return Reach.ALL
    if cluster_cidrs and blocks and taken == _addresses(outside_blocks(cluster_cidrs)):
        return Reach.OUTSIDE
    return None


def may_stay_inside(classifier: Classifier, cluster_cidrs: Sequence[IPNetwork]) -> bool:
    """Whether a classifier may take packets to destinations in the cluster; without its CIDRs any may."""
    if classifier.destinations is None or not cluster_cidrs:
        return True
    return any(
        not isinstance(peer, IPBlock) or any(_meet(peer, cidr) for cidr in cluster_cidrs)
        for peer in classifier.destinations
    )


def _meet(block: IPBlock, cidr: IPNetwork) -> bool:
    return (cidr in block.cidr or block.cidr in cidr) and not any(cidr in excluded for excluded in block.excluded)


def _addresses(blocks: Iterable[IPBlock]) -> IPSet:
    taken = IPSet()
    for block in blocks:
        taken |= IPSet([block.cidr]) - IPSet(block.excluded)
    return taken
