"""ovn-kubernetes: a switch a node and layer3 network, one switch for others; addresses in one annotation."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from ovnqos.compile.rows import Direction
from ovnqos.compile.topology import Network, PodInterface, Topology, bare_address, invalid_annotation
from ovnqos.model.networks import DEFAULT_NETWORK, NetworkTopology

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ovnqos.errors import InvalidObject
    from ovnqos.model.networks import NetworkAttachmentDefinition
    from ovnqos.model.workloads import Pod

POD_NETWORKS = "k8s.ovn.org/pod-networks"
"""The annotation with a pod's networks, a JSON object by attachment."""
_HINT = "ovn-kubernetes writes it"
_MAC = re.compile(r"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}")


class OvnKubernetesTopology(Topology):
    """Names as ovn-kubernetes gives them; `<net>` below is a network's name with `-` and `/` as `.`."""

    has_mac_addresses = True

    def interfaces(self, pod: Pod) -> tuple[PodInterface, ...]:
        """Read `k8s.ovn.org/pod-networks`; raises InvalidObject when it is not what ovn-kubernetes writes."""
        text = pod.annotations.get(POD_NETWORKS)
        if not text:
            return ()
        try:
            networks = json.loads(text)
        except (ValueError, RecursionError) as error:  # whoever makes a pod can write any depth of brackets
            raise _broken(pod, "", f"is not JSON ({error})") from None
        if not isinstance(networks, dict):
            raise _broken(pod, "", "is not a JSON object of networks")
        suffix = f"{pod.namespace}_{pod.name}"
        return tuple(
            PodInterface(
                attachment=_without_index(key),
                port=suffix if key == DEFAULT_NETWORK else f"{_dotted(key)}_{suffix}",
                addresses=_addresses(pod, key, found),
                location=pod.node,
                mac=_mac(found),
            )
            for key, found in sorted(networks.items())
        )

    def network(
        self, attachment: str, definition: NetworkAttachmentDefinition | None, seen_versions: frozenset[int]
    ) -> Network | None:
        """The default network, or what the NAD's configuration says."""
        if attachment == DEFAULT_NETWORK:
            return Network(name=DEFAULT_NETWORK, topology=NetworkTopology.LAYER3, versions=seen_versions)
        if definition is None or definition.ovn is None:
            return None
        config = definition.ovn
        return Network(
            name=config.network,
            topology=config.topology,
            versions=frozenset(subnet.version for subnet in config.subnets) or seen_versions,
            subnets=config.subnets,
            mtu=config.mtu,
        )

    def switch(self, network: Network, location: str) -> str:
        """`<node>` on the default network, else `<net>_<node>` or, of another layout, `<net>_ovn_<layout>_switch`."""
        if network.name == DEFAULT_NETWORK:
            return location
        if network.topology is NetworkTopology.LAYER3:
            return f"{_dotted(network.name)}_{location}"
        return f"{_dotted(network.name)}_ovn_{network.topology}_switch"

    def direction(self, network: Network) -> Direction:
        """to-lport on layer3, else from-lport.

        to-lport runs behind load balancing, so that a Service's backends are matched. On a layer2 network it runs on
        the destination's chassis: measured, the packet leaves the node unmarked and unmetered. On a localnet network it
        runs once for each copy of a flooded packet, and the copies share the meter: measured, a broadcast of 2 Mbit/s
        reached one of its receivers at 0.02.
        """
        return Direction.TO_LPORT if network.topology is NetworkTopology.LAYER3 else Direction.FROM_LPORT


def _without_index(key: str) -> str:
    """The NAD of a key: a pod that is attached to one NAD several times has `ns/nad`, `ns/nad/1` and so on."""
    return key if key.count("/") < 2 else "/".join(key.split("/")[:2])


def _dotted(name: str) -> str:
    return name.replace("-", ".").replace("/", ".")


def _addresses(pod: Pod, attachment: str, found: Mapping[str, Any] | Any) -> tuple[str, ...]:
    if not isinstance(found, dict):
        raise _broken(pod, attachment, "is not a JSON object")
    given = found.get("ip_addresses")
    if given is None:
        given = [found["ip_address"]] if found.get("ip_address") else []
    if not isinstance(given, list):
        raise _broken(pod, f"{attachment}.ip_addresses", "is not a list")
    addresses = []
    for index, text in enumerate(given):
        address = bare_address(text)
        if address is None:
            raise _broken(pod, f"{attachment}.ip_addresses[{index}]", f"{text!r} is not an IP address")
        addresses.append(address)
    return tuple(addresses)


def _mac(found: Mapping[str, Any]) -> str:
    """The MAC address; empty where there is none, or something else."""
    text = found.get("mac_address")
    return text.lower() if isinstance(text, str) and _MAC.fullmatch(text) else ""


def _broken(pod: Pod, path: str, what: str) -> InvalidObject:
    return invalid_annotation(pod, POD_NETWORKS, what, path=path, hint=_HINT)
