"""Which policies have rows whose direction depends on what limits pods have, by the place where it does."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ovnqos.compile.compiled import CompiledPolicy
    from ovnqos.compile.port_limits import Place

_NONE: frozenset[str] = frozenset()


class LiveStages:
    """By switch and namespace, the policies with such rows."""

    def __init__(self) -> None:
        """No policy is compiled."""
        self._policies: dict[str, dict[str, set[str]]] = defaultdict(dict)  # switch -> namespace -> keys
        self._switches: dict[str, set[str]] = {}  # by policy

    def replace(self, policy: str, compiled: CompiledPolicy | None) -> None:
        """A policy (`<namespace>/<name>`) was compiled anew, or is gone."""
        switches: set[str] = set()
        for one in compiled.stages if compiled is not None else ():
            if one.is_free:
                switches |= one.straight | one.turned
        for switch in self._switches.pop(policy, _NONE) - switches:
            self._discard(policy, switch)
        if switches:
            self._switches[policy] = set()
            self.add(policy, switches)

    def add(self, policy: str, switches: Iterable[str]) -> None:
        """A policy has rows on these switches too; passed over when the direction of its rows is fixed."""
        known = self._switches.get(policy)
        if known is None:
            return
        namespace = policy.partition("/")[0]
        for switch in switches:
            known.add(switch)
            self._policies[switch].setdefault(namespace, set()).add(policy)

    def policies_at(self, places: Iterable[Place]) -> Iterator[str]:
        """The policies whose rows may be in another direction now, given where the pods' limits changed."""
        for place in places:
            known = self._policies.get(place.switch, {})
            if place.namespace is not None:
                yield from known.get(place.namespace, ())
            else:
                for keys in known.values():
                    yield from keys

    def _discard(self, policy: str, switch: str) -> None:
        namespace = policy.partition("/")[0]
        keys = self._policies[switch][namespace]
        keys.discard(policy)
        if not keys:
            del self._policies[switch][namespace]
            if not self._policies[switch]:
                del self._policies[switch]
