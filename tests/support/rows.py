"""A QoS row of the lower level, with what a test does not care about filled in."""

from __future__ import annotations

from typing import Any

from ovnqos import Direction, QosRow
from ovnqos import match as m


def qos_row(**changes: Any) -> QosRow:
    """A row that marks what enters the switch `lan` by the port `vm1`, but for these changes."""
    given: dict[str, Any] = {
        "switches": frozenset(("lan",)),
        "direction": Direction.FROM_LPORT,
        "priority": 2_000,
        "match": m.inport("vm1"),
        "dscp": 10,
        **changes,
    }
    return QosRow(**given)
