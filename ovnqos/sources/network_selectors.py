"""`spec.networkSelectors` of a NetworkQoS: each entry's type, and exactly the selector that its type names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ovnqos.model.networks import NetworkSelectionType, NetworkSelector
from ovnqos.sources.fields import show, suggest
from ovnqos.sources.labels import read_selector

if TYPE_CHECKING:
    from ovnqos.model.labels import LabelSelector
    from ovnqos.sources.fields import Fields


@dataclass(frozen=True, slots=True, kw_only=True)
class _Form:
    """The field that a type goes with, and the selectors in it."""

    field: str
    by_namespace: bool
    by_network: bool


_FORMS = {
    NetworkSelectionType.NETWORK_ATTACHMENT_DEFINITIONS: _Form(
        field="networkAttachmentDefinitionSelector", by_namespace=True, by_network=True
    ),
    NetworkSelectionType.SECONDARY_USER_DEFINED_NETWORKS: _Form(
        field="secondaryUserDefinedNetworkSelector", by_namespace=True, by_network=True
    ),
    NetworkSelectionType.PRIMARY_USER_DEFINED_NETWORKS: _Form(
        field="primaryUserDefinedNetworkSelector", by_namespace=True, by_network=False
    ),
    NetworkSelectionType.CLUSTER_USER_DEFINED_NETWORKS: _Form(
        field="clusterUserDefinedNetworkSelector", by_namespace=False, by_network=True
    ),
}
_TYPES = {kind.value: kind for kind in NetworkSelectionType}
_TYPE_WORDS = ", ".join(list(_TYPES)[:-1]) + " or " + list(_TYPES)[-1]


def read_network_selectors(spec: Fields) -> tuple[NetworkSelector, ...] | None:
    """Read `networkSelectors`. An absent or empty list is None: every network that the pods are on."""
    entries = spec.mappings("networkSelectors")
    if not entries:
        return None
    selectors = [_selector(entry) for entry in entries]
    return tuple(selector for selector in selectors if selector is not None)


def _selector(entry: Fields) -> NetworkSelector | None:
    word = entry.string("networkSelectionType", required=f"use {_TYPE_WORDS}")
    selected = _TYPES.get(word) if word is not None else None
    if word is not None and selected is None:
        entry.error(
            "networkSelectionType", f"{show(word)} is no such type", f"use {_TYPE_WORDS}", suggest(word, _TYPES)
        )
    found = None
    for owner, form in _FORMS.items():
        if owner is selected:
            found = entry.mapping(form.field, required=f"networkSelectionType {selected} needs it")
        elif entry.has(form.field) and selected is not None:
            entry.error(
                form.field,
                f"goes with networkSelectionType {owner}, but the type is {selected}",
                "remove it or change the type",
            )
    if selected is None or selected not in _FORMS:
        return NetworkSelector(type=selected) if selected is not None else None
    if found is None:
        return None
    form = _FORMS[selected]
    return NetworkSelector(
        type=selected,
        namespace_selector=_required(found, "namespaceSelector") if form.by_namespace else None,
        network_selector=_required(found, "networkSelector") if form.by_network else None,
    )


def _required(fields: Fields, key: str) -> LabelSelector | None:
    return read_selector(fields, key, required="give a label selector; {} selects all")
