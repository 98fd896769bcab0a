"""What is said of an object: one value that parser, compiler, planner and daemon produce, and every output renders."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def printable(text: str, *, keep: str = "") -> str:
    """Text that is safe for a terminal, a log and an object of Kubernetes.

    What cannot be seen is written as JSON escapes it: control characters (ESC, NUL, newlines), overrides of the
    direction of writing, lone surrogates. So in a JSON document the value stays the same.

    Args:
        text: what anybody may have written.
        keep: characters that stay as they are, such as the newlines of a text of several lines.
    """
    if text.isprintable():
        return text
    return "".join(one if one in keep or one.isprintable() else json.dumps(one)[1:-1] for one in text)


class Severity(StrEnum):
    """How bad it is.

    An ERROR keeps the object, or the field, from taking effect. A WARNING says that the effect is not what its author
    is likely to expect. INFO needs no action.
    """

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class Code(StrEnum):
    """What kind of thing is said. Stable: scripts, metrics and tests use it instead of the text."""

    # sources
    INVALID_FIELD = "InvalidField"
    MISSING_FIELD = "MissingField"
    UNKNOWN_FIELD = "UnknownField"
    DUPLICATE_FIELD = "DuplicateField"
    DUPLICATE_OBJECT = "DuplicateObject"
    UNREADABLE_OBJECT = "UnreadableObject"
    UNSUPPORTED_ANNOTATION = "UnsupportedAnnotation"
    HOST_BITS = "HostBits"
    NO_EFFECT = "NoEffect"
    BURST_BELOW_FRAME = "BurstBelowFrame"
    BURST_LIMITS_TCP = "BurstLimitsTcp"
    # convert
    NOT_CONVERTED = "NotConverted"
    EFFECT_DIFFERS = "EffectDiffers"
    TRANSIENT_LABELS = "TransientLabels"
    # compile
    ADDRESS_OUTSIDE_CLUSTER = "AddressOutsideCluster"
    BEFORE_LOAD_BALANCING = "BeforeLoadBalancing"
    COMPILE_FAILED = "CompileFailed"
    CONFLICT = "Conflict"
    CONFLICTS_UNCHECKED = "ConflictsUnchecked"
    NETWORK_NOT_ATTACHED = "NetworkNotAttached"
    FRAGMENTS = "Fragments"
    NEVER_MATCHES = "NeverMatches"
    NO_CLUSTER_CIDRS = "NoClusterCidrs"
    NO_DEFAULT_INTERFACE = "NoDefaultInterface"
    NO_NETWORK_MATCHES = "NoNetworkMatches"
    NO_POD_ADDRESSES = "NoPodAddresses"
    NO_POD_MATCHES = "NoPodMatches"
    NOT_OVN = "NotOvn"
    POD_COMPLETED = "PodCompleted"
    POD_IN_OTHER_ZONE = "PodInOtherZone"
    POD_NOT_WIRED = "PodNotWired"
    POD_ON_HOST_NETWORK = "PodOnHostNetwork"
    POD_UNREADABLE = "PodUnreadable"
    PORT_CLAIMED = "PortClaimed"
    SHADOWED_LIMIT = "ShadowedLimit"
    TOO_MANY_MEMBERS = "TooManyMembers"
    TOO_MANY_ROWS = "TooManyRows"
    TOPOLOGIES_DIFFER = "TopologiesDiffer"
    UNCERTAIN_TOPOLOGY = "UncertainTopology"
    UNKNOWN_NETWORK = "UnknownNetwork"
    # plan
    ADDRESS_CLAIMED = "AddressClaimed"
    FOREIGN_CONFLICT = "ForeignConflict"
    FOREIGN_ROW_SHADOWED = "ForeignRowShadowed"
    INCOMPLETE_INPUT = "IncompleteInput"
    MISSING_PORT = "MissingPort"
    MISSING_SWITCH = "MissingSwitch"
    SECOND_CONTROLLER = "SecondController"
    # verify
    CHASSIS_BEHIND = "ChassisBehind"
    PROMISE_DIFFERS = "PromiseDiffers"
    PROMISE_MISSING = "PromiseMissing"
    PROMISE_PARTLY = "PromisePartly"
    PROMISE_UNDEFINED = "PromiseUndefined"
    ROW_ABSENT = "RowAbsent"
    ROW_BROKEN = "RowBroken"
    ROW_IDLE = "RowIdle"
    ROW_INEFFECTIVE = "RowIneffective"
    ROW_PARTLY = "RowPartly"
    ROW_RE_MARKED = "RowReMarked"
    ROW_SHADOWED = "RowShadowed"
    ROW_UNBOUND = "RowUnbound"
    ROW_UNDEFINED = "RowUndefined"
    # daemon
    CHANGE_DELAYED = "ChangeDelayed"
    LAST_VALID_VERSION = "LastValidVersion"
    NORTHBOUND_UNAVAILABLE = "NorthboundUnavailable"
    REMOVAL_HELD = "RemovalHeld"


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectRef:
    """The object that something is said of; a field is empty where it is not known or does not apply.

    Attributes:
        kind: its Kubernetes kind.
        namespace: its namespace.
        name: its name.
        origin: the file that it was read from.
    """

    kind: str
    namespace: str = ""
    name: str = ""
    origin: str = ""

    @property
    def key(self) -> str:
        """`<namespace>/<name>`, or `<name>` of a cluster-wide object."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name

    def __str__(self) -> str:
        words = f"{self.kind} {self.key}" if self.name else self.kind or "object"
        return printable(f"{words} ({self.origin})" if self.origin else words)


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostic:
    """One thing that is said of an object.

    Attributes:
        severity: how bad it is.
        code: what kind of thing it is.
        object: the object.
        path: the field, dotted, with list indexes: `spec.egress[0].dscp`; empty for the object as a whole.
        text: what is wrong, one line.
        hint: what to do, one line; may be empty.
    """

    severity: Severity
    code: Code
    object: ObjectRef
    path: str = ""
    text: str
    hint: str = ""

    @classmethod
    def error(cls, ref: ObjectRef, code: Code, text: str, *, path: str = "", hint: str = "") -> Diagnostic:
        """An error of an object."""
        return cls(severity=Severity.ERROR, code=code, object=ref, path=path, text=text, hint=hint)

    @classmethod
    def warning(cls, ref: ObjectRef, code: Code, text: str, *, path: str = "", hint: str = "") -> Diagnostic:
        """A warning of an object."""
        return cls(severity=Severity.WARNING, code=code, object=ref, path=path, text=text, hint=hint)

    @property
    def message(self) -> str:
        """`<field path>: <text>; <hint>`, in one line, for places that name the object already."""
        said = f"{self.text}; {self.hint}" if self.hint else self.text
        return printable(f"{self.path}: {said}" if self.path else said)

    def __str__(self) -> str:
        return f"{self.object}: {self.message}"


def listed(names: Iterable[str], *, at_most: int = 5) -> str:
    """Names as a message has them: sorted, with commas, cut after `at_most` with `and N more`."""
    ordered = sorted(names)
    more = len(ordered) - at_most
    return ", ".join(ordered[:at_most]) + (f" and {more} more" if more > 0 else "")
