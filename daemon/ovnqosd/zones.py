"""What a node's zone is called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

ZONE_ANNOTATION: Final = "k8s.ovn.org/zone-name"
"""Where ovn-kubernetes notes a node's zone."""


def zone_of(node: str, annotations: Mapping[str, str]) -> str:
    """The name that ovn-kubernetes noted on the node, else the node's own."""
    return annotations.get(ZONE_ANNOTATION) or node
