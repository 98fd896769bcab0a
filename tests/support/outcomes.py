"""Outcomes of policies, as the reconcile loop reports them, and what an API server makes of their statuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ovnqos import Code, Diagnostic, ObjectRef
from ovnqosd.status.policy_outcome import PolicyOutcome, Reason

if TYPE_CHECKING:
    from collections.abc import Iterable

GOLD = ObjectRef(kind="NetworkQoS", namespace="shop", name="gold")


def cause(text: str, *, path: str = "", code: Code = Code.INVALID_FIELD) -> Diagnostic:
    """Why a policy is not in force."""
    return Diagnostic.error(GOLD, code, text, path=path)


def policy_outcome(
    reason: Reason = Reason.SUCCESS, text: str = "what is wrong", *, generation: int = 1
) -> PolicyOutcome:
    """The outcome of shop/gold; the text is the cause of any reason but Success."""
    causes = () if reason is Reason.SUCCESS else (cause(text),)
    return PolicyOutcome(key="shop/gold", uid="u1", generation=generation, reason=reason, causes=causes)


def merged_status(applied: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """The status that an API server merges of what each field manager applied last."""
    status: dict[str, Any] = {"conditions": [], "zones": {}}
    for document in applied:
        status["conditions"] += document.get("conditions") or []
        status["zones"] |= {zone: counts for zone, counts in document.get("zones", {}).items() if counts}
        status |= {key: value for key, value in document.items() if key not in status and value is not None}
    return status
