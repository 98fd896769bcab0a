"""Kubernetes documents as people write them and the API server shows them."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

import yaml

from tests.support.cluster import mac_address

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

Document = dict[str, Any]

GUIDE: Final = files("ovnqos.cli.demo")
"""Holds the guide's own manifests."""


def pod(
    name: str,
    address: str,
    *,
    namespace: str = "shop",
    node: str = "node1",
    labels: Mapping[str, str] | None = None,
    networks: Mapping[str, Sequence[str]] | None = None,
) -> Document:
    """A running pod with this address on the default network, and with those of `networks` by attachment."""
    given = {"default": [address], **(networks or {})}
    annotation = {
        key: {
            "ip_addresses": [f"{one}/24" for one in addresses],
            **({"mac_address": mac_address(addresses[0])} if addresses else {}),
        }
        for key, addresses in given.items()
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": dict(labels or {}),
            "annotations": {"k8s.ovn.org/pod-networks": json.dumps(annotation)},
        },
        "spec": {"nodeName": node},
        "status": {"phase": "Running"},
    }


def rule(dscp: int = 20, **fields: Any) -> Document:
    """An egress rule; `to`, `ports` and `from` go into its classifier."""
    classifier = {key: fields.pop(key) for key in ("to", "ports") if key in fields}
    return {"dscp": dscp, **fields, **({"classifier": classifier} if classifier else {})}


def policy(name: str = "gold", *rules: Document, namespace: str = "shop", priority: int = 10, **spec: Any) -> Document:
    """A NetworkQoS; one rule that marks everything when none is given."""
    return {
        "apiVersion": "k8s.ovn.org/v1alpha1",
        "kind": "NetworkQoS",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"priority": priority, "egress": list(rules) or [rule()], **spec},
    }


def attachment(name: str, config: str, *, namespace: str = "shop") -> Document:
    """A NetworkAttachmentDefinition."""
    return {
        "apiVersion": "k8s.cni.cncf.io/v1",
        "kind": "NetworkAttachmentDefinition",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"config": config},
    }


def write(path: Path, *documents: Document) -> Path:
    """Writes documents to a YAML file; returns its path."""
    path.write_text(yaml.safe_dump_all(documents, sort_keys=False, allow_unicode=True))
    return path


def kubectl_list(documents: Iterable[Document]) -> str:
    """What `kubectl get … -o yaml` prints."""
    items = list(documents)
    return str(
        yaml.safe_dump(
            {"apiVersion": "v1", "items": items, "kind": "List", "metadata": {"resourceVersion": ""}}, sort_keys=False
        )
    )


PODS = [pod("a", "10.0.0.1", labels={"app": "web"}), pod("b", "10.0.0.2", node="node2")]
"""Two pods on two nodes, whose ports are `shop_a` and `shop_b`."""
