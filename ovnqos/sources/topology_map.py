"""Topology maps: a YAML file that says which logical switch and port each pod has, and where its addresses are."""

from __future__ import annotations

import re
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from netaddr import AddrFormatError, IPAddress

from ovnqos.diagnostics import ObjectRef
from ovnqos.errors import UnreadableInput
from ovnqos.model.networks import (
    PLACEHOLDERS,
    MappedInterface,
    MappedNetwork,
    NameTemplate,
    NetworkTopology,
    TopologyMap,
)
from ovnqos.sources.documents import read_file
from ovnqos.sources.fields import Fields, ParseReport, dns_label_error, dns_subdomain_error, label_key_error
from ovnqos.sources.values import InvalidValueError, describe, show, suggest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ovnqos.diagnostics import Diagnostic

_TOPOLOGIES = {topology.value: topology for topology in NetworkTopology}
_TOPOLOGY_WORDS = "layer3 (one switch per node), layer2 or localnet (one switch for all nodes)"
_DIRECTIONS = ("from-lport", "to-lport")
_BRACES = re.compile(r"[{}]")
_NAME_LENGTH = 255


def load_topology_map(path: Path | str) -> TopologyMap:
    """Load a topology map.

    Args:
        path: a file of one YAML document (or JSON, which is YAML).

    Raises:
        UnreadableInput: in one line, why the file cannot be read.
        InvalidObject: with every error of the map.
    """
    origin = str(path)
    documents = read_file(Path(path))
    if len(documents) != 1:
        raise UnreadableInput(f"{origin}: {len(documents)} documents in it; a topology map is one")
    return parse_topology_map(documents[0].value, origin=origin, errors=documents[0].errors)


def parse_topology_map(document: object, *, origin: str = "", errors: Iterable[Diagnostic] = ()) -> TopologyMap:
    """Parse a topology map.

    Args:
        document: what YAML made of it.
        origin: where it was read, for the diagnostics.
        errors: what is known to be wrong with it already, such as repeated keys.

    Raises:
        InvalidObject: with every error.
    """
    report = ParseReport()
    report.diagnostics.extend(errors)
    networks: dict[str, MappedNetwork] = {}
    pods: dict[str, Mapping[str, MappedInterface]] = {}
    if isinstance(document, dict):
        root = Fields(document, report)
        networks = _networks(root)
        if not report.diagnostics:  # what pods lack depends on their networks
            pods = _pods(root, networks)
        else:
            root.get("pods")
    else:
        report.error("", f"must be a mapping, not {describe(document)}", "it begins with `networks:`")
    diagnostics = report.finish(lambda: ObjectRef(kind="topology map", origin=origin))
    return TopologyMap(networks=MappingProxyType(networks), pods=MappingProxyType(pods), diagnostics=diagnostics)


def _networks(root: Fields) -> dict[str, MappedNetwork]:
    fields = root.mapping("networks", required="name the networks, e.g. default")
    if fields is None:
        return {}
    networks = {}
    for name in fields.keys_with_prefix(""):
        if not _can_name_a_network(name):
            fields.get(name)
            hint = "use default, the <namespace>/<name> of a NAD, or a DNS name"
            fields.error("", f"{show(name)} is not a network name", hint)
            continue
        entry = fields.mapping(name, required=f"give its topology: {_TOPOLOGY_WORDS}")
        if entry is not None:
            network = _network(name, entry)
            if network is not None:
                networks[name] = network
    if not fields.keys_with_prefix(""):
        fields.error("", "is empty", "name the networks, e.g. default")
    return networks


def _can_name_a_network(name: str) -> bool:
    namespace, slash, rest = name.partition("/")
    error = dns_label_error(namespace) or dns_subdomain_error(rest) if slash else dns_subdomain_error(name)
    return error is None


def _network(name: str, fields: Fields) -> MappedNetwork | None:
    word = fields.string("topology", required=f"use {_TOPOLOGY_WORDS}")
    topology = _TOPOLOGIES.get(word or "")
    if word is not None and topology is None:
        fields.error("topology", f"{show(word)} is not a topology", f"use {_TOPOLOGY_WORDS}")
    direction = fields.string("direction") or ""
    if direction and direction not in _DIRECTIONS:
        fields.error("direction", f"{show(direction)} is not a direction", f"use {' or '.join(_DIRECTIONS)}")
    switch, port = _template(fields, "switch"), _template(fields, "port")
    if port is not None and "name" not in port.placeholders:
        fields.error("port", f"{show(port.text)} is the same port for all pods", "write e.g. {namespace}-{name}")
    elif port is not None and "namespace" not in port.placeholders:
        text = f"{show(port.text)} is the same port for pods of one name in several namespaces"
        fields.error("port", text, "write e.g. {namespace}_{name}, so that no two tenants claim one port")
    if port is not None and not fields.has("switch"):
        fields.missing("switch", "say which switch the ports are on, e.g. {node}")
    if topology is NetworkTopology.LAYER3 and switch is not None and "node" not in switch.placeholders:
        fields.error(
            "switch",
            f"{show(switch.text)} is the same switch for all nodes, and layer3 has one for each",
            "write {node} in it, or use topology layer2",
        )
    annotation = _address_annotation(fields)
    if topology is None:
        return None
    return MappedNetwork(
        name=name, topology=topology, direction=direction, switch=switch, port=port, address_annotation=annotation
    )


