"""Rows of the lower level, and a Northbound for them that others use too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ovnqos import AddressSet, DesiredState, Direction, Northbound, PortGroup, QosRow, match, plan_changes
from tests.functional.support_database import add_row, add_set, as_map, dump, owned, wanted, wire
from tests.functional.support_states import OTHERS, OURS

if TYPE_CHECKING:
    from ovnqos.sandbox import NorthboundServer


SENDERS = PortGroup(name="senders", ports=frozenset({"vm1", "vm2"}))
SERVERS = AddressSet.of("servers_v4", ["203.0.113.0/24"])


def row(identity: str = "web", **changes: Any) -> QosRow:
    given: dict[str, Any] = {
        "switches": frozenset({"lan"}),
        "direction": Direction.TO_LPORT,
        "priority": 2000,
        "match": match.inport.in_group("senders") & match.ip4.dst.in_set("servers_v4"),
        "dscp": 10,
        "rate_kbps": 5000,
        "burst_kbit": 400,
        **changes,
    }
    return QosRow(identity=identity, **given)


def state(*rows: QosRow, senders: PortGroup = SENDERS, servers: AddressSet = SERVERS) -> DesiredState:
    return DesiredState.of(rows=rows or [row()], port_groups=[senders], address_sets=[servers])


def inhabit(server: NorthboundServer) -> NorthboundServer:
    """Makes switches `lan` and `wan`, ports `vm1` to `vm4`, and rows and a set of others."""
    wire(server, ["lan", "wan"], ["vm1", "vm2", "vm3", "vm4"])
    for number, other in enumerate(OTHERS):
        add_row(server, ["lan", "wan"][: 1 + number % 2], **other)
    add_set(server, "Address_Set", name="a1234", addresses={"10.0.0.1"}, external_ids={"k8s.ovn.org/id": "x"})
    return server


def make(client: Northbound, desired: DesiredState) -> None:
    client.refresh()
    client.apply(plan_changes(desired, client.snapshot()))


def our_rows(server: NorthboundServer) -> dict[str, dict[str, Any]]:
    """Our QoS rows by uuid."""
    return {uuid: found for uuid, found in dump(server)["QoS"].items() if OURS.owns(as_map(found["external_ids"]))}


def assert_as_wanted(server: NorthboundServer, desired: DesiredState) -> None:
    found = dump(server)
    assert owned(found, OURS) == wanted(desired, OURS, found)


def objects(count: int, dscp: int = 10) -> DesiredState:
    """Objects of three rows each, with a set of addresses of their own."""
    return DesiredState.of(
        rows=[
            row(
                f"{number}/{rule}",
                priority=100 + rule,
                dscp=dscp,
                match=match.inport.in_group("senders") & match.ip4.dst.in_set(f"to{number}"),
                external_ids={"ovnqos.io/object": f"NetworkQoS/shop/o{number}"},
            )
            for number in range(count)
            for rule in range(3)
        ],
        port_groups=[SENDERS],
        address_sets=[AddressSet.of(f"to{number}", [f"10.0.{number}.0/24"]) for number in range(count)],
    )
