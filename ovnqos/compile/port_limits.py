"""Where pods have rows of their own: it decides in which stage of a switch the rows of policies are.

OVN applies one row of a stage to a packet. So a policy's row in `to-lport` would hide the ingress limit of a receiver
on the same switch, and one in `from-lport` the egress limit of a sender.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from ovnqos.model.owner import OBJECT_KEY, RULE_KEY
from ovnqos.model.pod_qos import Purpose

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ovnqos.compile.rows import QosRow

_K = TypeVar("_K", bound=Hashable)


class Place(NamedTuple):
    """A switch, by name, as far as senders of one namespace are concerned; of any when it is None."""

    switch: str
    namespace: str | None


class PortLimits:
    """By switch, how many pods have an ingress limit, and how many of a namespace have rows for what they send."""

    def __init__(self) -> None:
        """No pod has rows."""
        self._receiving: Counter[str] = Counter()
        self._sending: Counter[Place] = Counter()

    def turns(self, switch: str, namespace: str) -> bool:
        """Whether rows of a namespace's policies are in `from-lport` on a switch where they could be in either stage.

        That is where a pod of the switch has an ingress limit, and none of the namespace's an egress limit or mark: so
        all that concerns one sender stays in one stage, where priorities decide.
        """
        return switch in self._receiving and Place(switch, namespace) not in self._sending

    def replace(self, old: Iterable[QosRow], new: Iterable[QosRow]) -> frozenset[Place]:
        """Exchange the rows of a pod. Returns where `turns` answers otherwise now, or may."""
        receiving, sending = Counter[str](), Counter[Place]()
        for rows, step in ((old, -1), (new, 1)):
            for row in rows:
                namespace = row.external_ids[OBJECT_KEY].split("/")[1]
                for switch in row.switches:
                    if row.external_ids[RULE_KEY] == Purpose.INGRESS:
                        receiving[switch] += step
                    else:
                        sending[Place(switch, namespace)] += step
        flipped = {Place(switch, None) for switch in _add(self._receiving, receiving)}
        flipped.update(place for place in _add(self._sending, sending) if place.switch in self._receiving)
        return frozenset(flipped)


def _add(counts: Counter[_K], steps: Counter[_K]) -> list[_K]:
    """Add steps to counts. Returns what came to be counted, or ceased to be."""
    flipped = []
    for key, step in steps.items():
        was = key in counts
        counts[key] += step
        if not counts[key]:
            del counts[key]
        if was != (key in counts):
            flipped.append(key)
    return flipped
