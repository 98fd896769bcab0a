"""Whether a policy (NetworkQoS) is in force in this zone, and why not: conditions, Events and metrics render it.

`choose_reason` chooses what its author must know first, of all that is known.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, StrEnum, auto
from itertools import chain
from typing import TYPE_CHECKING, Final

from ovnqos import Code, Diagnostic, ObjectRef, Severity
from ovnqos.controller import PolicyCounts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ovnqos import OvnQosError

APPLIED: Final = "NetworkQoS Destinations applied"
"""What status says of an object that is in force: the text of upstream's guide."""


class Reason(StrEnum):
    """Why a policy is, or is not, in force in this zone: the reason of its condition.

    With SUCCESS and NOTHING_SELECTED the condition is True: the Northbound holds all that the policy asks for.
    """

    SUCCESS = "Success"
    INVALID = "Invalid"
    UNSUPPORTED = "Unsupported"
    CONFLICT = "Conflict"
    NORTHBOUND_UNAVAILABLE = "NorthboundUnavailable"
    WAITING = "Waiting"
    REMOVAL_HELD = "RemovalHeld"
    NOTHING_SELECTED = "NothingSelected"


_SELECTS_NOTHING: Final = frozenset(
    {
        Code.NETWORK_NOT_ATTACHED,
        Code.NEVER_MATCHES,
        Code.NO_EFFECT,
        Code.NO_NETWORK_MATCHES,
        Code.NO_POD_MATCHES,
        Code.NOT_OVN,
        Code.POD_COMPLETED,
        Code.POD_NOT_WIRED,
        Code.POD_ON_HOST_NETWORK,
        Code.POD_UNREADABLE,
        Code.PORT_CLAIMED,
        Code.UNKNOWN_NETWORK,
    }
)
"""What can be why a policy has no row, though it is valid and nothing stands against it."""


IN_FORCE: Final = frozenset({Reason.SUCCESS, Reason.NOTHING_SELECTED})


class ComparisonFinding(Enum):
    """What comparing with the Northbound finds of an object, beside what its compiler says."""

    REFUSAL = auto()
    FOREIGN_CONFLICT = auto()
    MISSING_SWITCH = auto()
    MISSING_PORT = auto()
    SHADOWED_LIMIT = auto()
    FOREIGN_ROW_SHADOWED = auto()
    REMOVAL_HELD = auto()


