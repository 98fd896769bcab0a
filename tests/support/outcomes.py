"""Outcomes of policies, as the reconcile loop reports them."""

from __future__ import annotations

from ovnqos import Code, Diagnostic, ObjectRef
from ovnqosd.status.policy_outcome import PolicyOutcome, Reason

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
