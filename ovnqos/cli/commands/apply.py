"""`ovnqos apply`: make the Northbound as the manifests say."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from ovnqos.cli import options, output
from ovnqos.errors import LockLost

if TYPE_CHECKING:
    from ovnqos.northbound.northbound import Northbound
    from ovnqos.plan.ended_limits import EndedLimitsMaximum
    from ovnqos.plan.plan import Plan


@click.command
@options.input_options
@options.database_options()
@options.max_deletes_option
@options.prune_option
@click.option("--dry-run", is_flag=True, help="Print what would be done. Writes nothing.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask before limits end.")
def apply(  # noqa: PLR0913 # one parameter an option
    *,
    given: options.InputOptions,
    database: options.DatabaseOptions,
    limit: EndedLimitsMaximum,
    prune: bool,
    dry_run: bool,
    yes: bool,
) -> None:
    """Make the Northbound as the manifests say: one atomic transaction, or a few when it is large.

    Objects that are not among the manifests are left alone, unless --prune is given. Rows of other owners are never
    changed, and rows that are up to date are not written again. Nothing is written when an object is invalid
    (--keep-going), or when the Northbound shows that objects are missing from the input (--allow-incomplete). Before it
    writes, it names the objects that are new, changed and ended; on a terminal it asks before the limit of a pod ends.
    What is written increments nb_cfg, so that `ovnqos verify` can tell
    which chassis have caught up.

    \b
    Examples:
      ovnqos apply -f manifests/
      ovnqos apply --prune --dry-run
      ovnqos apply -f manifests/ --nb ssl:10.0.0.1:6641,ssl:10.0.0.2:6641 -p key.pem -c cert.pem -C ca.pem
      ovnqos apply -f manifests/ --max-deletes 50
    """  # noqa: D301 - \b keeps click from filling the lines
    from ovnqos.cli.input import read_input, refuse_incomplete
    from ovnqos.plan.foreign import describe_conflicts
    from ovnqos.plan.plan import plan_changes

    found = read_input(given)
    with database.connect(given.owner) as northbound:
        other_writer = None if dry_run else _take_lock(northbound)
        plan = plan_changes(found.desired, northbound.snapshot(addresses=True), prune=prune)
        output.missing(plan)
        output.diagnostics(
            (*plan.shadowed, *describe_conflicts(found.desired, plan.snapshot), *found.address_claims(plan.snapshot))
        )
        refuse_incomplete((*found.incomplete, *plan.incomplete), allowed=given.allow_incomplete)
        output.changed_objects(plan)
        output.ended(plan)
        plan.check(limit)
        if other_writer is not None and not plan.is_empty:
            raise other_writer
        if dry_run:
            output.info(f"to do: {plan.summary()}")
        else:
            _apply(northbound, plan, ask=not yes)
    if found.is_partial:
        raise click.exceptions.Exit(output.EXIT_INVALID)


def _take_lock(northbound: Northbound) -> LockLost | None:
    """Take the lock; returns the error where another writer holds it: it matters if there is something to do."""
    try:
        northbound.lock()
    except LockLost as error:
        return error
    return None


def _apply(northbound: Northbound, plan: Plan, *, ask: bool) -> None:
    """Apply a plan and print what was done; raises as `Northbound.apply`."""
    if plan.ended and ask and sys.stdin.isatty():
        output.print_warnings()
        if not click.confirm("Apply?", err=True):
            output.info("nothing applied")
            raise click.exceptions.Exit(output.EXIT_INVALID)
    with output.progress("applying") as report:
        applied = northbound.apply(plan, advance_sequence=True, progress=report)
    if plan.is_empty:
        output.info("nothing to do: the Northbound is up to date")
    else:
        output.info(f"applied in {output.count(applied.transactions, 'transaction')}: {plan.summary()}")
