"""A Northbound with a row, a Southbound in which it is in force, and answers of ovn-trace, to be changed one by one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from ovnqos import Owner, Snapshot
from ovnqos.controller import ActualRow, ActualSet, RowContent, SetContent, SetKind
from ovnqos.southbound.contents import Chassis, QosFlow, SouthboundContents, SwitchDatapath, SwitchPort
from ovnqos.southbound.ovn_trace import TraceFailed
from ovnqos.southbound.trace import FlowEffect, Meter, Trace
from ovnqos.verify import verify_snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovnqos import Diagnostic

OWNER: Final = Owner()
MATCH: Final = 'inport == "a" && ip4.dst == 203.0.113.0/24'
INGRESS: Final = 'ingress(dp="lan", inport="a")\n------\n 9. ls_in_qos_mark (x): y, priority 0, uuid 1\n    next;\n'
LATER: Final = f"{INGRESS}25. ls_in_l2_lkup (x): 1, priority 0, uuid 2\n    output;\n"
DROPPED: Final = 'ingress(dp="lan", inport="a")\n------\n 8. ls_in_acl (x): ip4, priority 2000, uuid 1\n    drop;\n'
NO_HIT: Final = Trace(text=LATER)


def stored(**changes: Any) -> ActualRow:
    """A row that marks, of the object shop/gold."""
    known = OWNER.stamp("id", {"ovnqos.io/object": "NetworkQoS/shop/gold", "ovnqos.io/rule": "1"})
    content: dict[str, Any] = {
        "direction": "from-lport",
        "priority": 2000,
        "match": MATCH,
        "action": {"dscp": 10},
        "bandwidth": {},
        "external_ids": known,
        **{name: value for name, value in changes.items() if name not in {"uuid", "switches"}},
    }
    return ActualRow(
        uuid=changes.get("uuid", "01234567-0000-0000-0000-000000000000"),
        content=RowContent(**content),
        switches=changes.get("switches", frozenset({"lan"})),
    )


def effect(**changes: Any) -> FlowEffect:
    """What the row's flow does."""
    given: dict[str, Any] = {"stage": "ls_in_qos_mark", "match": MATCH, "priority": 2000, "dscp": 10, "meter": None}
    return FlowEffect(**{**given, **changes})


def flow(**changes: Any) -> QosFlow:
    """The flow that northd makes of it; `datapaths` and `row_hint`, and what it does, can be changed."""
    given: dict[str, Any] = {"datapaths": frozenset({"dp"}), "row_hint": "01234567"}
    given.update((name, changes.pop(name)) for name in tuple(given) if name in changes)
    return QosFlow(uuid="f", effect=effect(**changes), table=9, **given)


def snapshot(*rows: ActualRow) -> Snapshot:
    return Snapshot(owner=OWNER, rows=rows or (stored(),), switches={"lan": "nb-lan"}, ports={"a": "nb-a"})


def southbound(**changes: Any) -> SouthboundContents:
    """A Southbound in which the row is in force."""
    ports = {name: SwitchPort(name=name, mac=f"02:00:00:00:00:0{name}", chassis="node") for name in ("a", "b")}
    given: dict[str, Any] = {
        "nb_cfg": 3,
        "stages": frozenset({"ls_in_qos_mark"}),
        "flows": (flow(),),
        "switches": {"nb-lan": SwitchDatapath(uuid="dp", ports=ports)},
        "chassis": (Chassis(name="node", hostname="node.example.com", nb_cfg=3),),
        "address_sets": {},
        "port_groups": {},
        **changes,
    }
    return SouthboundContents(**given)


class Answers:
    """Stands for ovn-trace: gives the same answer for each packet."""

    def __init__(self, answer: Trace | TraceFailed) -> None:
        self._answer = answer
        self.asked: list[str] = []

    def run(self, switch: str, microflow: str) -> Trace:
        self.asked.append(microflow)
        if isinstance(self._answer, TraceFailed):
            raise self._answer
        return self._answer


def hit(**changes: Any) -> Trace:
    """A trace whose packet the flow takes."""
    return Trace(text=LATER, hits=(effect(**changes),))


def verify_diagnostics() -> Iterator[Diagnostic]:
    """What is said of rows that are not in force, for the golden file of messages."""
    group = SetContent(kind=SetKind.PORT_GROUP, name="pods", members=frozenset(), external_ids=OWNER.stamp("pods", {}))
    sets = {(SetKind.PORT_GROUP, "pods"): ActualSet(uuid="s", content=group)}
    late = (Chassis(name="node", hostname="node.example.com", nb_cfg=2), Chassis(name="other", hostname="", nb_cfg=1))
    of_group = snapshot(stored(match="inport == @pods"))
    elsewhere = replace(group, members=frozenset({"z"}))
    of_group_elsewhere = {(SetKind.PORT_GROUP, "pods"): ActualSet(uuid="s", content=elsewhere)}
    at_same = flow(match="ip4", priority=3000, dscp=1)
    later = effect(stage="ls_out_qos_mark", match="ip4", priority=3000, dscp=1)
    equal = flow(match="ip4", dscp=1)
    limits = {"dscp": None, "stage": "ls_in_qos_meter", "meter": Meter(rate_kbps=5)}
    re_marked = Trace(text=LATER, hits=(effect(), effect(**limits), later))
    scenes: tuple[tuple[Snapshot, SouthboundContents, Trace | TraceFailed | None], ...] = (
        (snapshot(stored(switches=frozenset())), southbound(), None),
        (of_group, southbound(), None),
        (replace(of_group, sets=sets), southbound(port_groups={"pods": frozenset[str]()}), None),
        (replace(of_group, sets=of_group_elsewhere), southbound(port_groups={"pods": frozenset({"z"})}), None),
        (replace(of_group, sets=of_group_elsewhere), southbound(), None),
        (snapshot(), southbound(switches={}), None),
        (snapshot(), southbound(flows=()), None),
        (snapshot(), southbound(flows=(flow(priority=1),)), None),
        (snapshot(), southbound(nb_cfg=2), None),
        (snapshot(), southbound(chassis=late), None),
        (snapshot(), southbound(), replace(NO_HIT, faults={MATCH: "Syntax error."})),
        (snapshot(), southbound(flows=(flow(), at_same)), hit(match="ip4", priority=3000, dscp=1)),
        (snapshot(), southbound(), Trace(text=LATER, hits=(effect(), later))),
        (snapshot(stored(bandwidth={"rate": 5})), southbound(flows=(flow(), flow(**limits))), re_marked),
        (snapshot(), southbound(flows=(flow(), equal)), None),
        (snapshot(), southbound(), NO_HIT),
        (snapshot(stored(match="tcp && udp")), southbound(flows=(flow(match="tcp && udp"),)), NO_HIT),
        (snapshot(stored(match='inport == "x"')), southbound(flows=(flow(match='inport == "x"'),)), NO_HIT),
    )
    for northbound, contents, answer in scenes:
        tracer = None if answer is None else Answers(answer)
        yield from verify_snapshot(northbound, contents, nb_cfg=3, tracer=tracer).diagnostics()
