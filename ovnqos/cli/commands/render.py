"""`ovnqos render`: what the manifests compile to, without a database."""

from __future__ import annotations

import click

from ovnqos.cli import options, output
from ovnqos.cli.exit_codes import EXIT_INVALID
from ovnqos.cli.inputs import read_inputs
from ovnqos.cli.plans import show
from ovnqos.plan.planner import plan_changes
from ovnqos.plan.snapshot import Snapshot


@click.command
@options.compile_options
@options.format_option
def render(wanted: options.CompileOptions, form: str) -> None:
    """Show the rows that manifests compile to, without a database.

    The output is the plan against a Northbound that has every switch and port, and no rows yet.

    \b
    Examples:
      ovnqos render -f manifests/
      kubectl get networkqoses,net-attach-def,namespaces,pods -A -o yaml | ovnqos render -f -
      ovnqos render -f manifests/ --zone-node worker1 -o nbctl
    """  # noqa: D301 - \b keeps click from filling the lines
    inputs = read_inputs(wanted)
    desired = inputs.desired
    plan = plan_changes(desired, Snapshot.of_names(desired, wanted.owner))
    show(plan, options.Format(form))
    output.info(f"to do: {plan.summary()}")
    if inputs.faulty:
        raise click.exceptions.Exit(EXIT_INVALID)
