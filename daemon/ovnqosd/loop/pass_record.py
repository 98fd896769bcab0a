"""What a pass of the reconcile loop gathers while it runs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from ovnqosd.loop.outcomes import Drift, Trigger

if TYPE_CHECKING:
    from ovnqos import OvnQosError, Plan

_CHANGE_NAMES: Final = {
    "RowInsert": "row_insert",
    "RowUpdate": "row_update",
    "RowDelete": "row_delete",
    "SetInsert": "set_insert",
    "SetUpdate": "set_update",
    "SetDelete": "set_delete",
}


@dataclass(slots=True)
class PassRecord:
    """See `outcomes.PassOutcome`, which is made of it.

    Attributes:
        trigger: what was compared.
        changes: database changes that were committed, by name.
        transactions: how many they took.
        policies: keys of the policies that were compiled anew.
        pods: keys of the pods whose own limits were compiled anew.
        refused: policies whose own transaction was refused, and the server's words.
        incomplete: whether a part of the plan was refused.
        drift: what was found to be other than it was written.
        error: why the pass failed as a whole.
        rival_rows: how many rows of ovn-kubernetes' own controller there are; None: nobody looked.
    """

    trigger: Trigger = Trigger.CHANGE
    changes: Counter[str] = field(default_factory=Counter)
    transactions: int = 0
    policies: set[str] = field(default_factory=set)
    pods: set[str] = field(default_factory=set)
    refused: dict[str, str] = field(default_factory=dict)
    incomplete: bool = False
    drift: list[Drift] = field(default_factory=list)
    error: OvnQosError | None = None
    rival_rows: int | None = None

    def count(self, plan: Plan, transactions: int) -> None:
        """Counts a plan that was committed."""
        self.transactions += transactions
        self.changes.update(_CHANGE_NAMES[type(change).__name__] for change in plan.changes)
