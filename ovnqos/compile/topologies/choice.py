"""The choice of a topology, as a flag or a setting says it: `auto`, `ovn-kubernetes`, `kube-ovn` or `static:FILE`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

STATIC_PREFIX: Final = "static:"
CHOICE_WORDS: Final = "auto, ovn-kubernetes, kube-ovn or static:FILE"


class TopologyKind(StrEnum):
    """Who named the switches and ports; `auto`: told by what is written on the pods."""

    AUTO = "auto"
    OVN_KUBERNETES = "ovn-kubernetes"
    KUBE_OVN = "kube-ovn"
    STATIC = "static"


@dataclass(frozen=True, slots=True, kw_only=True)
class TopologyChoice:
    """A topology to be used. `file` is the path of the topology map of kind `static`, and empty otherwise."""

    kind: TopologyKind = TopologyKind.AUTO
    file: str = ""

    def __str__(self) -> str:
        """As `parse_topology_choice` reads it."""
        return f"{STATIC_PREFIX}{self.file}" if self.kind is TopologyKind.STATIC else str(self.kind)


def parse_topology_choice(text: str) -> TopologyChoice:
    """Read a choice. Raises ValueError, whose text says what would be right."""
    if text.startswith(STATIC_PREFIX) and text != STATIC_PREFIX and text.isprintable():
        return TopologyChoice(kind=TopologyKind.STATIC, file=text.removeprefix(STATIC_PREFIX))
    if text in {TopologyKind.AUTO, TopologyKind.OVN_KUBERNETES, TopologyKind.KUBE_OVN}:
        return TopologyChoice(kind=TopologyKind(text))
    raise ValueError(f"give {CHOICE_WORDS}, where FILE is a topology map")
