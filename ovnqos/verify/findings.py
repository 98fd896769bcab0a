"""What was found about each row on each switch, and about northd and the chassis."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from ovnqos.diagnostics import Code, Diagnostic, ObjectRef, listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ovnqos.explain.candidates import RowName
    from ovnqos.plan.snapshot import ActualRow
    from ovnqos.southbound.contents import Chassis

FORMAT: Final = "ovnqos.io/verify/v1"
METER_HINT: Final = "restart ovn-controller, and see its log and the switch's"
"""What to do about a chassis without a limit's meter."""


class Realisation(StrEnum):
    """Whether OVN realises a row."""

    REALISED = "realised"
    PARTLY = "partly"  # one of its mark and limit, or of its IP versions, is not
    UNPROVEN = "unproven"  # sets, flows and chassis are right, but no sample packet shows it
    IDLE = "idle"  # it matches no packet now
    SHADOWED = "shadowed"  # rows above match all its packets
    RE_MARKED = "re-marked"  # a later row replaces its mark
    UNDEFINED = "undefined"  # a row of equal priority matches one of its packets
    BROKEN = "broken"  # OVN cannot parse its match, and ignores it
    UNBOUND = "unbound"  # no logical switch has it
    ABSENT = "absent"  # northd has not made, or not renewed, its logical flows
    BEHIND = "behind"  # a chassis has not caught up
    INEFFECTIVE = "ineffective"  # OVN does not apply it to a packet that it matches

    @property
    def is_good(self) -> bool:
        """Whether nothing is wrong."""
        return self in {Realisation.REALISED, Realisation.UNPROVEN}

    @property
    def is_transient(self) -> bool:
        """Whether OVN may need a moment more."""
        return self in {Realisation.ABSENT, Realisation.BEHIND, Realisation.INEFFECTIVE}


