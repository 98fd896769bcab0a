"""What was found about each row on each switch, and about northd and the chassis."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ovnqos.southbound.contents import Chassis


class Verdict(StrEnum):
    """What became of a row."""

    REALISED = "realised"
    UNPROVEN = "unproven"  # all that OVN keeps of it is right, but no sample packet shows it
    IDLE = "idle"  # it matches nothing now
    HIDDEN = "hidden"  # rows above it take all its packets
    BROKEN = "broken"  # OVN cannot read its match, and ignores it
    UNBOUND = "unbound"  # no logical switch has it
    ABSENT = "absent"  # northd has not made, or not renewed, its logical flows
    BEHIND = "behind"  # a chassis has not caught up
    INEFFECTIVE = "ineffective"  # OVN does not do to a packet what the row says

    @property
    def good(self) -> bool:
        """Whether there is nothing to complain of."""
        return self in _GOOD

    @property
    def may_pass(self) -> bool:
        """Whether OVN may need a moment more, rather than somebody's help."""
        return self in _PASSING


_GOOD: Final = frozenset({Verdict.REALISED, Verdict.UNPROVEN})
_PASSING: Final = frozenset({Verdict.ABSENT, Verdict.BEHIND, Verdict.INEFFECTIVE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What was found about one row on one switch.

    Attributes:
        uuid: the row's.
        switch: the logical switch's name; empty for a row that none has.
        direction: `from-lport` or `to-lport`.
        priority: the row's.
        match: the row's.
        object: the Kubernetes object it was made for, `NetworkQoS/<namespace>/<name>`; empty for none.
        rule: which of the object's rules; empty for none.
        port: the logical port, where each port has a row of its own; empty for none.
        name: object, rule and port in words; of another row the beginning of its uuid.
        verdict: what became of it.
        reason: why, in a few words; of a realised row what was seen.
        advice: what to do; empty where there is nothing to do.
        remarks: what else is worth knowing.
        sample: the packet that shows it, in the words of ovn-trace(8); empty for none.
    """

    uuid: str
    switch: str
    direction: str
    priority: int
    match: str
    object: str
    rule: str
    port: str
    name: str
    verdict: Verdict
    reason: str = ""
    advice: str = ""
    remarks: tuple[str, ...] = ()
    sample: str = ""

    def but(self, verdict: Verdict, reason: str, advice: str = "", *, remarks: Sequence[str] = ()) -> Finding:
        """The same row with another verdict; remarks are added."""
        return replace(self, verdict=verdict, reason=reason, advice=advice, remarks=(*self.remarks, *remarks))


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All that was found.

    Attributes:
        owner: whose rows were looked at.
        findings: sorted by switch, direction and priority, the highest first.
        nb_cfg: the `nb_cfg` that was asked for last.
        northd_nb_cfg: the one that northd has worked off.
        chassis: each with the one that it has installed; sorted by name.
        asked: whether northd and chassis were asked anew for this report.
    """

    owner: str
    findings: tuple[Finding, ...]
    nb_cfg: int
    northd_nb_cfg: int
    chassis: tuple[Chassis, ...]
    asked: bool = False

    @property
    def realised(self) -> bool:
        """Whether there is nothing to complain of."""
        return all(finding.verdict.good for finding in self.findings)

    @property
    def may_pass(self) -> bool:
        """Whether OVN may need a moment more."""
        return any(finding.verdict.may_pass for finding in self.findings)

    @property
    def chassis_behind(self) -> tuple[Chassis, ...]:
        """The chassis that have not caught up."""
        return tuple(one for one in self.chassis if one.nb_cfg < self.nb_cfg)

    def summary(self) -> str:
        """How many rows of each verdict, in words."""
        counts = Counter(finding.verdict for finding in self.findings)
        told = ", ".join(f"{counts[verdict]} {verdict}" for verdict in Verdict if counts[verdict])
        rows = len({finding.uuid for finding in self.findings})
        switches = len({finding.switch for finding in self.findings if finding.switch})
        return (
            f"{rows} row{'s' * (rows != 1)} on {switches} switch{'es' * (switches != 1)}: {told or 'nothing to verify'}"
        )