_WARNINGS: Final = (
    ComparisonFinding.MISSING_PORT,
    ComparisonFinding.SHADOWED_LIMIT,
    ComparisonFinding.FOREIGN_ROW_SHADOWED,
)
"""What leaves a policy in force: a pod without a port sends nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyOutcome:
    """Whether a policy is in force in this zone.

    Attributes:
        key: `<namespace>/<name>`.
        uid: the object's uid; empty when it is not known.
        generation: the generation that `reason` is about.
        reason: Success, or what is wrong.
        causes: what the reason consists of; empty for Success.
        warnings: what else its author should know.
        sources: whether the zone has source pods for it.
        counts: how far it reaches in this zone.
        nodes: the nodes with source pods for it, those of other zones too; empty where this zone is the only one.
        last_valid: of an invalid policy the last valid version, as JSON; empty if it is not known.
    """

    key: str
    uid: str
    generation: int
    reason: Reason
    causes: tuple[Diagnostic, ...] = ()
    warnings: tuple[Diagnostic, ...] = ()
    sources: bool = True
    counts: PolicyCounts = field(default_factory=PolicyCounts)
    nodes: frozenset[str] = frozenset()
    last_valid: str = ""

    @property
    def message(self) -> str:
        """The reason in one line."""
        return "; ".join(one.message for one in self.causes) or APPLIED

    @property
    def told(self) -> tuple[Diagnostic, ...]:
        """What has Events of its own, beside that of the condition: why nothing is selected, and the warnings."""
        return (*(self.causes if self.reason is Reason.NOTHING_SELECTED else ()), *self.warnings)

    @property
    def logged(self) -> tuple[Diagnostic, ...]:
        """What only the condition says and the log repeats; of other reasons the log has a line when they arise."""
        return self.causes if self.reason in {Reason.CONFLICT, Reason.WAITING} else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyState:
    """All that is known of a policy in this zone.

    Attributes:
        is_invalid: whether its present version is not valid.
        is_compiled: whether a valid version of it is compiled, so that its rows are in force or are to be.
        has_rows: whether that has any row.
        diagnostics: what parser and compiler say, errors of an invalid version among them.
        findings: what comparing with the Northbound found; nothing is known of it if `outage` is given.
        outage: why the pass failed as a whole.
    """

    is_invalid: bool = False
    is_compiled: bool = True
    has_rows: bool = True
    diagnostics: tuple[Diagnostic, ...] = ()
    findings: Mapping[ComparisonFinding, tuple[Diagnostic, ...]] = field(default_factory=dict)
    outage: tuple[Diagnostic, ...] = ()


def choose_reason(state: PolicyState) -> tuple[Reason, tuple[Diagnostic, ...], tuple[Diagnostic, ...]]:
    """Return the reason of a policy's condition, what it consists of, and the other diagnostics.

    What only the policy's author can correct comes first, then what the Northbound did not take.
    """
    errors, conflicts, others = _sorted(state.diagnostics)
    found = state.findings
    warnings = (*others, *chain.from_iterable(found.get(one, ()) for one in _WARNINGS))
    if state.is_invalid or errors:
        kept = (last_valid_version(errors[0].object),) if state.is_compiled and errors else ()
        return Reason.INVALID if state.is_invalid else Reason.UNSUPPORTED, (*errors, *kept), warnings
    if unavailable := state.outage or found.get(ComparisonFinding.REFUSAL, ()):
        return Reason.NORTHBOUND_UNAVAILABLE, unavailable, warnings
    if held := found.get(ComparisonFinding.REMOVAL_HELD, ()):
        return Reason.REMOVAL_HELD, held, warnings
    if conflicts := found.get(ComparisonFinding.FOREIGN_CONFLICT, ()) or conflicts:
        return Reason.CONFLICT, conflicts, warnings
    if missing := found.get(ComparisonFinding.MISSING_SWITCH, ()):
        return Reason.WAITING, missing, warnings
    if not state.has_rows and (causes := tuple(one for one in warnings if one.code in _SELECTS_NOTHING)):
        return Reason.NOTHING_SELECTED, causes, tuple(one for one in warnings if one not in causes)
    return Reason.SUCCESS, (), warnings


def last_valid_version(ref: ObjectRef) -> Diagnostic:
    """Say that an object keeps its last valid version."""
    text = "the last valid version stays in force"
    return Diagnostic(severity=Severity.INFO, code=Code.LAST_VALID_VERSION, object=ref, text=text)


def unavailable(ref: ObjectRef, error: OvnQosError) -> Diagnostic:
    """Say of an object that the Northbound does not answer, or refuses its rows."""
    return Diagnostic.error(ref, Code.NORTHBOUND_UNAVAILABLE, " ".join(str(error).split()))


def object_ref(kind: str, key: str) -> ObjectRef:
    """Name an object by its kind and key (`<namespace>/<name>`, or `<name>`)."""
    namespace, _, name = key.rpartition("/")
    return ObjectRef(kind=kind, namespace=namespace, name=name)


def _sorted(diagnostics: Iterable[Diagnostic]) -> tuple[tuple[Diagnostic, ...], ...]:
    """The errors, the conflicts with other policies, and the rest."""
    errors: list[Diagnostic] = []
    conflicts: list[Diagnostic] = []
    others: list[Diagnostic] = []
    for one in diagnostics:
        kind = errors if one.severity is Severity.ERROR else conflicts if one.code is Code.CONFLICT else others
        kind.append(one)
    return tuple(errors), tuple(conflicts), tuple(others)
