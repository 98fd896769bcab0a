"""How often the limits of a pod, or of a namespace, may change: each change gives a meter a full bucket."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from ovnqos import Code, Diagnostic, Namespace, ObjectRef, Pod, PodQos, Severity
from ovnqos.controller import NO_POD_QOS
from ovnqos.kubernetes import Changes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ovnqos import Bandwidth, Compiler
    from ovnqos.kubernetes import Clock, ObservedObject

INTERVAL_S: Final = 15.0
"""Between two changes, for a burst of one second of the rate or less, and so much longer for a longer one. Four buckets
of a second a minute let 7 % more pass than the rate."""
LONGEST_S: Final = 300.0
STABLE_S: Final = 5.0
"""How long a change that was held back must stay as it is, so that a limit that comes and goes stays."""
_DIRECTIONS: Final = ("ingress", "egress")
_FORGET_S: Final = 60.0
_Key = tuple[str, str]  # kind, and `<namespace>/<name>` or `<name>`


class LimitChanges:
    """Hold back changes of limits that come soon after another change of the same object. Not thread-safe.

    A new object and a first change take effect at once, and so does a limit where there is none. All else of an object
    is never held back: its labels, networks, mark and diagnostics.
    """

    def __init__(self, compiler: Compiler, clock: Clock) -> None:
        """Start with nothing held back.

        Args:
            compiler: knows the limits in force.
            clock: the time.
        """
        self._compiler = compiler
        self._clock = clock
        self._changed: dict[_Key, float] = {}  # until when the limits may not change again
        self._held: dict[_Key, tuple[float, ObservedObject]] = {}  # when it is due, and the newest version
        self._forget_at = 0.0

    @property
    def next_time(self) -> float | None:
        """When the next change is due, on the monotonic clock; None: none is held back."""
        return min((due for due, _ in self._held.values()), default=None)

    def take(self, batches: Iterable[Changes]) -> list[Changes]:
        """Return the changes to apply now: what came, less the limits that are held back, and before it what is due."""
        now = self._clock.monotonic()
        self._forget(now)
        taken = [self._release(key, now) for key, (due, _) in [*self._held.items()] if due <= now]
        for changes in batches:
            if changes.kind not in {"Pod", "Namespace"}:
                taken.append(changes)
                continue
            updated = tuple(self._checked(changes.kind, one, now) for one in changes.updated)
            is_same = all(one is other for one, other in zip(updated, changes.updated, strict=True))
            taken.append(changes if is_same else replace(changes, updated=updated))
            for key in changes.deleted:
                self._changed.pop((changes.kind, key), None)
                self._held.pop((changes.kind, key), None)
        return taken

    def _checked(self, kind: str, observed: ObservedObject, now: float) -> ObservedObject:
        """What to apply of a new version of an object."""
        one, key = observed.object, (kind, observed.metadata.key)
        if not isinstance(one, Pod | Namespace):
            return observed
        in_force = self._in_force(one)
        if in_force is None:
            self._changed.pop(key, None)
            self._held.pop(key, None)
        if in_force is None or (in_force is NO_POD_QOS and one.qos is NO_POD_QOS):
            return observed
        wanted = one.qos.after(in_force) if one.qos.unreadable else one.qos
        limits = [(getattr(in_force, name), getattr(wanted, name)) for name in _DIRECTIONS]
        until = self._changed.get(key, now)
        if all(before == after for before, after in limits):
            if self._held.pop(key, None) is not None:
                self._changed[key] = max(until, now + STABLE_S)
            return observed
        if until <= now or all(before in (None, after) for before, after in limits):
            self._note(key, limits, now)
            return observed
        held = self._held.get(key)
        if held is None or not _same_limits(held[1].object, one):
            until = max(until, now + STABLE_S)
        self._changed[key], self._held[key] = until, (until, observed)
        return replace(observed, object=_with_limits(one, in_force))

    def _in_force(self, one: Pod | Namespace) -> PodQos | None:
        """What holds of an object now; None where it is new."""
        inventory = self._compiler.inventory
        if isinstance(one, Namespace):
            return inventory.namespace_qos(one.name) if inventory.has_namespace(one.name) else None
        record = inventory.record(one.namespace, one.name)
        known = record.pod if record is not None else inventory.pod_without_interfaces(one.namespace, one.name)
        return known.qos if known is not None and known.uid == one.uid else None

    def _release(self, key: _Key, now: float) -> Changes:
        _, observed = self._held.pop(key)
        one = observed.object
        if isinstance(one, Pod | Namespace):
            in_force = self._in_force(one) or NO_POD_QOS
            limits = [(getattr(in_force, name), getattr(one.qos, name)) for name in _DIRECTIONS]
            self._note(key, limits, now)
        return Changes(kind=key[0], updated=(observed,))

    def _note(self, key: _Key, limits: Iterable[tuple[Bandwidth | None, ...]], now: float) -> None:
        """Take note that the limits of an object change now."""
        self._held.pop(key, None)
        longest = max((_burst_s(one) for both in limits for one in both if one is not None), default=1.0)
        self._changed[key] = now + min(INTERVAL_S * max(longest, 1.0), LONGEST_S)

    def _forget(self, now: float) -> None:
        """Forget changes of long ago."""
        if now >= self._forget_at:
            self._changed = {key: one for key, one in self._changed.items() if one > now}
            self._forget_at = now + _FORGET_S


def _same_limits(before: object, now: Pod | Namespace) -> bool:
    return isinstance(before, Pod | Namespace) and all(
        getattr(before.qos, name) == getattr(now.qos, name) for name in _DIRECTIONS
    )


def _burst_s(limit: Bandwidth) -> float:
    return 1.0 if limit.burst_kbit is None else limit.burst_kbit / limit.rate_kbps


def change_delayed(ref: ObjectRef) -> Diagnostic:
    """Say that a change of an object's limits is held back."""
    return Diagnostic(
        severity=Severity.INFO,
        code=Code.CHANGE_DELAYED,
        object=ref,
        path="metadata.annotations",
        text=f"limits change once in {INTERVAL_S:g} s at most, and seldomer with long bursts; the last change waits",
    )


def _with_limits(one: Pod | Namespace, in_force: PodQos) -> Pod | Namespace:
    """A version of an object, with the limits in force and a word on that."""
    namespace = one.namespace if isinstance(one, Pod) else ""
    ref = ObjectRef(kind=type(one).__name__, namespace=namespace, name=one.name)
    qos = replace(
        one.qos,
        ingress=in_force.ingress,
        egress=in_force.egress,
        diagnostics=(*one.qos.diagnostics, change_delayed(ref)),
        unreadable=one.qos.unreadable - {*_DIRECTIONS},
    )
    return replace(one, qos=qos)
