"""Builders of pods as Kube-OVN annotates them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovnqos import Pod

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_VPC = "ovn-cluster"


def interface(
    *addresses: str,
    provider: str = "ovn",
    switch: str = "ovn-default",
    vpc: str = DEFAULT_VPC,
    allocated: str = "true",
    machine: str = "",
) -> dict[str, str]:
    """The annotations of one interface; without `vpc` it is of a Subnet that no router joins."""
    fields = {
        "allocated": allocated,
        "ip_address": ",".join(addresses),
        "logical_switch": switch,
        "logical_router": vpc,
        "virtualmachine": machine,
    }
    return {f"{provider}.kubernetes.io/{field}": value for field, value in fields.items() if value}


def pod(
    name: str,
    *interfaces: Mapping[str, str],
    namespace: str = "shop",
    node: str = "node1",
    labels: Mapping[str, str] | None = None,
    phase: str = "Running",
) -> Pod:
    """A pod with these interfaces, each made by `interface`."""
    annotations = {key: value for one in interfaces for key, value in one.items()}
    return Pod(namespace=namespace, name=name, node=node, labels=labels or {}, annotations=annotations, phase=phase)
