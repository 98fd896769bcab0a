"""The traffic matrix, floods: a packet that a flat network copies to many ports is metered once all the same.

It decides the direction of rows on these networks: from-lport sees the packet as it enters, to-lport each copy as it
leaves, and all copies draw on one meter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from ovnqos import DesiredState, Direction, QosRow
from ovnqos import match as m
from ovnqos.sandbox import Marks
from tests.lab.support_cluster import network_qos
from tests.lab.support_flood import flood
from tests.lab.support_matrix import LIMITED
from tests.lab.support_networks import (
    LAYER2_ATTACHMENT,
    LOCALNET,
    OTHER_NODE,
    OUTSIDE,
    OWN,
    SAME_NODE,
    MatrixNetwork,
)
from tests.lab.support_rates import OFFERED, limit, limited_rule
from tests.lab.support_results import Cell, MarkResult, RateResult

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.lab.support_flood import Copies
    from tests.lab.support_matrix import Matrix
    from tests.lab.support_results import Results

DSCP = 20
RATE_KBPS, BURST_KBIT = 2000, 500
PORT = 6800
NOBODY: Final = ("10.147.254.9", "0a:58:de:ad:be:ef")
"""An address on the localnet network, and a MAC address that no port has, so that OVN floods what goes there."""
_BROADCAST: Final = {LAYER2_ATTACHMENT.title: "10.146.255.255", LOCALNET.title: "10.147.255.255"}
FLOODED: Final = frozenset([DSCP << 2])


def _flood(matrix: Matrix, network: MatrixNetwork, address: str) -> dict[str, Copies]:
    receivers = {}
    for place in network.places:
        target = matrix.target(network, place, 4)
        receivers[place] = (target.receiver, target.receiver.receives_on(target.address))
    sender = matrix.sender("sender")
    return flood(sender, address, port=PORT, offered=OFFERED * RATE_KBPS * 1000, receivers=receivers)


def _check_metered_once(
    results: Results, network: MatrixNetwork, scene: str, copies: Mapping[str, Copies], places: tuple[str, ...]
) -> None:
    cells = {
        place: Cell(network=network.title, place=place, version=4, scene=scene, sent="UDP", outcome="metered once")
        for place in places
    }
    results.check_marks(
        MarkResult(
            cell=cells[place],
            expected=Marks(received=FLOODED, wire=frozenset()),
            seen=Marks(received=copies[place].marks, wire=frozenset()),
        )
        for place in places
    )
    results.check_rates(
        RateResult(cell=cells[place], expected=limit(RATE_KBPS, BURST_KBIT), seen=copies[place].bits_per_second)
        for place in places
    )


@pytest.mark.parametrize("network", [LAYER2_ATTACHMENT, LOCALNET], ids=lambda network: network.title)
def test_a_broadcast_is_marked_and_metered_once(matrix: Matrix, results: Results, network: MatrixNetwork) -> None:
    rules = [limited_rule(DSCP, PORT, RATE_KBPS, BURST_KBIT)]
    matrix.cluster.apply(network_qos("flood", rules, namespace=OWN, pods=LIMITED, networks=[network.selector]))
    copies = _flood(matrix, network, _BROADCAST[network.title])
    _check_metered_once(results, network, "a broadcast", copies, network.places)


def test_what_goes_to_an_unknown_mac_address_is_marked_and_metered_once(matrix: Matrix, results: Results) -> None:
    rules = [limited_rule(DSCP, PORT, RATE_KBPS, BURST_KBIT)]
    matrix.cluster.apply(network_qos("flood", rules, namespace=OWN, pods=LIMITED, networks=[LOCALNET.selector]))
    sender = matrix.sender("sender")
    address, mac = NOBODY
    sender.namespace.ip(f"neigh replace {address} lladdr {mac} dev {sender.interface_on(LOCALNET.key)}")
    copies = _flood(matrix, LOCALNET, address)
    assert copies[SAME_NODE].bits_per_second == copies[OTHER_NODE].bits_per_second == 0  # no port is told "unknown"
    _check_metered_once(results, LOCALNET, "an unknown MAC address", copies, (OUTSIDE,))


@pytest.mark.parametrize("direction", Direction)
def test_on_a_localnet_network_only_from_lport_meters_a_flood_once(
    matrix: Matrix, results: Results, direction: Direction
) -> None:
    attachment = matrix.sender("sender").attachment(LOCALNET.key)
    row = QosRow(
        switches=frozenset([attachment.switch]),
        direction=direction,
        priority=100,
        match=m.inport(attachment.port) & m.udp.dst.isin(PORT),
        dscp=DSCP,
        rate_kbps=RATE_KBPS,
        burst_kbit=BURST_KBIT,
    )
    matrix.cluster.apply_desired(DesiredState.of(rows=[row]))
    copies = _flood(matrix, LOCALNET, _BROADCAST[LOCALNET.title])
    if direction is Direction.FROM_LPORT:
        _check_metered_once(results, LOCALNET, "a broadcast, by a from-lport row", copies, LOCALNET.places)
    else:
        rates = {place: one.bits_per_second for place, one in copies.items()}
        assert min(rates.values()) < limit(RATE_KBPS, BURST_KBIT) / 2, rates
        shown = ", ".join(f"{place} {rate / 1e6:.2f}" for place, rate in rates.items())
        results.remarks.append(
            f"a broadcast on a localnet network, by a to-lport row of {RATE_KBPS / 1e3:g} Mbit/s: its copies share one "
            f"meter, Mbit/s {shown}"
        )
