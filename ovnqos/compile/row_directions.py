"""In which direction rows of policies are on layer3 networks, whose switches allow both directions.

OVN applies one row of a direction to a packet. A policy's row in `to-lport` would shadow the ingress limit of a
receiver on the same switch, and one in `from-lport` the egress limit of a sender. So the pods' own limits decide.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from ovnqos.model.owner import OBJECT_KEY, RULE_KEY
from ovnqos.model.pod_qos import Purpose

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ovnqos.compile.rows import QosRow

_K = TypeVar("_K", bound=Hashable)
_NONE: frozenset[str] = frozenset()


class _Senders(NamedTuple):
    """The pods of a namespace on a switch."""

    switch: str
    namespace: str


class RowDirections:
    """How many pods of a switch have limits of their own, and which policies' rows there depend on it."""

    def __init__(self) -> None:
        """No pod has a limit, no policy has rows."""
        self._receiving: Counter[str] = Counter()  # ingress limits by switch
        self._sending: Counter[_Senders] = Counter()  # egress limits and marks
        self._policies: dict[str, dict[str, set[str]]] = defaultdict(dict)  # switch -> namespace -> keys
        self._switches: dict[str, set[str]] = {}  # by policy

    def is_from_lport(self, switch: str, namespace: str) -> bool:
        """Whether rows of a namespace's policies are in `from-lport` on a switch where they could be in either.

        They are where a pod of the switch has an ingress limit, and none of the namespace's an egress limit or mark: so
        all that concerns one sender stays in one direction, where priorities decide.
        """
        return switch in self._receiving and _Senders(switch, namespace) not in self._sending

    def replace_pod(self, old: Iterable[QosRow], new: Iterable[QosRow]) -> set[str]:
        """Exchange the rows of a pod. Returns the policies whose rows may have another direction now."""
        receiving, sending = Counter[str](), Counter[_Senders]()
        for rows, step in ((old, -1), (new, 1)):
            for row in rows:
                namespace = row.external_ids[OBJECT_KEY].split("/")[1]
                for switch in row.switches:
                    if row.external_ids[RULE_KEY] == Purpose.INGRESS:
                        receiving[switch] += step
                    else:
                        sending[_Senders(switch, namespace)] += step
        changed: set[str] = set()
        for switch in _add(self._receiving, receiving):
            changed.update(*self._policies.get(switch, {}).values())
        for switch, namespace in _add(self._sending, sending):
            if switch in self._receiving:
                changed |= self._policies.get(switch, {}).get(namespace, _NONE)
        return changed

    def replace_policy(self, policy: str, switches: set[str]) -> None:
        """Set the switches on which the direction of a policy's rows depends on limits (`<namespace>/<name>`)."""
        namespace = policy.partition("/")[0]
        for switch in self._switches.pop(policy, _NONE) - switches:
            keys = self._policies[switch][namespace]
            keys.discard(policy)
            if not keys:
                del self._policies[switch][namespace]
                if not self._policies[switch]:
                    del self._policies[switch]
        if switches:
            self._switches[policy] = set()
            self.add_switches(policy, switches)

    def add_switches(self, policy: str, switches: Iterable[str]) -> None:
        """Add switches to those of a policy; none when the direction of its rows is fixed."""
        known = self._switches.get(policy)
        if known is None:
            return
        namespace = policy.partition("/")[0]
        for switch in switches:
            known.add(switch)
            self._policies[switch].setdefault(namespace, set()).add(policy)


def _add(counts: Counter[_K], steps: Counter[_K]) -> Iterator[_K]:
    """Add steps to counts. Yields the keys that are counted from now on, or no longer."""
    for key, step in steps.items():
        was = key in counts
        counts[key] += step
        if not counts[key]:
            del counts[key]
        if was != (key in counts):
            yield key
