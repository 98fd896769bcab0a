"""`ovnqos render`: what the manifests compile to, without a database."""

from __future__ import annotations

import click

from ovnqos.cli import options, output


@click.command
@options.input_options
@options.plan_format_option
@options.summary_option
def render(given: options.InputOptions, form: options.PlanFormat, *, summary: bool) -> None:
    """Show the rows that manifests compile to, without a database.

    The output is the plan against a Northbound that has every switch and port, and no rows yet.

    \b
    Examples:
      ovnqos render -f manifests/
      ovnqos render --context prod -n shop
      ovnqos render -f manifests/ --zone-node worker1 -o nbctl
    """  # noqa: D301 - \b keeps click from filling the lines
    from ovnqos.cli.input import read_input, refuse_incomplete
    from ovnqos.plan.plan import plan_changes
    from ovnqos.plan.snapshot import Snapshot

    found = read_input(given)
    plan = plan_changes(found.desired, Snapshot.of_names(found.desired, given.owner))
    output.plan(plan, form, summary=summary)
    output.info(f"to do: {plan.summary()}")
    refuse_incomplete(found.incomplete, allowed=given.allow_incomplete)
    if found.is_partial:
        raise click.exceptions.Exit(output.EXIT_INVALID)
