"""`ovnqos apply`: make the Northbound as the manifests say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ovnqos.cli import options, output

if TYPE_CHECKING:
    from ovnqos.northbound.northbound import Northbound
    from ovnqos.plan.plan import DeleteLimit, Plan


@click.command
@options.input_options
@options.database_options()
@options.max_deletes_option
def apply(given: options.InputOptions, database: options.DatabaseOptions, limit: DeleteLimit) -> None:
    """Make the Northbound as the manifests say: one atomic transaction, or a few when it is large.

    Rows of this owner that no manifest asks for are deleted. Rows of other owners are never changed, and rows that are
    up to date are not written again. Nothing is written when an object is invalid, unless --keep-going is given.

    \b
    Examples:
      ovnqos apply -f manifests/
      ovnqos apply -f manifests/ --nb ssl:10.0.0.1:6641,ssl:10.0.0.2:6641 -p key.pem -c cert.pem -C ca.pem
      ovnqos apply -f manifests/ --max-deletes 50
    """  # noqa: D301 - \b keeps click from filling the lines
    from ovnqos.cli.input import read_input
    from ovnqos.plan.planner import plan_changes

    found = read_input(given)
    with database.connect(given.owner) as northbound:
        northbound.lock()
        apply_plan(northbound, plan_changes(found.desired, northbound.snapshot()), limit)
    if found.is_partial:
        raise click.exceptions.Exit(output.EXIT_INVALID)


def apply_plan(northbound: Northbound, plan: Plan, limit: DeleteLimit) -> None:
    """Apply a plan and print what was done.

    Raises:
        UnsafePlan: it deletes more than the limit allows.
        OvnQosError: whatever `Northbound.apply` raises.
    """
    output.missing(plan)
    plan.check(limit)
    with output.progress("applying") as report:
        applied = northbound.apply(plan, progress=report)
    if plan.is_empty:
        output.info("nothing to do: the Northbound is up to date")
    else:
        output.info(f"applied in {output.count(applied.transactions, 'transaction')}: {plan.summary()}")
