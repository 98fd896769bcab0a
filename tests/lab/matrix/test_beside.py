"""The traffic matrix, beside others: rows of EgressQoS and another tenant's, packets to groups, fragments."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import pytest

from ovnqos.sandbox import Marks, Probe, read_marks
from tests.lab.support_cluster import network_qos, rule, udp_ports
from tests.lab.support_flood import flood
from tests.lab.support_matrix import LIMITED, Matrix, expected_marks, probe, whole
from tests.lab.support_networks import (
    DEFAULT_NETWORK,
    NETWORKS,
    OTHER_NODE,
    OUTSIDE,
    OWN,
    SAME_NODE,
    VERSIONS,
    MatrixNetwork,
)
from tests.lab.support_pod_qos import BURST, limits
from tests.lab.support_rates import BURST_KBIT, OFFERED, limit, limited_rule, measure_rates, udp_stream
from tests.lab.support_report import EGRESS_QOS, FRAGMENTS, MULTICAST, ONE_PACKET_SERVICE
from tests.lab.support_results import Cell, MarkResult, RateResult, Results

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.lab.support_flood import Copies

DSCP, EGRESS_QOS_DSCP = 20, 30
RATE_KBPS = 2000
PORT: Final = 6900
_GROUPS: Final = {4: "239.1.1.{}", 6: "ff0e::{}"}
"""A group for each network: both localnet networks are on one wire."""
_TENANT: Final = "matrix-friends/stranger-near"
"""Another tenant's pod on the sender's node, which gets an ingress limit."""
_CELLS: Final = [(place, version) for place in DEFAULT_NETWORK.places for version in VERSIONS]
_VIRTUAL: Final = {4: "10.96.1.{}", 6: "fd00:10:96:1::{}"}


@pytest.fixture
def limited_tenant(matrix: Matrix) -> Iterator[None]:
    """Another tenant's pod on the sender's node has an ingress limit."""
    pod, labels = matrix.cluster.pods[_TENANT], {"role": "other"}
    matrix.cluster.show_pod(pod, labels, limits(ingress="3M", burst=BURST))
    yield
    matrix.cluster.show_pod(pod, labels)


@contextmanager
def _egress_qos(matrix: Matrix) -> Iterator[None]:
    """The rows by which ovn-kubernetes' EgressQoS marks what the sender's node sends of this pod."""
    central, sender = matrix.cluster.sandbox.central, matrix.sender("sender")
    switch = sender.attachment(DEFAULT_NETWORK.key).switch
    matches = [f"ip{one}.src == {sender.address_on(DEFAULT_NETWORK.key, version=one)}" for one in VERSIONS]
    for match in matches:
        central.nbctl("qos-add", switch, "to-lport", "1000", match, f"dscp={EGRESS_QOS_DSCP}")
    try:
        yield
    finally:
        for match in matches:
            central.nbctl("qos-del", switch, "to-lport", "1000", match)


def _cell(network: MatrixNetwork, place: str, version: int, scene: str, outcome: str) -> Cell:
    return Cell(network=network.title, place=place, version=version, scene=scene, sent="UDP", outcome=outcome)


@pytest.mark.usefixtures("limited_tenant")
def test_beside_egress_qos_and_anothers_limit_mark_and_rate_hold(matrix: Matrix, results: Results) -> None:
    sender = matrix.sender("sender")
    rules = [limited_rule(DSCP, PORT + number, RATE_KBPS) for number in range(len(_CELLS))]
    with _egress_qos(matrix):
        matrix.cluster.apply(network_qos("gold", rules, namespace=OWN, pods=LIMITED))
        targets = [matrix.target(DEFAULT_NETWORK, place, version) for place, version in _CELLS]
        streams = [
            udp_stream(sender, to, port=PORT + number, offered_kbps=OFFERED * RATE_KBPS)
            for number, to in enumerate(targets)
        ]
        rates = measure_rates(matrix.cluster.sandbox, streams)
        marks = [
            read_marks(matrix.cluster.sandbox, probe(sender, to, "udp", PORT + number))
            for number, to in enumerate(targets)
        ]
    results.check_marks(
        MarkResult(
            cell=_cell(DEFAULT_NETWORK, place, version, EGRESS_QOS, f"mark {DSCP}"),
            expected=expected_marks(DSCP, place),
            seen=seen,
        )
        for (place, version), seen in zip(_CELLS, marks, strict=True)
    )
    results.check_rates(
        RateResult(
            cell=_cell(DEFAULT_NETWORK, place, version, EGRESS_QOS, "its rate"),
            expected=limit(RATE_KBPS),
            seen=one.bits_per_second,
        )
        for (place, version), one in zip(_CELLS, rates, strict=True)
    )


@pytest.mark.usefixtures("limited_tenant")
def test_flows_of_one_packet_through_a_service_are_marked_beside_anothers_limit(
    matrix: Matrix, results: Results
) -> None:
    to = [{"podSelector": {"matchLabels": {"role": "target"}}}]
    rules = [rule(DSCP, {"to": to, "ports": udp_ports(PORT)})]
    selected = [DEFAULT_NETWORK.selector]
    matrix.cluster.apply(network_qos("gold", rules, namespace=OWN, pods=LIMITED, networks=selected))
    sandbox, sender = matrix.cluster.sandbox, matrix.sender("sender")
    found = []
    for number, (place, version) in enumerate(_CELLS):
        if place not in {SAME_NODE, OTHER_NODE}:
            continue
        backend, address = matrix.target(DEFAULT_NETWORK, place, version), _VIRTUAL[version].format(10 + number)
        sandbox.add_service("beside", address=address, port=PORT, backends=[backend.address])
        asked = Probe(
            sender=sender,
            receiver=backend.receiver,
            address=address,
            balanced_to=backend.address,
            protocol="udp",
            port=PORT,
        )
        try:
            seen = read_marks(sandbox, asked)
        finally:
            sandbox.remove_service("beside")
        where = _cell(DEFAULT_NETWORK, place, version, ONE_PACKET_SERVICE, f"mark {DSCP}")
        found.append(MarkResult(cell=where, expected=expected_marks(DSCP, place), seen=seen))
    results.check_marks(found)


@pytest.mark.alone  # up to eighteen floods of one pod at once
@pytest.mark.pairwise
@pytest.mark.parametrize("version", VERSIONS, ids=["IPv4", "IPv6"])
@pytest.mark.parametrize("scene", [MULTICAST, FRAGMENTS])
def test_multicast_and_fragments_are_marked_and_metered_once_on_every_network(
    matrix: Matrix, results: Results, scene: str, version: int
) -> None:
    floods = (_multicast if scene == MULTICAST else _fragments)(matrix, version)
    _check_floods(results, version, scene, matrix, list(floods))


_Flood = tuple[MatrixNetwork, dict[str, Any]]


def _multicast(matrix: Matrix, version: int) -> Iterator[_Flood]:
    """A group of each network, whose packets no router passes on."""
    rules = [limited_rule(DSCP, PORT, RATE_KBPS)]
    matrix.cluster.apply(network_qos("gold", rules, namespace=OWN, pods=LIMITED))
    sender = matrix.sender("sender")
    for number, network in enumerate(NETWORKS, start=1):
        if network.title.startswith("layer3"):
            places: Sequence[str] = [SAME_NODE]
        else:
            places = [place for place in network.places if place != OUTSIDE or network.title.startswith("localnet")]
        targets = {place: matrix.target(network, place, version) for place in places}
        receivers = {place: (to.receiver, to.receiver.receives_on(to.address)) for place, to in targets.items()}
        address = _GROUPS[version].format(number)
        yield network, {"address": address, "receivers": receivers, "interface": sender.interface_on(network.key)}


def _fragments(matrix: Matrix, version: int) -> Iterator[_Flood]:
    """Datagrams of two fragments to each receiver, by a rule for it that names their port."""
    policies, floods = [], []
    for network in NETWORKS:
        rules = []
        for place in network.places:
            to = matrix.target(network, place, version)
            blocks = [{"ipBlock": {"cidr": cidr}} for cidr in whole([to.address])]
            limited: dict[str, Any] = {"to": blocks, "ports": udp_ports(PORT)}
            rules.append(rule(DSCP, limited, rate_kbps=RATE_KBPS, burst_kbit=BURST_KBIT))
            receivers = {place: (to.receiver, to.receiver.receives_on(to.address))}
            floods.append((network, {"address": to.address, "receivers": receivers, "fragmented": True}))
        name = network.key.replace("/", "-")
        policies.append(network_qos(name, rules, namespace=OWN, pods=LIMITED, networks=[network.selector]))
    matrix.cluster.apply(*policies)
    yield from floods


def _check_floods(results: Results, version: int, scene: str, matrix: Matrix, floods: Sequence[_Flood]) -> None:
    """Check mark and rate of floods, each with a limit of its own, all at once."""
    sender = matrix.sender("sender")

    def run(arguments: dict[str, Any]) -> dict[str, Copies]:
        return flood(sender, arguments.pop("address"), port=PORT, offered=OFFERED * RATE_KBPS * 1000, **arguments)

    with ThreadPoolExecutor(len(floods)) as pool:
        copies = list(pool.map(run, (arguments for _, arguments in floods)))
    seen = [
        (_cell(network, place, version, scene, "metered once"), one)
        for (network, _), found in zip(floods, copies, strict=True)
        for place, one in found.items()
    ]
    expected = Marks(received=frozenset([DSCP << 2]), wire=frozenset())
    results.check_marks(
        MarkResult(cell=where, expected=expected, seen=Marks(received=one.marks, wire=frozenset()))
        for where, one in seen
    )
    results.check_rates(
        RateResult(cell=where, expected=limit(RATE_KBPS), seen=one.bits_per_second) for where, one in seen
    )
