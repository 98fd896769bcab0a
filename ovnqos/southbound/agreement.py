"""Whether what OVN does with a packet is what an explanation says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ovnqos.compile.rows import Direction
from ovnqos.explain.explanation import Effect

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ovnqos.explain.explanation import Explanation
    from ovnqos.southbound.trace import Hit, Trace

_STAGES: Final = {Direction.FROM_LPORT: "ls_in_", Direction.TO_LPORT: "ls_out_"}


def traced_effect(trace: Trace, direction: Direction) -> Effect:
    """What the QoS stages of one direction did to the packet of a trace."""
    hits = [hit for hit in trace.hits if hit.stage.startswith(_STAGES[direction])]
    meter = next((hit.meter for hit in hits if hit.meter is not None), None)
    return Effect(
        dscp=next((hit.dscp for hit in hits if hit.dscp is not None), None),
        rate_kbps=meter.rate_kbps if meter else None,
        burst_kbit=meter.burst_kbit if meter else None,
    )


def disagreements(explanation: Explanation, trace: Trace) -> tuple[str, ...]:
    """Where OVN does something that the explanation does not allow for, one line a direction; none where it agrees.

    What the explanation leaves open, OVN may do either way. A packet that does not leave the switch passes no row of
    `to-lport`, so that direction is not compared.
    """
    return tuple(_disagreements(explanation, trace))


def _disagreements(explanation: Explanation, trace: Trace) -> Iterable[str]:
    for passage in explanation.passages:
        if passage.direction is Direction.TO_LPORT and not trace.leaves:
            continue
        allowed = {effect for outcome in passage.outcomes.values() for effect in outcome.effects}
        traced = traced_effect(trace, passage.direction)
        if traced not in allowed:
            by = " and ".join(_told(hit) for hit in trace.hits if hit.stage.startswith(_STAGES[passage.direction]))
            expected = " or ".join(sorted(map(str, allowed)))
            yield f"{passage.direction}: OVN applies {traced}{by and f' by {by}'}, and explained is {expected}"


def _told(hit: Hit) -> str:
    return f"the row of priority {hit.priority} with match {hit.match}"
