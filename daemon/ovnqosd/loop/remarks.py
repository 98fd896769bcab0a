"""What is to be said of pods and namespaces whose QoS annotations, as a whole or in part, are not in force."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ovnqos import Code, Namespace, Pod
from ovnqos.controller import NO_POD_QOS
from ovnqosd.loop.outcomes import AnnotationProblem, ObjectRemark

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from ovnqos import Compiler, PodQos
    from ovnqos.kubernetes import Metadata

_POD: Final = "Pod"
_NAMESPACE: Final = "Namespace"
_Object = tuple[str, str]  # kind, key


@dataclass(frozen=True, slots=True)
class _Annotated:
    """An object of this zone whose annotations say something."""

    uid: str
    qos: PodQos


class Remarks:
    """Knows the annotated pods of this zone and the annotated namespaces, and what was told of each.

    Not for several threads: the reconcile loop uses it.
    """

    def __init__(self, live: Compiler, *, tells_of_namespaces: Callable[[], bool] = lambda: True) -> None:
        """Nothing is known.

        Args:
            live: knows which pods are of this zone, and what they compiled to.
            tells_of_namespaces: whether this daemon is the one of the cluster's to tell of namespaces.
        """
        self._live = live
        self._tells_of_namespaces = tells_of_namespaces
        self._annotated: dict[_Object, _Annotated] = {}
        self._told: dict[_Object, tuple[str, ...]] = {}
        self._hidden: Mapping[str, tuple[str, ...]] = {}  # pod's key -> which of its limits a rule hides
        self._pending: set[_Object] = set()
        self._problems = dict.fromkeys(AnnotationProblem, 0)

    def note(self, metadata: Metadata, one: object) -> None:
        """There is a new version of an object; others than pods and namespaces are passed over."""
        if isinstance(one, Pod):
            kind, qos = _POD, one.qos if self._live.inventory.topology.in_zone(one.node) else NO_POD_QOS
        elif isinstance(one, Namespace):
            kind, qos = _NAMESPACE, one.qos
        else:
            return
        self._count(kind, metadata.key, None if qos is NO_POD_QOS else _Annotated(metadata.uid, qos))
        if kind == _NAMESPACE and (kind, metadata.key) in self._annotated.keys() | self._told.keys():
            self._pending.add((kind, metadata.key))

    def forget(self, kind: str, key: str) -> None:
        """An object is gone."""
        self._count(kind, key, None)
        self._told.pop((kind, key), None)
        self._pending.discard((kind, key))

    def compiled(self, pods: Iterable[str]) -> None:
        """These pods were compiled anew."""
        self._pending.update((_POD, key) for key in pods)

    def meet_hidden(self, hidden: Mapping[str, tuple[str, ...]]) -> None:
        """Takes which pods' limits are hidden now, by key, in words."""
        changed = {key for key in hidden.keys() | self._hidden.keys() if hidden.get(key) != self._hidden.get(key)}
        self._hidden = hidden
        self.compiled(changed)

    def settle(self) -> tuple[ObjectRemark, ...]:
        """What has not been told yet, sorted."""
        pending, self._pending = self._pending, set()
        return tuple(self._new(sorted(pending)))

    def problems(self) -> dict[AnnotationProblem, int]:
        """How many annotations are not in force, by why."""
        return dict(self._problems)

    def _new(self, pending: Iterable[_Object]) -> Iterator[ObjectRemark]:
        for kind, key in pending:
            if kind == _NAMESPACE and not self._tells_of_namespaces():
                continue
            notes = self._notes(kind, key)
            if notes == self._told.get((kind, key), ()):
                continue
            if notes:
                self._told[kind, key] = notes
                annotated = self._annotated.get((kind, key))
                yield ObjectRemark(kind=kind, key=key, uid=annotated.uid if annotated else "", notes=notes)
            else:
                del self._told[kind, key]

    def _notes(self, kind: str, key: str) -> tuple[str, ...]:
        if kind == _POD:
            return (*(one.message for one in self._live.diagnostics(kind, key)), *self._hidden.get(key, ()))
        annotated = self._annotated.get((kind, key))
        return tuple(one.message for one in annotated.qos.diagnostics) if annotated else ()

    def _count(self, kind: str, key: str, new: _Annotated | None) -> None:
        old = self._annotated.pop((kind, key), None)
        if new is not None:
            self._annotated[kind, key] = new
        for one, step in ((old, -1), (new, 1)):
            if one is not None:
                codes = [diagnostic.code for diagnostic in one.qos.diagnostics]
                self._problems[AnnotationProblem.INVALID] += step * codes.count(Code.INVALID_FIELD)
                self._problems[AnnotationProblem.INEXPRESSIBLE] += step * codes.count(Code.UNSUPPORTED_ANNOTATION)
