"""`ovnqos diff`: the dry run."""

from __future__ import annotations

import click

from ovnqos.cli import options, output


@click.command
@options.input_options
@options.database_options()
@options.plan_format_option
@options.summary_option
@options.prune_option
@click.option("--exit-code", is_flag=True, help="Exit with 2 when there are differences.")
def diff(  # noqa: PLR0913 - one parameter an option
    *,
    given: options.InputOptions,
    database: options.DatabaseOptions,
    form: options.PlanFormat,
    summary: bool,
    prune: bool,
    exit_code: bool,
) -> None:
    """Show what apply would change. Writes nothing.

    Objects that are not among the manifests are left alone, unless --prune is given.

    The plan is printed by object, with the lines of `ovn-nbctl qos-list SWITCH`; -o diff is a unified diff of these,
    switch by switch.

    With --exit-code it exits with 2 when there are differences, as terraform's -detailed-exitcode does, and not with 1
    as kubectl diff: 1 is invalid input, as in all commands.

    \b
    Examples:
      ovnqos diff --context prod --nb tcp:10.0.0.1:6641
      ovnqos diff -f manifests/ --summary
      ovnqos diff -f manifests/ --exit-code >/dev/null || echo drift
      ovnqos diff -f manifests/ -o nbctl > change.sh && sh change.sh --db=unix:/var/run/ovn/ovnnb_db.sock
    """  # noqa: D301 - \b keeps click from filling the lines
    from ovnqos.cli.input import read_input, refuse_incomplete
    from ovnqos.plan.foreign import describe_conflicts
    from ovnqos.plan.plan import plan_changes

    found = read_input(given)
    with database.connect(given.owner) as northbound:
        plan = plan_changes(found.desired, northbound.snapshot(addresses=True), prune=prune)
    output.plan(plan, form, summary=summary)
    output.ended(plan)
    output.info(f"to do: {plan.summary()}")
    output.diagnostics(
        (*plan.shadowed, *describe_conflicts(found.desired, plan.snapshot), *found.address_claims(plan.snapshot))
    )
    refuse_incomplete((*found.incomplete, *plan.incomplete), allowed=given.allow_incomplete)
    if found.is_partial:
        raise click.exceptions.Exit(output.EXIT_INVALID)
    if exit_code and not plan.is_empty:
        raise click.exceptions.Exit(output.EXIT_DRIFT)
