"""What was found about each promise of an object, and the packet that shows it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from ovnqos.diagnostics import Code, Diagnostic
from ovnqos.explain.explanation import Effect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovnqos.compile.promises import Promise
    from ovnqos.diagnostics import ObjectRef
    from ovnqos.explain.explanation import CandidateRow
    from ovnqos.explain.pipeline import PipelineVersion
    from ovnqos.southbound.packet_path import PacketPath
    from ovnqos.verify.effects import Departure, Promised

FORMAT: Final = "ovnqos.io/verify-objects/v1"


class ObjectVerdict(StrEnum):
    """Whether packets get what an object promises."""

    IN_FORCE = "in force"
    IDLE = "idle"  # no pod of this zone sends or receives such packets
    DIFFERS = "differs"  # a packet gets something else, or gets something that is not promised
    MISSING = "missing"  # no packet gets anything
    PARTLY = "partly"  # some packets get nothing
    UNDEFINED = "undefined"  # OVN applies either of two rows, or it depends on what a packet does not show

    @property
    def is_good(self) -> bool:
        """Whether nothing is wrong."""
        return self in {ObjectVerdict.IN_FORCE, ObjectVerdict.IDLE}


_CODES: Final = {
    ObjectVerdict.DIFFERS: Code.PROMISE_DIFFERS,
    ObjectVerdict.MISSING: Code.PROMISE_MISSING,
    ObjectVerdict.PARTLY: Code.PROMISE_PARTLY,
    ObjectVerdict.UNDEFINED: Code.PROMISE_UNDEFINED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A packet, what it is promised and what it gets.

    Attributes:
        switch: the logical switch that it enters.
        path: the packet.
        promised: what it is promised.
        actual: what it may leave with; several where that is not defined.
        version: how OVN looks rows up.
    """

    switch: str
    path: PacketPath
    promised: Promised
    actual: tuple[Departure, ...]
    version: PipelineVersion

    @property
    def promised_text(self) -> str:
        """Mark and limits for people; `nothing` where there are none."""
        mark, limits = self.promised.mark, self.promised.limits
        parts = [] if mark is None else [str(Effect(dscp=mark.dscp))]
        parts += [
            str(Effect(rate_kbps=one.limit.rate_kbps, burst_kbit=one.limit.burst_kbit))
            for one in limits
            if one.limit is not None
        ]
        return " and ".join(parts) or "nothing"

    @property
    def actual_text(self) -> str:
        """Mark and limits for people, with the rows that they are by."""
        return " or ".join(dict.fromkeys(map(_describe, self.actual)))

    def as_document(self) -> dict[str, Any]:
        """For programs."""
        promised, packet = self.promised, self.path.packet
        return {
            "switch": self.switch,
            "packet": str(self.path),
            "microflow": self.path.microflow,
            "outport": packet.outport,
            "pipeline_version": self.version,
            "promised": {
                "dscp": None if promised.mark is None else promised.mark.dscp,
                "limits": [
                    {"rate": one.limit.rate_kbps, "burst": one.limit.burst_kbit}
                    for one in promised.limits
                    if one.limit is not None
                ],
            },
            "actual": [
                {
                    "dscp": one.dscp,
                    "limits": [{"rate": row.rate_kbps, "burst": row.burst_kbit} for row in one.limited_by],
                    "rows": [_row_document(row) for row in dict.fromkeys(one.rows)],
                }
                for one in self.actual
            ],
        }


def _describe(departure: Departure) -> str:
    parts = [
        f"{row.effect(marks=row is departure.marked_by, limits=row in departure.limited_by)} by {_name(row)}"
        for row in dict.fromkeys(departure.rows)
    ]
    late = dict.fromkeys(one for one in (departure.late, *departure.received_by) if one is not None)
    there = ", ".join(map(_name, late))
    said = " and ".join(parts) or "nothing"
    return f"{said} ({there} is looked up on the receiver's chassis)" if there else said


def _name(row: CandidateRow) -> str:
    return f"{row.name} ({row.direction} {row.priority})"


