"""What the input covers: a plan from a part of a cluster leaves the rest of the database as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovnqos.compile.compiled import PeerAddresses
from ovnqos.compile.inventory import NAMESPACE_NAME_LABEL
from ovnqos.compile.rows import InputScope
from ovnqos.errors import InvalidObject
from ovnqos.model.labels import LabelSelector

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ovnqos.compile.compiled import SetDescription
    from ovnqos.compile.inventory import Inventory
    from ovnqos.model.policy import NetworkQoS


def scope_of(
    inventory: Inventory,
    policies: Mapping[str, NetworkQoS],
    objects: Iterable[str],
    sets: Iterable[SetDescription],
) -> InputScope:
    """Find what the input covers, at the cost of a walk over the pods.

    Args:
        inventory: pods, namespaces and networks.
        policies: the valid policies, by key.
        objects: policies and pods beside those, whose present version is not valid.
        sets: the sets that are desired.
    """
    known = {*objects, *(f"NetworkQoS/{key}" for key in policies), *(f"Pod/{key}" for key in inventory.problems)}
    ports: set[str] = set()
    addresses: set[tuple[str, str]] = set()
    unlabelled: set[tuple[str, str]] = set()
    missing: set[str] = set()
    undeclared: dict[str, str] = {}
    unlabelled_ports: set[str] = set()
    by_labels = any(
        one.namespace_selector is not None and _needs_labels(one.namespace_selector)
        for policy in policies.values()
        for one in policy.network_selectors or ()
    )
    for record in inventory.all_pods():
        pod = record.pod
        known.add(f"Pod/{pod.key}")
        has_namespace = inventory.has_namespace(pod.namespace)
        if not has_namespace:
            missing.add(pod.namespace)
        for interface in record.interfaces:
            declared_by = inventory.topology.definition_key(interface.attachment)
            network = inventory.network_of(interface.attachment)
            if network is None and inventory.attachment(declared_by) is None:
                undeclared[interface.port] = declared_by
                continue
            if by_labels and not _is_labelled(interface.attachment, inventory):
                unlabelled_ports.add(interface.port)
                missing.add(declared_by.partition("/")[0])
            else:
                ports.add(interface.port)
            if network is not None:
                found = [(network.name, address) for address in interface.addresses]
                addresses.update(found)
                if not has_namespace:
                    unlabelled.update(found)
    finished: set[str] = set()
    for pod in inventory.pods_without_interfaces():
        known.add(f"Pod/{pod.key}")
        try:
            finished.update(interface.port for interface in inventory.topology.interfaces(pod))
        except InvalidObject:
            continue
    selections = [one.members.selection for one in sets if isinstance(one.members, PeerAddresses)]
    return InputScope(
        objects=frozenset(known),
        policies=bool(policies),
        pods=any(one.startswith("Pod/") for one in known),
        ports=frozenset(ports),
        finished_ports=frozenset(finished),
        addresses=frozenset(addresses),
        unlabelled_addresses=frozenset(unlabelled),
        missing_namespaces=tuple(sorted(missing)),
        unlabelled_sets=frozenset(
            one.name
            for one in sets
            if isinstance(one.members, PeerAddresses) and not _needs_labels(one.members.selection.namespaces)
        ),
        selects_namespaces=any(_needs_labels(one.namespaces) for one in selections),
        undeclared_ports=undeclared,
        unlabelled_ports=frozenset(unlabelled_ports),
        cluster_cidrs=bool(inventory.cluster_cidrs),
        all_nodes=inventory.topology.zone_nodes is None,
    )


def _is_labelled(attachment: str, inventory: Inventory) -> bool:
    """Whether the labels are known by which a policy may select the network behind an attachment."""
    if inventory.topology.is_default(attachment):
        return True
    return inventory.has_namespace(inventory.topology.definition_key(attachment).partition("/")[0])


def _needs_labels(namespaces: str | LabelSelector) -> bool:
    """Whether a selection depends on labels that only Namespace objects tell: not on their names alone."""
    return isinstance(namespaces, LabelSelector) and any(
        requirement.key != NAMESPACE_NAME_LABEL for requirement in namespaces.requirements
    )
