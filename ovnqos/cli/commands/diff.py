"""`ovnqos diff`: the dry run."""

from __future__ import annotations

import click

from ovnqos.cli import options, output
from ovnqos.cli.exit_codes import EXIT_DRIFT, EXIT_INVALID
from ovnqos.cli.inputs import read_inputs
from ovnqos.cli.plans import show
from ovnqos.plan.planner import plan_changes


@click.command
@options.compile_options
@options.database_options
@options.format_option
@click.option("--exit-code", is_flag=True, help="Exit with 2 when there are differences.")
def diff(wanted: options.CompileOptions, database: options.DatabaseOptions, form: str, exit_code: bool) -> None:
    """Show what apply would change. Writes nothing.

    The lines are those of `ovn-nbctl qos-list SWITCH`, so that the two can be held against each other.

    \b
    Examples:
      ovnqos diff -f manifests/
      ovnqos diff -f manifests/ --exit-code >/dev/null || echo drift
      ovnqos diff -f manifests/ -o nbctl > change.sh && sh change.sh --db=unix:/var/run/ovn/ovnnb_db.sock
    """  # noqa: D301 - \b keeps click from filling the lines
    inputs = read_inputs(wanted)
    with database.connect(wanted.owner) as northbound:
        plan = plan_changes(inputs.desired, northbound.snapshot())
    show(plan, options.Format(form))
    output.info(f"to do: {plan.summary()}")
    if inputs.faulty:
        raise click.exceptions.Exit(EXIT_INVALID)
    if exit_code and not plan.is_empty:
        raise click.exceptions.Exit(EXIT_DRIFT)