def _row_document(row: CandidateRow) -> dict[str, Any]:
    return {
        "uuid": row.identity,
        "name": row.name,
        "object": row.object,
        "direction": row.direction,
        "priority": row.priority,
        "match": str(row.match),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectFinding:
    """What was found about one promise: a rule of a NetworkQoS, or an annotation, on one network.

    Attributes:
        object: whose promise it is.
        path: the rule or annotation.
        network: the network's name; empty where its pods are on none.
        verdict: whether packets get it.
        reason: why; of a promise in force how many packets show it.
        packets: how many were held against it.
        traced: how many of them ovn-trace confirmed.
        example: the packet that decides.
        details: what else was seen.
    """

    object: ObjectRef
    path: str
    network: str
    verdict: ObjectVerdict = ObjectVerdict.IDLE
    reason: str = ""
    packets: int = 0
    traced: int = 0
    example: Difference | None = None
    details: tuple[str, ...] = ()

    @classmethod
    def of(cls, promise: Promise) -> ObjectFinding:
        """Nothing was found yet."""
        return cls(object=promise.object, path=promise.path, network=promise.network)

    def but(self, verdict: ObjectVerdict, example: Difference, *, instead: str = "") -> ObjectFinding:
        """The same promise with a verdict that a packet shows; `instead` is why, where the rows are not."""
        if verdict is ObjectVerdict.IN_FORCE:
            return replace(self, verdict=verdict, example=example)
        reason = f"{example.path}: promised {example.promised_text}, leaves with {example.actual_text}"
        if instead:
            reason = f"{example.path}: promised {example.promised_text}, {instead}"
        return replace(self, verdict=verdict, reason=reason, example=example)

    @property
    def hint(self) -> str:
        """What to do; empty where nothing is wrong."""
        match self.verdict:
            case ObjectVerdict.MISSING:
                return "apply the object, or see the status and log of the controller that writes its rows"
            case ObjectVerdict.UNDEFINED:
                return "change one priority, or see with --trace what OVN does to the packet"
            case ObjectVerdict.DIFFERS | ObjectVerdict.PARTLY if self.example is not None:
                return f"see what OVN does: ovn-trace {self.example.switch} '{self.example.path.microflow}'"
        return ""

    def as_document(self) -> dict[str, Any]:
        """For programs."""
        return {
            "object": f"{self.object.kind}/{self.object.key}",
            "path": self.path,
            "network": self.network or None,
            "verdict": self.verdict.value,
            "good": self.verdict.is_good,
            "reason": self.reason or None,
            "hint": self.hint or None,
            "packets": self.packets,
            "traced": self.traced,
            "details": list(self.details),
            "example": None if self.example is None else self.example.as_document(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectReport:
    """All findings, sorted by object, rule and network."""

    findings: tuple[ObjectFinding, ...]

    @property
    def in_force(self) -> bool:
        """Whether nothing is wrong with any promise."""
        return all(finding.verdict.is_good for finding in self.findings)

    def summary(self) -> str:
        """Count the promises of each verdict."""
        counts = Counter(finding.verdict for finding in self.findings)
        objects = len({finding.object for finding in self.findings})
        verdicts = ", ".join(f"{counts[verdict]} {verdict}" for verdict in ObjectVerdict if counts[verdict])
        rules = len(self.findings)
        return (
            f"{rules} rule{'s' * (rules != 1)} of {objects} object{'s' * (objects != 1)}: "
            f"{verdicts or 'nothing to verify'}"
        )

    def diagnostics(self) -> Iterator[Diagnostic]:
        """An error for each promise that is not in force."""
        for finding in self.findings:
            if not finding.verdict.is_good:
                on = f"network {finding.network}: " if finding.network else ""
                yield Diagnostic.error(
                    finding.object,
                    _CODES[finding.verdict],
                    f"{on}{finding.verdict}: {finding.reason}",
                    path=finding.path,
                    hint=finding.hint,
                )

    def as_document(self) -> dict[str, Any]:
        """The report for programs."""
        return {
            "format": FORMAT,
            "in_force": self.in_force,
            "promises": [finding.as_document() for finding in self.findings],
        }
