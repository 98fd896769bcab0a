"""`ovnqos apply`: make the Northbound as the manifests say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ovnqos.cli import options
from ovnqos.cli.exit_codes import EXIT_INVALID
from ovnqos.cli.inputs import read_inputs
from ovnqos.cli.plans import carry_out
from ovnqos.plan.planner import plan_changes

if TYPE_CHECKING:
    from ovnqos.plan.plan import DeleteLimit


@click.command
@options.compile_options
@options.database_options
@options.max_deletes_option
def apply(wanted: options.CompileOptions, database: options.DatabaseOptions, limit: DeleteLimit) -> None:
    """Make the Northbound as the manifests say: one atomic transaction, or a few when it is large.

    Rows of this owner that no manifest asks for are deleted. Rows of others are never touched, and rows that are
    right already are not rewritten. Nothing is written when an object is invalid, unless --keep-going is given.

    \b
    Examples:
      ovnqos apply -f manifests/
      ovnqos apply -f manifests/ --nb ssl:10.0.0.1:6641,ssl:10.0.0.2:6641 -p key.pem -c cert.pem -C ca.pem
      ovnqos apply -f manifests/ --max-deletes 50
    """  # noqa: D301 - \b keeps click from filling the lines
    inputs = read_inputs(wanted)
    with database.connect(wanted.owner) as northbound:
        northbound.lock()
        carry_out(northbound, plan_changes(inputs.desired, northbound.snapshot()), limit)
    if inputs.faulty:
        raise click.exceptions.Exit(EXIT_INVALID)
