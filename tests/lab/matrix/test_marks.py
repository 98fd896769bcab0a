"""The traffic matrix, marks: which packets carry a rule's mark, at the receiver and on the wire, and which none.

`make matrix` measures every cell on every OVN. For a change, cells are chosen so that each pair of OVN, network,
packets of a classifier, place and IP version is measured once at least.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import pytest

from ovnqos.diagnostics import Code
from tests.lab.support_cluster import network_qos, rule, udp_ports
from tests.lab.support_matrix import LIMITED, Matrix, all_marks, expected_marks, has_destination, probe, whole
from tests.lab.support_networks import (
    DEFAULT_NETWORK,
    NETWORKS,
    OTHER_NODE,
    OUTSIDE,
    OWN,
    PRIMARY_LAYER2,
    SAME_NODE,
    VERSIONS,
    MatrixNetwork,
)
from tests.lab.support_ovn import OVN, WHOLE_MATRIX
from tests.lab.support_results import UNTOUCHED, Cell, MarkResult, Results
from tests.support.pairwise import pairwise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.lab.support_cluster import Document

DSCP = 20
EVERYWHERE: Final = (SAME_NODE, OTHER_NODE, OUTSIDE)
PODS: Final = (SAME_NODE, OTHER_NODE)
NOWHERE: Final = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Packets:
    """What is sent to one kind of receiver at every place; at which places and of which families a rule matches it.

    `by_selector`: it matches because pods are selected as destinations, which takes addresses that OVN knows.
    """

    to: str = "target"
    protocol: Literal["icmp", "udp", "tcp"] = "udp"
    port: int = 5000
    sender: str = "sender"
    matched: tuple[str, ...]
    families: tuple[int, ...] = VERSIONS
    by_selector: bool = False

    def matches(self, network: MatrixNetwork, place: str, version: int) -> bool:
        """Whether the rule matches them there."""
        known = network.has_ipam or not self.by_selector
        return place in self.matched and version in self.families and known

    def __str__(self) -> str:
        port = "" if self.protocol == "icmp" else f" {self.port}"
        return f"{self.protocol}{port} from {self.sender} to {self.to}"


ClassifierOf: TypeAlias = Callable[[Matrix, MatrixNetwork], "Document | None"]


def _blocks(matrix: Matrix, network: MatrixNetwork, kind: str, versions: tuple[int, ...] = VERSIONS) -> list[Document]:
    return [
        {"ipBlock": {"cidr": cidr}} for version in versions for cidr in whole(matrix.addresses(network, kind, version))
    ]


def _block_with_except(matrix: Matrix, network: MatrixNetwork) -> Document:
    entries = [
        {"ipBlock": {"cidr": everything, "except": whole(matrix.addresses(network, "other", version))}}
        for version, everything in ((4, "0.0.0.0/0"), (6, "::/0"))
    ]
    return {"to": entries}


def _from(matrix: Matrix, network: MatrixNetwork) -> Document:
    sender = matrix.sender("sender")
    addresses = (sender.address_on(network.key, version=version) for version in VERSIONS)
    return {"from": [{"ipBlock": {"cidr": cidr}} for cidr in whole(addresses)]}


def _union(matrix: Matrix, network: MatrixNetwork) -> Document:
    return {"to": [*_blocks(matrix, network, "target"), {"podSelector": {"matchLabels": {"role": "other"}}}]}


def _union_of_unlike_families(matrix: Matrix, network: MatrixNetwork) -> Document:
    return {"to": [*_blocks(matrix, network, "target", (4,)), {"podSelector": {"matchLabels": {"role": "other"}}}]}


def _all_three(matrix: Matrix, network: MatrixNetwork) -> Document:
    return {"to": _blocks(matrix, network, "target"), **_from(matrix, network), "ports": udp_ports(5000)}


def _written(classifier: Document | None) -> ClassifierOf:
    return lambda matrix, network: classifier


_ROLE_TARGET: Final = {"matchLabels": {"role": "target"}}
_FRIENDS: Final = {"matchLabels": {"team": "friends"}}

CLASSIFIERS: Final[dict[str, tuple[ClassifierOf, tuple[Packets, ...]]]] = {
    "none": (
        _written(None),
        (
            Packets(protocol="udp", matched=EVERYWHERE),
            Packets(protocol="tcp", matched=EVERYWHERE),
            Packets(protocol="icmp", matched=EVERYWHERE),
            Packets(sender="bystander", matched=NOWHERE),
        ),
    ),
    "ipBlock with except": (
        _block_with_except,
        (Packets(matched=EVERYWHERE), Packets(to="other", matched=NOWHERE), Packets(to="friend", matched=EVERYWHERE)),
    ),
    "ipBlocks of IPv4, and podSelector": (
        _union_of_unlike_families,
        (
            Packets(to="target", matched=EVERYWHERE, families=(4,)),
            Packets(to="other", matched=PODS, by_selector=True),
            Packets(to="friend", matched=NOWHERE),
        ),
    ),
    "podSelector": (
        _written({"to": [{"podSelector": _ROLE_TARGET}]}),
        (
            Packets(matched=PODS, by_selector=True),
            Packets(to="other", matched=NOWHERE),
            Packets(to="friend", matched=NOWHERE),
        ),
    ),
    "namespaceSelector": (
        _written({"to": [{"namespaceSelector": _FRIENDS}]}),
        (
            Packets(to="friend", matched=PODS, by_selector=True),
            Packets(to="stranger", matched=PODS, by_selector=True),
            Packets(to="target", matched=NOWHERE),
        ),
    ),
    "namespaceSelector and podSelector": (
        _written({"to": [{"namespaceSelector": _FRIENDS, "podSelector": _ROLE_TARGET}]}),
        (
            Packets(to="friend", matched=PODS, by_selector=True),
            Packets(to="stranger", matched=NOWHERE),
            Packets(to="target", matched=NOWHERE),
        ),
    ),
    "ports: TCP 8080": (
        _written({"ports": [{"protocol": "TCP", "port": 8080}]}),
        (
            Packets(protocol="tcp", port=8080, matched=EVERYWHERE),
            Packets(protocol="tcp", port=8081, matched=NOWHERE),
            Packets(protocol="udp", port=8080, matched=NOWHERE),
        ),
    ),
    "ports: UDP 5000": (
        _written({"ports": udp_ports(5000)}),
        (
            Packets(protocol="udp", port=5000, matched=EVERYWHERE),
            Packets(protocol="udp", port=5001, matched=NOWHERE),
            Packets(protocol="tcp", port=5000, matched=NOWHERE),
        ),
    ),
    "ports: UDP 5000 to 5009": (
        _written({"ports": [{"protocol": "UDP", "port": 5000, "endPort": 5009}]}),
        (
            Packets(protocol="udp", port=5000, matched=EVERYWHERE),
            Packets(protocol="udp", port=5009, matched=EVERYWHERE),
            Packets(protocol="udp", port=4999, matched=NOWHERE),
            Packets(protocol="udp", port=5010, matched=NOWHERE),
            Packets(protocol="tcp", port=5005, matched=NOWHERE),
        ),
    ),
    "ports: 7000, no protocol": (
        _written({"ports": [{"port": 7000}]}),
        (
            Packets(protocol="tcp", port=7000, matched=EVERYWHERE),
            Packets(protocol="udp", port=7000, matched=EVERYWHERE),
            Packets(protocol="udp", port=7001, matched=NOWHERE),
            Packets(protocol="icmp", matched=NOWHERE),
        ),
    ),
    "ports: UDP, no port": (
        _written({"ports": [{"protocol": "UDP"}]}),
        (
            Packets(protocol="udp", port=5000, matched=EVERYWHERE),
            Packets(protocol="udp", port=9000, matched=EVERYWHERE),
            Packets(protocol="tcp", port=5000, matched=NOWHERE),
            Packets(protocol="icmp", matched=NOWHERE),
        ),
    ),
    "from": (
        _from,
        (Packets(matched=EVERYWHERE), Packets(sender="second", matched=NOWHERE)),
    ),
    "union of ipBlocks and podSelector": (
        _union,
        (
            Packets(to="target", matched=EVERYWHERE),
            Packets(to="other", matched=PODS, by_selector=True),
            Packets(to="friend", matched=NOWHERE),
        ),
    ),
    "to, from and ports": (
        _all_three,
        (
            Packets(matched=EVERYWHERE),
            Packets(to="other", matched=NOWHERE),
            Packets(sender="second", matched=NOWHERE),
            Packets(port=5001, matched=NOWHERE),
        ),
    ),
}


_ATTACHMENTS: Final = {
    "networkSelectionType": "NetworkAttachmentDefinitions",
    "networkAttachmentDefinitionSelector": {"namespaceSelector": {}, "networkSelector": {}},
}


def _names(networks: tuple[MatrixNetwork, ...] | None) -> str:
    return "absent" if networks is None else "all" if networks == NETWORKS else networks[0].title


Where: TypeAlias = tuple[str, int, Packets]
"""Of a network: place, IP version, and what is sent."""


def _chosen() -> dict[tuple[str, str, str], list[Where]]:
    """The cells to measure, by OVN, title of the network and classifier."""
    cells = [
        (ovn, network.title, (classifier, number), place, version)
        for ovn in OVN
        for network in NETWORKS
        for classifier, (_, sent) in CLASSIFIERS.items()
        for number, packets in enumerate(sent)
        for place in network.places
        for version in VERSIONS
        if has_destination(network, place, packets.to, version)
    ]
    chosen: dict[tuple[str, str, str], list[Where]] = {}
    for ovn, title, (classifier, number), place, version in cells if WHOLE_MATRIX else pairwise(cells):
        packets = CLASSIFIERS[classifier][1][number]
        chosen.setdefault((ovn, title, classifier), []).append((place, version, packets))
    return chosen


CHOSEN: Final = _chosen()


@pytest.mark.ovn_of_its_own
@pytest.mark.parametrize(("programs", "title", "classifier"), CHOSEN, indirect=["programs"], scope="session")
def test_exactly_the_matched_packets_are_marked(
    matrix: Matrix, results: Results, title: str, classifier: str, request: pytest.FixtureRequest
) -> None:
    (network,) = (one for one in NETWORKS if one.title == title)
    classifier_of, _ = CLASSIFIERS[classifier]
    written = classifier_of(matrix, network)
    selects_pods = any("ipBlock" not in peer for peer in (written or {}).get("to", ()))
    policy = network_qos("marks", [rule(DSCP, written)], namespace=OWN, pods=LIMITED, networks=[network.selector])
    matrix.cluster.apply(policy, expected=Code.NO_POD_ADDRESSES if selects_pods and not network.has_ipam else None)
    cells = CHOSEN[request.node.callspec.params["programs"], title, classifier]
    results.check_marks(_measure(matrix, classifier, [(network, where) for where in cells]))


def _measure(matrix: Matrix, scene: str, cells: Sequence[tuple[MatrixNetwork, Where]]) -> list[MarkResult]:
    probes = [
        probe(
            matrix.sender(packets.sender),
            matrix.destination(network, place, packets.to, version),
            packets.protocol,
            packets.port,
        )
        for network, (place, version, packets) in cells
    ]
    found = []
    for (network, (place, version, packets)), seen in zip(
        cells, all_marks(matrix.cluster.sandbox, probes), strict=True
    ):
        matched = packets.matches(network, place, version)
        cell = Cell(
            network=network.title,
            place=place,
            version=version,
            scene=scene,
            sent=str(packets),
            outcome="marked" if matched else UNTOUCHED,
        )
        found.append(MarkResult(cell=cell, expected=expected_marks(DSCP if matched else 0, place), seen=seen))
    return found


@pytest.mark.parametrize("selected", [(network,) for network in NETWORKS] + [NETWORKS, None], ids=_names)
def test_only_selected_networks_are_marked(
    matrix: Matrix, results: Results, selected: tuple[MatrixNetwork, ...] | None
) -> None:
    selectors = None if selected is None else [network.selector for network in selected]
    if selected == NETWORKS:  # as entries of their own they are too many
        selectors = [DEFAULT_NETWORK.selector, PRIMARY_LAYER2.selector, _ATTACHMENTS]
    matrix.cluster.apply(network_qos("marks", [rule(DSCP)], namespace=OWN, pods=LIMITED, networks=selectors))
    scene = f"networkSelectors: {_names(selected)}"
    marked = NETWORKS if selected is None else selected
    cells = [
        (network, (OTHER_NODE, version, Packets(matched=PODS if network in marked else NOWHERE)))
        for network in NETWORKS
        for version in VERSIONS
    ]
    results.check_marks(_measure(matrix, scene, cells))


def test_a_removed_policy_marks_nothing(matrix: Matrix, results: Results) -> None:
    matrix.cluster.apply(network_qos("marks", [rule(DSCP)], namespace=OWN, pods=LIMITED))
    matrix.cluster.withdraw()
    unmarked = Packets(matched=NOWHERE)
    cells = [(network, (OTHER_NODE, version, unmarked)) for network in NETWORKS for version in VERSIONS]
    results.check_marks(_measure(matrix, "removed", cells))
