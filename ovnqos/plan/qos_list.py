"""QoS rows as `ovn-nbctl qos-list` prints them, in its order (source: ovn-nbctl of OVN 23.03, seen)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ovnqos.plan.content import RowContent

SortKey = tuple[str, int, str]


def sort_key(content: RowContent) -> SortKey:
    """qos-list sorts by direction, then falling priority, then match."""
    return content.direction, -content.priority, content.match


def line(content: RowContent) -> str:
    """One row, e.g. `to-lport 10400 (inport == @g && ip4) rate=20000 burst=100 dscp=20`."""
    words = [f"{content.direction:>10} {content.priority:>5} ({content.match})"]
    words.extend(f"{key}={content.bandwidth[key]}" for key in ("rate", "burst") if key in content.bandwidth)
    words.extend(f"{key}={value}" for key, value in sorted(content.action.items()))
    return " ".join(words)