def _address_annotation(fields: Fields) -> str:
    addresses = fields.mapping("addresses")
    if addresses is None:
        return ""
    key = addresses.string("annotation", required="name the annotation that holds a pod's addresses")
    wrong = label_key_error(key) if key is not None else None
    if wrong is not None:
        addresses.error("annotation", f"{show(key)} is not the key of an annotation", wrong.hint)
    return key or ""


def _template(fields: Fields, key: str) -> NameTemplate | None:
    text = fields.string(key)
    if text is None:
        return None
    template = NameTemplate(text=text)
    unknown = [word for word in template.placeholders if word not in PLACEHOLDERS]
    stray = _BRACES.search(re.sub(r"\{[^{}]*\}", "", text)) is not None
    known = ", ".join(f"{{{word}}}" for word in sorted(PLACEHOLDERS))
    if unknown or stray:
        likely = suggest(unknown[0], sorted(PLACEHOLDERS)) if unknown else ""
        fields.error(key, f"{show(text)} has an unknown placeholder", f"use {known}", likely)
        return None
    wrong = _ovn_name_error(text)
    if wrong:
        fields.invalid(key, wrong)
        return None
    return template


def _ovn_name_error(text: str) -> InvalidValueError | None:
    """What is wrong with the name of a switch or port (ovn-nb(5): any string), for a person to see and to type."""
    if text and text.isprintable() and text == text.strip() and len(text) <= _NAME_LENGTH:
        return None
    return InvalidValueError(
        f"{show(text)} is not the name of a switch or port", f"use 1 to {_NAME_LENGTH} printable characters"
    )


def _pods(root: Fields, networks: Mapping[str, MappedNetwork]) -> dict[str, Mapping[str, MappedInterface]]:
    fields = root.mapping("pods")
    if fields is None:
        return {}
    pods: dict[str, Mapping[str, MappedInterface]] = {}
    owners: dict[str, str] = {}
    for key in fields.keys_with_prefix(""):
        namespace, _, name = key.partition("/")
        if dns_label_error(namespace) or dns_subdomain_error(name):
            fields.get(key)
            fields.error("", f"{show(key)} is not a pod", "write <namespace>/<name>")
            continue
        entries = fields.mapping(key, required="name its networks")
        if entries is not None:
            pods[key] = MappingProxyType(_interfaces(key, entries, networks, owners))
    return pods


def _interfaces(
    pod: str, fields: Fields, networks: Mapping[str, MappedNetwork], owners: dict[str, str]
) -> dict[str, MappedInterface]:
    interfaces = {}
    for name in fields.keys_with_prefix(""):
        network = networks.get(name)
        if network is None:
            fields.get(name)
            fields.error("", f"{show(name)} is not in networks", suggest(name, networks))
            continue
        entry = fields.mapping(name, required="give its port")
        if entry is None:
            continue
        interface = _interface(entry, network)
        interfaces[name] = interface
        if interface.port is not None and owners.setdefault(interface.port, pod) != pod:
            entry.error(
                "port",
                f"{show(interface.port)} is already the port of pod {owners[interface.port]}",
                "give each pod its own",
            )
    return interfaces


def _interface(fields: Fields, network: MappedNetwork) -> MappedInterface:
    names = {}
    for key, template in (("switch", network.switch), ("port", network.port)):
        names[key] = fields.string(key, required="" if template else f"network {network.name} has no template for it")
        wrong = _ovn_name_error(names[key] or "") if names[key] is not None else None
        if wrong:
            fields.invalid(key, wrong)
    addresses = None
    if fields.has("addresses"):
        addresses = tuple(
            address
            for index, text in fields.strings("addresses").items()
            if (address := _address(fields, f"addresses[{index}]", text))
        )
    return MappedInterface(switch=names["switch"], port=names["port"], addresses=addresses)


def _address(fields: Fields, place: str, text: str) -> str:
    try:
        return str(IPAddress(text))
    except (AddrFormatError, ValueError):
        fields.error(place, f"{show(text)} is not an IP address", "give it without a prefix length")
        return ""
