"""Addresses that annotations give to pods and the Northbound does not: stale ones, or forged ones.

The Northbound is the witness: a pod's logical switch port goes by the pod's name, and only the network plugin gives it
addresses. Destinations of policies are what annotations say; so what differs is told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovnqos.compile.rows import POD_KIND
from ovnqos.diagnostics import Code, Diagnostic, ObjectRef, listed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovnqos.compile.inventory import Inventory
    from ovnqos.plan.snapshot import Snapshot


def describe_address_claims(inventory: Inventory, snapshot: Snapshot) -> Iterator[Diagnostic]:
    """Say which pods' annotations give them an IP or MAC address that their logical switch port does not have.

    Ports that the Northbound does not have, or of which it knows no address, are left out; so are all where the
    snapshot was taken without addresses.
    """
    holders = snapshot.addresses or {}
    known = frozenset().union(*holders.values())
    for record in inventory.all_pods():
        for interface in record.interfaces:
            if interface.port not in known:
                continue
            given = (*interface.addresses, *([interface.mac] if interface.mac else []))
            wrong = [one for one in given if interface.port not in holders.get(one, ())]
            if not wrong:
                continue
            others = sorted({port for one in wrong for port in holders.get(one, ())})
            text = f"the annotation says {listed(wrong)}, which port {interface.port} does not have" + (
                f"; port {listed(others)} has it" if others else ""
            )
            hint = "restore what the network plugin wrote: rules for packets to this pod take those to that address"
            ref = ObjectRef(kind=POD_KIND, namespace=record.pod.namespace, name=record.pod.name)
            yield Diagnostic.warning(ref, Code.ADDRESS_CLAIMED, text, path="metadata.annotations", hint=hint)
