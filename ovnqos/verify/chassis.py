"""Whether the chassis that carry a row's packets have installed its flows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ovnqos.verify.findings import Finding, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ovnqos.southbound.contents import Chassis, SouthboundContents, SwitchDatapath, SwitchPort
    from ovnqos.verify.samples import MatchAnalyser

_NAMED_MAXIMUM: Final = 3


def judge_chassis(
    finding: Finding, datapath: SwitchDatapath, southbound: SouthboundContents, nb_cfg: int, analyser: MatchAnalyser
) -> Finding | None:
    """Whether each chassis that looks a row up has caught up; None if each has."""
    # to-lport runs on the chassis where the packet leaves the switch, which only outport tells
    leaving = finding.direction == "to-lport"
    demanded = (term.ports("outport" if leaving else "inport") for term in analyser.analyse(finding.match).terms.items)
    bound = {port.chassis for port in _ports(demanded, datapath)}
    behind = [one for one in southbound.chassis if one.name in bound and one.nb_cfg < nb_cfg]
    if not behind:
        return None
    return finding.but(Verdict.BEHIND, f"{name_chassis(behind)} not caught up", advise_on_chassis(behind))


def remark_on_ports(finding: Finding, datapath: SwitchDatapath, analyser: MatchAnalyser) -> Finding:
    """The finding with a remark where no chassis has a port whose packets the row could take."""
    terms = analyser.analyse(finding.match).terms.items
    demanded = (term.ports("outport") if term.ports("inport") is None else term.ports("inport") for term in terms)
    pods = [port for port in _ports(demanded, datapath) if not port.kind]
    if not pods or any(port.chassis for port in pods):
        return finding
    return finding.but(finding.verdict, finding.reason, finding.advice, remarks=("no chassis has a port of it",))


def name_chassis(behind: Iterable[Chassis]) -> str:
    """Some chassis in words, with the verb to go on with: `chassis ovn-worker2 has`."""
    names = [one.name if one.hostname in {"", one.name} else f"{one.name} ({one.hostname})" for one in behind]
    more = len(names) - _NAMED_MAXIMUM
    told = ", ".join(names[:_NAMED_MAXIMUM]) + (f" and {more} more" if more > 0 else "")
    return f"chassis {told} {'has' if len(names) == 1 else 'have'}"


def advise_on_chassis(behind: Iterable[Chassis]) -> str:
    """What to do about chassis that have not caught up."""
    hosts = [one.hostname or one.name for one in behind]
    there = hosts[0] if len(hosts) == 1 else "each of them"
    return f"on {there}, see whether ovn-controller runs: `ovn-appctl connection-status`, and its log"


def _ports(demanded: Iterable[frozenset[str] | None], datapath: SwitchDatapath) -> list[SwitchPort]:
    """The ports of a switch that are demanded; None demands none in particular."""
    names: set[str] = set()
    for wanted in demanded:
        names |= datapath.ports.keys() if wanted is None else wanted & datapath.ports.keys()
    return [datapath.ports[name] for name in sorted(names)]
