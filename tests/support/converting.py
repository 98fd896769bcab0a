"""A cluster's objects as the converters take them."""

from __future__ import annotations

from typing import Any

from ovnqos import Manifests


def manifests(*objects: Any) -> Manifests:
    """These objects, each under its kind."""
    kinds: dict[str, list[Any]] = {
        "Pod": [],
        "Namespace": [],
        "NetworkAttachmentDefinition": [],
        "NetworkQoS": [],
        "EgressQoS": [],
    }
    for one in objects:
        kinds[type(one).__name__].append(one)
    return Manifests(
        pods=tuple(kinds["Pod"]),
        namespaces=tuple(kinds["Namespace"]),
        network_attachment_definitions=tuple(kinds["NetworkAttachmentDefinition"]),
        policies=tuple(kinds["NetworkQoS"]),
        egress_qos=tuple(kinds["EgressQoS"]),
    )
