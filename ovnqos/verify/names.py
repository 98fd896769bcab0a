"""What a row is called: by the object and rule that it was made for, or by its uuid's beginning."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from ovnqos.model.owner import PORT_KEY, RULE_KEY

if TYPE_CHECKING:
    from ovnqos.model.owner import Owner
    from ovnqos.plan.snapshot import ActualRow

_REFERENCE_RULE_KEY: Final = "rule-index"


class RowName(NamedTuple):
    """A row's object (`NetworkQoS/<namespace>/<name>`), rule, and port where each has a row; empty where not known.

    `text` is all of it for people.
    """

    object: str
    rule: str
    port: str
    text: str


def name_row(row: ActualRow, owner: Owner) -> RowName:
    """What a row is called, in the eyes of an owner."""
    known = row.content.external_ids
    if not owner.owns(known):
        return RowName("", "", "", f"row {row.uuid[:8]} of another owner")
    made_for = owner.object_of(known)
    rule = known.get(RULE_KEY, known.get(_REFERENCE_RULE_KEY, ""))
    port = known.get(PORT_KEY, "")
    if not made_for:
        return RowName("", rule, port, f"row {row.uuid[:8]}")
    words = [made_for]
    if rule:
        words.append(f"rule {rule}")
    if port and made_for.startswith("NetworkQoS/"):
        words.append(f"port {port}")
    return RowName(made_for, rule, port, " ".join(words))
