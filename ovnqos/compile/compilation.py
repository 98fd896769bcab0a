"""Compile all policies against an inventory: the desired state of a Northbound."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ovnqos.compile.compiled import CompileContext
from ovnqos.compile.native import compile_policy
from ovnqos.compile.pod_qos import compile_pod
from ovnqos.compile.rows import AddressSet, DesiredState, PortGroup
from ovnqos.compile.selections import QueriedSelections
from ovnqos.errors import Unsupported
from ovnqos.model.owner import Owner

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ovnqos.compile.inventory import Inventory
    from ovnqos.compile.rows import QosRow
    from ovnqos.compile.selections import Selections
    from ovnqos.compile.sets import SetDescription
    from ovnqos.model.policy import NetworkQoS


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A remark on an object that compiled: `subject` names it."""

    subject: str
    message: str

    def __str__(self) -> str:
        return f"{self.subject}: {self.message}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Compilation:
    """The outcome of compiling: what is wanted, and what could not be, object by object.

    Attributes:
        desired: the rows of all policies that compiled. Objects of `unsupported` are retained in it.
        unsupported: policies that ask for something that cannot be compiled.
        notes: remarks, sorted by object.
    """

    desired: DesiredState
    unsupported: tuple[Unsupported, ...]
    notes: tuple[Note, ...]


def compile_rows(
    policies: Iterable[NetworkQoS],
    inventory: Inventory,
    *,
    owner: Owner | None = None,
    retained: Iterable[str] = (),
) -> Compilation:
    """Compile policies, and the limits and marks of single pods, to rows.

    Args:
        policies: valid policies; their names are unique.
        inventory: the cluster's pods, namespaces and networks.
        owner: who the rows will belong to; part of the names of sets and groups. None: the default owner.
        retained: objects (`NetworkQoS/<namespace>/<name>`) whose present rows shall stay as they are.
    """
    context = CompileContext(inventory=inventory, selections=QueriedSelections(inventory), owner=owner or Owner())
    rows: dict[str, QosRow] = {}
    port_groups: dict[str, SetDescription] = {}
    address_sets: dict[str, SetDescription] = {}
    unsupported: list[Unsupported] = []
    kept = set(retained)
    notes = [
        Note(subject=str(one.object), message=one.message)
        for problem in inventory.problems
        for one in problem.diagnostics
    ]
    policies = sorted(policies, key=lambda policy: policy.key)
    for policy in policies:
        context.whole_traffic.replace(policy.key, policy)
    limited = {record.pod.key: compile_pod(record, context) for record in inventory.limited_pods()}
    for one in limited.values():
        context.port_limits.replace((), one.rows.values())
    for policy in policies:
        try:
            compiled = compile_policy(policy, context)
        except Unsupported as error:
            unsupported.append(error)
            kept.add(f"NetworkQoS/{policy.key}")
            continue
        rows.update(compiled.rows)
        port_groups.update(compiled.port_groups)
        address_sets.update(compiled.address_sets)
        notes.extend(Note(subject=f"NetworkQoS {policy.key}", message=message) for message in compiled.notes)
    notes.extend(_namespace_notes(inventory))
    for key, of_pod in limited.items():
        rows.update(of_pod.rows)
        address_sets.update(of_pod.address_sets)
        notes.extend(Note(subject=f"Pod {key}", message=message) for message in of_pod.notes)
    desired = DesiredState(
        rows=rows,
        port_groups={name: port_group(one, context.selections, inventory) for name, one in port_groups.items()},
        address_sets={name: address_set(one, context.selections, inventory) for name, one in address_sets.items()},
        retained=frozenset(kept),
    )
    return Compilation(desired=desired, unsupported=tuple(unsupported), notes=tuple(notes))


def _namespace_notes(inventory: Inventory) -> Iterator[Note]:
    for name, qos in sorted(inventory.limiting_namespaces().items()):
        for one in qos.diagnostics:
            yield Note(subject=f"Namespace {name}", message=one.message)


def port_group(
    described: SetDescription,
    selections: Selections,
    inventory: Inventory,
    candidates: frozenset[str] | None = None,
) -> PortGroup:
    """The port group with the members it has now: all, or those among the candidates."""
    return PortGroup(
        name=described.name,
        ports=_members(described, selections, inventory, candidates),
        identity=described.identity,
        external_ids=described.external_ids,
    )


def address_set(
    described: SetDescription,
    selections: Selections,
    inventory: Inventory,
    candidates: frozenset[str] | None = None,
) -> AddressSet:
    """The address set with the members it has now: all, or those among the candidates."""
    return AddressSet(
        name=described.name,
        addresses=_members(described, selections, inventory, candidates),
        identity=described.identity,
        external_ids=described.external_ids,
    )


def _members(
    described: SetDescription, selections: Selections, inventory: Inventory, candidates: frozenset[str] | None
) -> frozenset[str]:
    if candidates is None:
        return described.members.find(selections, inventory)
    return described.members.among(candidates, selections, inventory)
