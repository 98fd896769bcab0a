"""NetworkAttachmentDefinitions: the CNI configuration, JSON text in `spec.config`, as ovn-kubernetes reads it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from ovnqos.diagnostics import Code
from ovnqos.model.networks import (
    NetworkAttachmentDefinition,
    NetworkRole,
    NetworkTopology,
    OvnNetworkConfig,
    OwnerReference,
)
from ovnqos.sources.objects import ObjectKind, ObjectReader
from ovnqos.sources.values import InvalidValueError, describe, parse_cidr, show

if TYPE_CHECKING:
    from netaddr import IPNetwork

    from ovnqos.sources.fields import Fields

KIND = "NetworkAttachmentDefinition"
OVN_PLUGIN = "ovn-k8s-cni-overlay"
"""The CNI plugin type of ovn-kubernetes."""
_KIND = ObjectKind(name=KIND)
_TOPOLOGIES = {topology.value: topology for topology in NetworkTopology}
_TOPOLOGY_WORDS = "layer3, layer2 or localnet"
_ROLES = {role.value: role for role in NetworkRole}
NETWORK_NAME = "k8s.ovn.org/network-name"
"""The annotation in which ovn-kubernetes keeps the network's name; without it the configuration's name holds."""


def parse_network_attachment_definition(document: object, *, origin: str = "") -> NetworkAttachmentDefinition:
    """Parse a NetworkAttachmentDefinition.

    Of a list of plugins (a CNI conflist) the first of ovn-kubernetes counts. `ovn` is None without such a plugin, and
    when it names no topology, as ovn-kubernetes writes the cluster's default network (a warning).

    Raises:
        InvalidObject: with every error of the object.
    """
    reader = ObjectReader(document, _KIND, origin=origin)
    owners = _owners(reader.metadata)
    plugin, ovn = "", None
    spec = reader.root.mapping("spec", warn_unknown=False)
    if spec is not None:
        config = _config(spec)
        if config is not None:
            plugin, ovn = _network(config, f"{reader.namespace}/{reader.name}")
    annotated = _annotated_name(reader.metadata)
    if annotated and ovn is not None:
        ovn = replace(ovn, network=annotated)
    diagnostics = reader.check()
    return NetworkAttachmentDefinition(
        namespace=reader.namespace,
        name=reader.name,
        labels=reader.labels,
        plugin=plugin,
        ovn=ovn,
        owners=owners,
        diagnostics=diagnostics,
    )


def _owners(metadata: Fields) -> tuple[OwnerReference, ...]:
    owners = []
    for entry in metadata.mappings("ownerReferences", warn_unknown=False) or ():
        kind = entry.string("kind", required="name the owner's kind")
        name = entry.string("name", required="name the owner")
        if kind is not None and name is not None:
            owners.append(OwnerReference(kind=kind, name=name))
    return tuple(owners)


def _annotated_name(metadata: Fields) -> str | None:
    annotations = metadata.mapping("annotations", warn_unknown=False)
    return annotations.string(NETWORK_NAME) if annotations is not None else None


def _config(spec: Fields) -> Fields | None:
    value = spec.get("config")
    if value is None:
        return None
    if not isinstance(value, str):
        spec.error("config", f"must be JSON text, not {describe(value)}", 'in YAML write "config: |" and JSON below it')
        return None
    try:
        config: object = json.loads(value)
    except json.JSONDecodeError as error:
        spec.error("config", f"line {error.lineno}, column {error.colno}: not JSON: {error.msg}")
        return None
    except (ValueError, RecursionError):
        spec.error("config", "not JSON that can be read: a number is too long, or it is nested too deep")
        return None
    if not isinstance(config, Mapping):
        spec.error("config", f"must hold a JSON object, not {describe(config)}")
        return None
    return spec.child("config", config)


def _network(config: Fields, key: str) -> tuple[str, OvnNetworkConfig | None]:
    """The plugin's type, and the network when the plugin is that of ovn-kubernetes."""
    if not config.has("plugins"):
        plugin = config.string("type", required=f"name the CNI plugin, e.g. {OVN_PLUGIN}") or ""
        return plugin, _ovn_network(config, config, key) if plugin == OVN_PLUGIN else None
    first = ""
    for entry in config.mappings("plugins", warn_unknown=False) or ():
        plugin = entry.string("type", required=f"name the CNI plugin, e.g. {OVN_PLUGIN}") or ""
        first = first or plugin
        if plugin == OVN_PLUGIN:
            return plugin, _ovn_network(entry, config, key)
    return first, None


def _ovn_network(plugin: Fields, config: Fields, key: str) -> OvnNetworkConfig | None:
    """`config` holds the network's name: the plugin itself, or the list that it is in."""
    named = config if config.has("name") else plugin
    name = named.string("name", required="name the network")
    if name == "":
        named.error("name", "is empty", "name the network")
    elif name is not None and not name.isprintable():
        named.error("name", f"{show(name)} holds control characters", "use letters, digits, '.' and '-'")
    role_word = plugin.string("role") or NetworkRole.SECONDARY.value
    role = _ROLES.get(role_word)
    if role is None:
        plugin.error("role", f"{show(role_word)} is not a role", "use primary or secondary")
    attached_as = plugin.string("netAttachDefName")
    if attached_as is not None and attached_as != key:
        plugin.error("netAttachDefName", f"{show(attached_as)} is not the name of this object", f"write {key}")
    word = plugin.string("topology")
    if word is None:
        plugin.warn(
            Code.MISSING_FIELD,
            "topology",
            "missing, so this is the cluster's default network",
            f"set {_TOPOLOGY_WORDS} for another network",
        )
        return None
    if attached_as is None and not plugin.has("netAttachDefName"):
        plugin.missing("netAttachDefName", f"write {key}")
    topology = _TOPOLOGIES.get(word)
    if topology is None:
        plugin.error("topology", f"{show(word)} is not a topology", f"use {_TOPOLOGY_WORDS}")
        return None
    mtu = plugin.get("mtu")
    return OvnNetworkConfig(
        network=name or "",
        topology=topology,
        subnets=_subnets(plugin, topology),
        role=role or NetworkRole.SECONDARY,
        mtu=mtu if type(mtu) is int and mtu > 0 else None,  # only advice depends on it: no reason to refuse a network
    )


def _subnets(plugin: Fields, topology: NetworkTopology) -> tuple[IPNetwork, ...]:
    text = plugin.string("subnets")
    subnets = []
    for entry in (text or "").split(","):
        if not entry.strip():
            continue
        try:
            subnet, cleared = _subnet(entry.strip(), topology)
        except InvalidValueError as error:
            plugin.invalid("subnets", error)
            continue
        if cleared:
            plugin.warn(Code.HOST_BITS, "subnets", cleared)
        subnets.append(subnet)
    return tuple(subnets)


def _subnet(text: str, topology: NetworkTopology) -> tuple[IPNetwork, str]:
    """A subnet without the length that layer3 adds for each node's share: `10.245.0.0/16/24`."""
    if text.count("/") < 2:
        return parse_cidr(text)
    if topology is not NetworkTopology.LAYER3:
        raise InvalidValueError(f"{show(text)} has a second length, which only topology layer3 takes", "remove it")
    cidr_text, _, share = text.rpartition("/")
    subnet, cleared = parse_cidr(cidr_text)
    bits = 32 if subnet.version == 4 else 128
    if not (share.isascii() and share.isdecimal() and len(share) <= 3 and subnet.prefixlen < int(share) <= bits):
        raise InvalidValueError(
            f"{show(text)}: the length of a node's share must be from {subnet.prefixlen + 1} to {bits}"
        )
    return subnet, cleared
