"""One table of the objects: which are there, what is to be said of each in status, Events and log, and what was."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from ovnqos import (
    Code,
    Diagnostic,
    InvalidObject,
    Namespace,
    NetworkAttachmentDefinition,
    NetworkQoS,
    OutcomeUnknown,
    Pod,
)
from ovnqos.controller import NO_POD_QOS
from ovnqosd.loop.outcomes import PROBLEMS, AnnotationProblem, ObjectUpdate, Trigger
from ovnqosd.status.events import is_of_qos
from ovnqosd.status.object_status import write_last_valid
from ovnqosd.status.policy_outcome import (
    ComparisonFinding,
    PolicyOutcome,
    PolicyState,
    Reason,
    choose_reason,
    object_ref,
    unavailable,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ovnqos import Compiler, OvnQosError, Severity
    from ovnqos.kubernetes import Changes, ObservedObject
    from ovnqosd.loop.outcomes import PassRecord
    from ovnqosd.status.object_status import ObservedStatus


POLICY_KIND: Final = "NetworkQoS"
POD_KIND: Final = "Pod"
_NAMESPACE_KIND: Final = "Namespace"
_COUNTED_ONLY: Final = frozenset({Code.POD_NOT_WIRED, Code.MISSING_SWITCH})
"""What passes by itself while pods and nodes start: the metric counts it, no Event tells it."""
_OF_PODS: Final = (
    ComparisonFinding.FOREIGN_CONFLICT,
    ComparisonFinding.SHADOWED_LIMIT,
    ComparisonFinding.FOREIGN_ROW_SHADOWED,
    ComparisonFinding.REMOVAL_HELD,
    ComparisonFinding.MISSING_SWITCH,
    ComparisonFinding.MISSING_PORT,
    ComparisonFinding.REFUSAL,
)
_Key = tuple[str, str]  # kind, and `<namespace>/<name>` or `<name>`
_log = structlog.get_logger()


@dataclass(slots=True, eq=False)
class _Object:
    uid: str = ""
    generation: int = 0
    parsed: tuple[Diagnostic, ...] = ()
    reported: tuple[Diagnostic, ...] = ()
    in_force: str | None = None  # of a pod, as reported
    problems: tuple[AnnotationProblem, ...] = ()  # as counted
    said: tuple[tuple[Code, Severity], ...] = ()  # as counted
    of_zone: tuple[Diagnostic, ...] = ()  # what is said of a policy in this zone, as reported
    reason: Reason | None = None
    nodes: frozenset[str] = frozenset()  # with source pods of a policy, as of `nodes_generation` or the last full pass
    nodes_generation: int = -1


class ObjectTable:
    """The NetworkQoS objects, and those other objects that something is to be said of. Not thread-safe.

    Attributes:
        policy_counts: how many policies there are by the reason that was last reported.
        annotation_problems: how many annotations of this zone's pods, and of namespaces, are not in force, by why.
        said: how many diagnostics there are of objects, by code and severity.
    """

    def __init__(self, compiler: Compiler, *, is_elected: Callable[[], bool] = lambda: True) -> None:
        """Start empty.

        Args:
            compiler: gets every object, and says what it compiled to.
            is_elected: whether this daemon is the one of the cluster's to report what is not of a single zone.
        """
        self.policy_counts: Counter[Reason] = Counter()
        self.annotation_problems: Counter[AnnotationProblem] = Counter(dict.fromkeys(AnnotationProblem, 0))
        self.said: Counter[tuple[Code, Severity]] = Counter()
        self._compiler = compiler
        self._is_elected = is_elected
        self._objects: dict[_Key, _Object] = {}
        self._diagnostics: dict[ComparisonFinding, dict[_Key, tuple[Diagnostic, ...]]] = {
            finding: {} for finding in ComparisonFinding
        }
        self._dirty: set[str] = set()  # policies whose outcome is to be reported
        self._untold: dict[str, PolicyOutcome] = {}  # of policies without pods here, until this daemon is elected
        self._unreported_pods: set[_Key] = set()
        self._written_pods: set[_Key] = set()  # whose rows were written, and not reported since
        self._unreported: set[_Key] = set()  # objects of no single zone
        self._invalid_elsewhere: set[_Key] = set()  # invalid pods that are not known to be of this zone

    # Objects

    def apply(self, batches: Iterable[Changes]) -> None:
        """Take changes of Kubernetes objects, in the order they came."""
        for changes in batches:
            for one in changes.updated:
                named = (changes.kind, one.metadata.key)
                if changes.kind == POLICY_KIND and self._is_another(named, one):
                    self._compiler.delete(*named)  # an invalid object has no last valid version of a dead one
                if isinstance(one.object, InvalidObject) and one.status is not None:  # a policy's
                    self._restore_last_valid(one.status)
                self._apply(named, one, self._compile(named, one))
            for key in changes.deleted:
                self._compiler.delete(changes.kind, key)
                self._delete((changes.kind, key))

    def mark_all_dirty(self) -> None:
        """Have the outcome of every policy reported again."""
        self._dirty.update(key for kind, key in self._objects if kind == POLICY_KIND)

    def _restore_last_valid(self, status: ObservedStatus) -> None:
        """Have the last valid version compiled that a process before this one wrote down."""
        if status.key not in self._compiler.policies and (found := status.read_last_valid()) is not None:
            self._compiler.apply(found)

    def _compile(self, key: _Key, observed: ObservedObject) -> tuple[Diagnostic, ...]:
        """Have an object compiled. Returns an error when that fails, which loses none of the objects that follow."""
        try:
            self._compiler.apply(observed.object)
        except Exception as error:
            _log.exception("object not compiled", kind=key[0], object=key[1])
            text = f"cannot be compiled: {type(error).__name__}: {error}; its present rows stay"
            ref = object_ref(*key)
            failed = InvalidObject(ref, [Diagnostic.error(ref, Code.COMPILE_FAILED, text)])
            self._compiler.apply(failed)
            return failed.diagnostics
        return ()

    def _apply(self, key: _Key, observed: ObservedObject, failed: tuple[Diagnostic, ...]) -> None:
        one, kind = observed.object, key[0]
        parsed: tuple[Diagnostic, ...] = ()
        is_kept = kind == POLICY_KIND
        if isinstance(one, InvalidObject):
            _log.warning("invalid object", kind=kind, object=key[1], error=str(one))
            parsed = one.warnings if kind == POLICY_KIND else (*one.diagnostics, *one.warnings)
        elif isinstance(one, Namespace):
            parsed, is_kept = (*failed, *one.qos.diagnostics), one.qos is not NO_POD_QOS
        elif isinstance(one, NetworkQoS):
            parsed = one.diagnostics  # a policy's errors are in its condition
        elif isinstance(one, NetworkAttachmentDefinition):
            parsed = (*failed, *one.diagnostics)
        if kind == POD_KIND:
            parsed, is_kept = (), self._apply_pod(key, one, is_invalid=isinstance(one, InvalidObject) or bool(failed))
        known = self._objects.get(key)
        if known is None and not is_kept and not parsed:
            return
        if known is None or self._is_another(key, observed):
            known = self._replace(key, _Object())
        if isinstance(one, Namespace):  # of one that is not valid the last valid version's annotations hold
            self._count_problems(known, parsed if is_kept else ())
        if kind not in (POLICY_KIND, POD_KIND):
            self._count_said(known, parsed)
        known.uid, known.generation, known.parsed = observed.metadata.uid, observed.metadata.generation, parsed
        if kind == POLICY_KIND:
            self._dirty.add(key[1])
        if kind != POD_KIND and parsed != known.reported:
            self._unreported.add(key)

    def _apply_pod(self, key: _Key, one: object, *, is_invalid: bool) -> bool:
        """Return whether there may be anything to say of a pod; another zone's daemon says it of that zone's pods."""
        inventory = self._compiler.inventory
        if isinstance(one, Pod):
            pod: Pod | None = one
        else:  # the last valid version knows the node
            namespace, _, name = key[1].partition("/")
            record = inventory.record(namespace, name)
            pod = record.pod if record is not None else inventory.pod_without_interfaces(namespace, name)
        is_ours = pod is not None and inventory.topology.in_zone(pod.node)
        self._invalid_elsewhere.discard(key)
        self._unreported.discard(key)
        if is_invalid and not is_ours:
            self._invalid_elsewhere.add(key)
        if pod is None:
            self._unreported.add(key)
            return True
        if not is_ours:
            return False
        is_kept = is_invalid or pod.qos is not NO_POD_QOS or pod.key in inventory.problems
        if is_kept or key in self._objects:
            self._unreported_pods.add(key)
        return is_kept

    def _is_another(self, key: _Key, observed: ObservedObject) -> bool:
        known = self._objects.get(key)
        return known is not None and known.uid not in ("", observed.metadata.uid)

    def _delete(self, key: _Key) -> None:
        if key in self._objects:
            self._replace(key, _Object())
            del self._objects[key]
        if key[0] == POLICY_KIND:
            self._dirty.discard(key[1])
            self._untold.pop(key[1], None)
        self._unreported.discard(key)
        self._invalid_elsewhere.discard(key)

    def _replace(self, key: _Key, new: _Object) -> _Object:
        """Exchange what is known of an object for what is known of a new one."""
        old = self._objects.get(key)
        if old is not None:
            self._count_problems(old, ())
            self._count_said(old, ())
            for found in self._diagnostics.values():
                found.pop(key, None)
            self._count_policy(old, None)
        self._objects[key] = new
        return new

    def _count_problems(self, known: _Object, diagnostics: Iterable[Diagnostic]) -> None:
        self.annotation_problems.subtract(known.problems)
        known.problems = tuple(PROBLEMS[one.code] for one in diagnostics if one.code in PROBLEMS and is_of_qos(one))
        self.annotation_problems.update(known.problems)

    def _count_said(self, known: _Object, diagnostics: Iterable[Diagnostic]) -> None:
        self.said.subtract(known.said)
        known.said = tuple((one.code, one.severity) for one in diagnostics)
        self.said.update(known.said)

    def _count_policy(self, policy: _Object, reason: Reason | None) -> None:
        if policy.reason is not None:
            self.policy_counts[policy.reason] -= 1
        if reason is not None:
            self.policy_counts[reason] += 1
        policy.reason = reason

    # What the database says of them

    def replace(self, finding: ComparisonFinding, found: Mapping[_Key, tuple[Diagnostic, ...]]) -> None:
        """Set all findings of this kind."""
        known = self._diagnostics[finding]
        self.update(finding, {key: found.get(key, ()) for key in known.keys() | found.keys()})

    def update(self, finding: ComparisonFinding, found: Mapping[_Key, tuple[Diagnostic, ...]]) -> None:
        """Set the findings of this kind on these objects; none where the tuple is empty."""
        known = self._diagnostics[finding]
        for key, diagnostics in found.items():
            if known.get(key, ()) == diagnostics:
                continue
            if diagnostics:
                known[key] = diagnostics
            else:
                del known[key]
            if key[0] == POD_KIND:
                self._unreported_pods.add(key)
            elif key in self._objects:
                self._dirty.add(key[1])

    # What is to be reported

    def mark_pods(self, keys: Iterable[str]) -> None:
        """Have the diagnostics of pods looked at again: they were compiled anew."""
        self._unreported_pods.update({(POD_KIND, key) for key in keys} - self._invalid_elsewhere)

    def report(self, record: PassRecord) -> tuple[dict[str, PolicyOutcome], tuple[ObjectUpdate, ...]]:
        """Return the outcomes that a pass may have changed, and the objects with new diagnostics.

        After a pass that failed the outcomes are returned again by the next one, and the diagnostics only then.
        """
        self._dirty.update(key for key in record.policies if (POLICY_KIND, key) in self._objects)
        self.mark_pods(record.pods)
        kinds = ((kind, key) for kind, _, key in (one.partition("/") for one in record.objects))
        self._written_pods.update(key for key in kinds if key[0] == POD_KIND and key in self._objects)
        if isinstance(record.error, OutcomeUnknown):
            return {}, ()  # the next pass knows
        if record.error is None:
            self._take_refusals(record)
            if record.trigger is Trigger.FULL:
                self._follow_nodes()
        outcomes = {key: self._outcome(key, record.error) for key in self._dirty}
        for key, outcome in outcomes.items():
            known = self._objects[POLICY_KIND, key]
            self._count_policy(known, outcome.reason)
            self._count_said(known, (*outcome.causes, *outcome.warnings))
        if record.error is not None:
            return outcomes, ()
        self._dirty.clear()
        unreported, self._unreported_pods = self._unreported_pods | self._written_pods, set()
        if self._is_elected():
            unreported |= self._unreported
            self._unreported = set()
        reports = [*map(self._report, sorted(unreported))]
        untold = self._untold if self._untold and self._is_elected() else {}
        reports.extend(self._report_policy(*one) for one in {**untold, **outcomes}.items())
        self._written_pods.clear()
        return outcomes, tuple(filter(None, reports))

    def _report_policy(self, key: str, outcome: PolicyOutcome) -> ObjectUpdate | None:
        """What is new of a policy in this zone, beside what is said of the object itself."""
        known = self._objects[POLICY_KIND, key]
        if not outcome.sources and not self._is_elected():  # as of its condition
            self._untold[key] = outcome
            return None
        self._untold.pop(key, None)
        told = tuple(one for one in outcome.told if one not in known.parsed)
        before, known.of_zone = known.of_zone, (*told, *outcome.logged)
        if known.of_zone in (before, ()):
            return None
        return ObjectUpdate(object=object_ref(POLICY_KIND, key), uid=known.uid, diagnostics=told, logged=outcome.logged)

    def _take_refusals(self, record: PassRecord) -> None:
        """Set which objects the server refuses; a pass that did not touch an object knows nothing new of it."""
        known: dict[_Key, tuple[Diagnostic, ...]] = {(POLICY_KIND, key): () for key in record.policies}
        known.update({(POD_KIND, key): () for key in record.pods})
        found = {key: (unavailable(object_ref(*key), error),) for key, error in record.refused.items()}
        if record.trigger is Trigger.FULL:
            self.replace(ComparisonFinding.REFUSAL, found)
        else:
            self.update(ComparisonFinding.REFUSAL, {**known, **found})

    def _outcome(self, key: str, error: OvnQosError | None) -> PolicyOutcome:
        policy = (POLICY_KIND, key)
        known, compiled, invalid = self._objects[policy], self._compiler.compiled(key), self._compiler.invalid.get(key)
        if error is None:
            diagnostics = self._compiler.diagnostics(*policy)
        else:  # what is not compiled yet stays so: there is no hurry
            diagnostics = (*(invalid.diagnostics if invalid else ()), *known.parsed)
            diagnostics += tuple(compiled.diagnostics) if compiled is not None else ()
        state = PolicyState(
            is_invalid=invalid is not None,
            is_compiled=compiled is not None,
            has_rows=compiled is not None and bool(compiled.rows),
            diagnostics=diagnostics,
            findings={finding: said for finding in ComparisonFinding if (said := self._said(finding, policy))},
            outage=(unavailable(object_ref(*policy), error),) if error is not None else (),
        )
        reason, causes, warnings = choose_reason(state)
        counts = self._compiler.policy_counts(key)
        return PolicyOutcome(
            key=key,
            uid=known.uid,
            generation=known.generation,
            reason=reason,
            causes=causes,
            warnings=warnings,
            sources=counts.pods > 0 or reason is Reason.REMOVAL_HELD,
            counts=counts,
            nodes=self._nodes(key, known),
            last_valid=write_last_valid(self._compiler.policies.get(key)) if invalid is not None else "",
        )

    def _nodes(self, key: str, known: _Object) -> frozenset[str]:
        """The nodes whose zones are to report on a policy. Of pods elsewhere that come and go a full pass knows."""
        if known.nodes_generation != known.generation and self._compiler.inventory.topology.zone_nodes is not None:
            known.nodes, known.nodes_generation = self._compiler.source_nodes(key), known.generation
        return known.nodes

    def _follow_nodes(self) -> None:
        if self._compiler.inventory.topology.zone_nodes is None:
            return
        for (kind, key), known in self._objects.items():
            if kind == POLICY_KIND and known.nodes != (nodes := self._compiler.source_nodes(key)):
                known.nodes, known.nodes_generation = nodes, known.generation
                self._dirty.add(key)

    def _report(self, key: _Key) -> ObjectUpdate | None:
        kind, name = key
        known = self._objects.get(key)
        if kind == POD_KIND:
            found = (*self._compiler.diagnostics(kind, name), *(one for of in _OF_PODS for one in self._said(of, key)))
            diagnostics = tuple(one for one in found if one.code not in _COUNTED_ONLY)
        else:
            found = diagnostics = known.parsed if known is not None else ()
        if known is None:
            if not diagnostics:
                return None
            known = self._objects[key] = _Object()
        if kind == POD_KIND:
            self._count_problems(known, found if self._may_have_qos(name) else ())
            self._count_said(known, found)
        in_force = self._in_force(key, known)
        is_new = diagnostics != known.reported
        known.reported = diagnostics
        if in_force is None and not (is_new and diagnostics):
            return None
        told = diagnostics if is_new else ()
        return ObjectUpdate(object=object_ref(*key), uid=known.uid, diagnostics=told, in_force=in_force)

    def _may_have_qos(self, pod: str) -> bool:
        """Whether a pod may have a limit or mark that is not in force: not every pod without readable networks has."""
        if pod not in self._compiler.inventory.problems:
            return True
        inventory = self._compiler.inventory
        record = inventory.record(*pod.split("/"))
        found = record.pod if record is not None else inventory.pod_without_interfaces(*pod.split("/"))
        return found is not None and found.qos is not NO_POD_QOS

    def _in_force(self, key: _Key, known: _Object) -> str | None:
        """What an annotated pod has in force, where its rows were written and that is another than was reported."""
        if key not in self._written_pods or not known.uid:
            return None
        in_force = self._compiler.pod_effect(key[1])
        if in_force == known.in_force:
            return None
        known.in_force = in_force
        return in_force

    def _said(self, finding: ComparisonFinding, key: _Key) -> tuple[Diagnostic, ...]:
        return self._diagnostics[finding].get(key, ())