_CODES: Final = {
    Realisation.IDLE: Code.ROW_IDLE,
    Realisation.SHADOWED: Code.ROW_SHADOWED,
    Realisation.PARTLY: Code.ROW_PARTLY,
    Realisation.RE_MARKED: Code.ROW_RE_MARKED,
    Realisation.UNDEFINED: Code.ROW_UNDEFINED,
    Realisation.BROKEN: Code.ROW_BROKEN,
    Realisation.UNBOUND: Code.ROW_UNBOUND,
    Realisation.ABSENT: Code.ROW_ABSENT,
    Realisation.INEFFECTIVE: Code.ROW_INEFFECTIVE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What was found about one row on one switch.

    Attributes:
        row: the row.
        name: what it is called.
        switch: the logical switch's name; empty for a row that none has.
        verdict: whether OVN realises it.
        reason: why; of a realised row what was seen.
        hint: what to do; may be empty.
        details: what else was seen.
        sample: the packet that shows it, as ovn-trace(8) takes it; empty for none.
        behind: the chassis that look the row up and have not caught up.
    """

    row: ActualRow
    name: RowName
    switch: str
    verdict: Realisation = Realisation.REALISED
    reason: str = ""
    hint: str = ""
    details: tuple[str, ...] = ()
    sample: str = ""
    behind: tuple[Chassis, ...] = ()

    def but(self, verdict: Realisation, reason: str, hint: str = "", *, details: Sequence[str] = ()) -> Finding:
        """The same row with another verdict; details are added."""
        return replace(self, verdict=verdict, reason=reason, hint=hint, details=(*self.details, *details))

    @property
    def ref(self) -> ObjectRef:
        """The object that the row was made for; the row itself where that is not known."""
        kind, _, key = self.name.object.partition("/")
        namespace, _, name = key.rpartition("/")
        return (
            ObjectRef(kind=kind, namespace=namespace, name=name) if name else ObjectRef(kind="QoS", name=str(self.name))
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All that was found.

    Attributes:
        owner: whose rows were verified.
        findings: sorted by switch, direction and priority, the highest first.
        nb_cfg: the Northbound's sequence number.
        northd_nb_cfg: the number that northd has processed.
        chassis: each with the number that it has installed; sorted by name.
        asked: whether northd and chassis were asked for their numbers.
    """

    owner: str
    findings: tuple[Finding, ...]
    nb_cfg: int
    northd_nb_cfg: int
    chassis: tuple[Chassis, ...]
    asked: bool = False

    @property
    def realised(self) -> bool:
        """Whether nothing is wrong with any row."""
        return all(finding.verdict.is_good for finding in self.findings)

    @property
    def may_pass(self) -> bool:
        """Whether OVN may need a moment more."""
        return any(finding.verdict.is_transient for finding in self.findings)

    @property
    def chassis_behind(self) -> tuple[Chassis, ...]:
        """The chassis that have not caught up."""
        return tuple(one for one in self.chassis if one.nb_cfg < self.nb_cfg)

    def summary(self) -> str:
        """Count the rows of each verdict."""
        counts = Counter(finding.verdict for finding in self.findings)
        verdicts = ", ".join(f"{counts[verdict]} {verdict}" for verdict in Realisation if counts[verdict])
        rows = len({finding.row.uuid for finding in self.findings})
        switches = len({finding.switch for finding in self.findings if finding.switch})
        return (
            f"{rows} row{'s' * (rows != 1)} on {switches} switch{'es' * (switches != 1)}: "
            f"{verdicts or 'nothing to verify'}"
        )

    def diagnostics(self) -> Iterator[Diagnostic]:
        """What is wrong: one diagnostic for rows that fail alike on several switches, one for chassis behind."""
        alike: dict[tuple[object, ...], list[Finding]] = defaultdict(list)
        late: dict[tuple[Chassis, ...], list[Finding]] = defaultdict(list)
        for finding in self.findings:
            if finding.verdict is Realisation.BEHIND:
                late[finding.behind].append(finding)
            elif not finding.verdict.is_good:
                content = finding.row.content
                key = (finding.name, content.direction, content.priority, finding.verdict)
                alike[(*key, _reason_on_any_switch(finding))].append(finding)
        yield from map(_row_diagnostic, alike.values())
        for chassis, found in late.items():
            rows = len({finding.row.uuid for finding in found})
            where = f"{rows} row{'s' * (rows != 1)} on {_switches(found)}"
            yield _chassis_diagnostic(chassis, f"not caught up, so {where} may not be in force there")
        known = {one for chassis in late for one in chassis}
        others = tuple(one for one in self.chassis_behind if one not in known)
        if others:
            diagnostic = _chassis_diagnostic(others, "not caught up, but no row of this owner is looked up there")
            yield Diagnostic.warning(diagnostic.object, diagnostic.code, diagnostic.text, hint=diagnostic.hint)

    def as_document(self) -> dict[str, Any]:
        """The report for programs; sorted."""
        northd_caught_up = self.northd_nb_cfg >= self.nb_cfg
        return {
            "format": FORMAT,
            "owner": self.owner,
            "realised": self.realised,
            "asked": self.asked,
            "nb_cfg": self.nb_cfg,
            "northd": {"nb_cfg": self.northd_nb_cfg, "caught_up": northd_caught_up},
            "chassis": [
                {
                    "name": one.name,
                    "hostname": one.hostname,
                    "nb_cfg": one.nb_cfg,
                    "caught_up": one.nb_cfg >= self.nb_cfg,
                }
                for one in self.chassis
            ],
            "rows": [_row_document(finding) for finding in self.findings],
        }


def describe_chassis(chassis: Iterable[Chassis]) -> str:
    """Names of chassis with those of their hosts, some of them where they are many."""
    return listed(one.name if one.hostname in {"", one.name} else f"{one.name} ({one.hostname})" for one in chassis)


def hint_for_chassis(chassis: Sequence[Chassis]) -> str:
    """What to do about chassis that have not caught up."""
    hosts = [one.hostname or one.name for one in chassis]
    there = hosts[0] if len(hosts) == 1 else "each of them"
    return f"on {there}, check that ovn-controller runs: `ovn-appctl connection-status`, and its log"


def _row_diagnostic(found: Sequence[Finding]) -> Diagnostic:
    first = found[0]  # its hint may hold a sample of its switch, which stands for all
    name, content = first.name, first.row.content
    port = f" of port {name.port}" if name.port and name.object.startswith("NetworkQoS/") else ""
    where = f" on {_switches(found)}" if first.switch else ""
    text = f"{content.direction} {content.priority}{port}{where}: {first.reason}"
    path = f"spec.egress[{name.rule}]" if name.rule.isdecimal() else name.rule
    return Diagnostic.error(first.ref, _CODES[first.verdict], text, path=path, hint=first.hint)


def _chassis_diagnostic(chassis: Sequence[Chassis], text: str) -> Diagnostic:
    ref = ObjectRef(kind="Chassis", name=describe_chassis(chassis))
    return Diagnostic.error(ref, Code.CHASSIS_BEHIND, text, hint=hint_for_chassis(chassis))


def _reason_on_any_switch(finding: Finding) -> str:
    return finding.reason.replace(finding.switch, "") if finding.verdict is not Realisation.INEFFECTIVE else ""


def _switches(found: Iterable[Finding]) -> str:
    return listed(dict.fromkeys(finding.switch for finding in found))


def _row_document(finding: Finding) -> dict[str, Any]:
    content = finding.row.content
    return {
        "switch": finding.switch or None,
        "direction": content.direction,
        "priority": content.priority,
        "object": finding.name.object or None,
        "rule": finding.name.rule or None,
        "port": finding.name.port or None,
        "uuid": finding.row.uuid,
        "match": content.match,
        "verdict": finding.verdict.value,
        "good": finding.verdict.is_good,
        "reason": finding.reason or None,
        "hint": finding.hint or None,
        "details": list(finding.details),
        "sample": finding.sample or None,
    }
