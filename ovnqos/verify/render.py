"""A report as a program reads it, and its failures as lines for a person."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Final

from ovnqos.verify.chassis import advise_on_chassis, name_chassis
from ovnqos.verify.findings import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovnqos.verify.findings import Finding, Report

FORMAT: Final = "ovnqos.io/verify/v1"
_SWITCHES_MAXIMUM: Final = 3


def as_json(report: Report) -> str:
    """The report as JSON; sorted, one document, with a line feed."""
    rows = [
        {
            "switch": finding.switch,
            "direction": finding.direction,
            "priority": finding.priority,
            "object": finding.object,
            "rule": finding.rule,
            "port": finding.port,
            "uuid": finding.uuid,
            "match": finding.match,
            "verdict": finding.verdict.value,
            "good": finding.verdict.good,
            "reason": finding.reason,
            "advice": finding.advice,
            "remarks": list(finding.remarks),
            "sample": finding.sample,
        }
        for finding in report.findings
    ]
    chassis = [
        {
            "name": one.name,
            "hostname": one.hostname,
            "nb_cfg": one.nb_cfg,
            "caught_up": one.nb_cfg >= report.nb_cfg,
        }
        for one in report.chassis
    ]
    northd = {"nb_cfg": report.northd_nb_cfg, "caught_up": report.northd_nb_cfg >= report.nb_cfg}
    document = {
        "format": FORMAT,
        "owner": report.owner,
        "realised": report.realised,
        "asked": report.asked,
        "nb_cfg": report.nb_cfg,
        "northd": northd,
        "chassis": chassis,
        "rows": rows,
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def failures(report: Report) -> Iterator[str]:
    """A line for each thing that is wrong, with what to do: rows that fail alike, and a chassis' rows, share theirs."""
    alike: dict[tuple[object, ...], list[Finding]] = defaultdict(list)
    for finding in report.findings:
        if finding.verdict.good:
            continue
        behind = finding.verdict is Verdict.BEHIND
        row = () if behind else (finding.name, finding.direction, finding.priority)
        # the advice may hold a sample of one switch: the first switch's stands for all
        alike[*row, finding.verdict, finding.reason if behind else _same_everywhere(finding)].append(finding)
    for found in alike.values():
        yield _line(found)


def chassis_warning(report: Report) -> str:
    """A line on chassis that have not caught up and have no row of ours; empty if there are none."""
    blamed = " ".join(finding.reason for finding in report.findings if finding.verdict is Verdict.BEHIND)
    idle = [one for one in report.chassis_behind if one.name not in blamed]
    if not idle:
        return ""
    return f"{name_chassis(idle)} not caught up, but no row of this owner is looked up there; {advise_on_chassis(idle)}"


def _same_everywhere(finding: Finding) -> str:
    return finding.reason.replace(finding.switch, "") if finding.verdict is not Verdict.INEFFECTIVE else ""


def _line(found: list[Finding]) -> str:
    first = found[0]
    switches = list(dict.fromkeys(finding.switch for finding in found))
    more = len(switches) - _SWITCHES_MAXIMUM
    where = ", ".join(switches[:_SWITCHES_MAXIMUM]) + (f" and {more} more" if more > 0 else "")
    if first.verdict is Verdict.BEHIND:
        rows = len({finding.uuid for finding in found})
        who = f"{rows} row{'s' * (rows != 1)} on {where}"
    else:
        who = f"{first.name}, {first.direction} {first.priority}" + (f" on {where}" if where else "")
    return f"{who}: {first.reason}" + (f"; {first.advice}" if first.advice else "")
