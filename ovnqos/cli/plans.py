"""What commands do with a plan: print it, or carry it out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovnqos.cli import output
from ovnqos.cli.options import Format

if TYPE_CHECKING:
    from ovnqos.northbound.northbound import Northbound
    from ovnqos.plan.plan import DeleteLimit, Plan


def show(plan: Plan, form: Format) -> None:
    """Print the plan on standard output, and what it has to leave out on standard error."""
    for one in plan.missing:
        output.warning(one)
    if form is Format.DIFF:
        output.diff(plan.as_diff())
    else:
        output.result(plan.as_nbctl() if form is Format.NBCTL else plan.as_json())


def carry_out(northbound: Northbound, plan: Plan, limit: DeleteLimit) -> None:
    """Apply the plan and say what was done.

    Raises:
        UnsafePlan: it deletes more than the limit allows.
        OvnQosError: whatever `Northbound.apply` raises.
    """
    for one in plan.missing:
        output.warning(one)
    plan.check(limit)
    with output.progress("applying") as report:
        applied = northbound.apply(plan, progress=report)
    if plan.is_empty:
        output.info("nothing to do: the Northbound is as it should be")
        return
    transactions = "1 transaction" if applied.transactions == 1 else f"{applied.transactions} transactions"
    output.info(f"applied in {transactions}: {plan.summary()}")
