"""`ovnqos prune`: delete the rows whose object is gone."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from ovnqos import DesiredState, Owner, load_manifests, plan_changes
from ovnqos.cli import options, output
from ovnqos.cli.inputs import invalid_policies, refuse_unnamed
from ovnqos.cli.plans import carry_out, show

if TYPE_CHECKING:
    from ovnqos import DeleteLimit


@click.command
@options.files_option
@options.database_options
@options.owner_option
@options.max_deletes_option
@click.option("--dry-run", is_flag=True, help="Show what would be deleted. Writes nothing.")
@options.format_option
def prune(  # noqa: PLR0913 - one parameter an option
    *,
    files: tuple[str, ...],
    database: options.DatabaseOptions,
    owner_name: str,
    limit: DeleteLimit,
    dry_run: bool,
    form: str,
) -> None:
    """Delete the rows of this owner whose NetworkQoS object is not among the manifests. Changes nothing else.

    An object that is there but not valid keeps its rows.

    \b
    Examples:
      kubectl get networkqoses -A -o yaml | ovnqos prune -f - --dry-run
      kubectl get networkqoses -A -o yaml | ovnqos prune -f - --max-deletes 100%
    """  # noqa: D301 - \b keeps click from filling the lines
    owner = Owner(owner_name)
    manifests = load_manifests(files, stdin=sys.stdin)
    for error in manifests.invalid:
        output.warning(error)
    refuse_unnamed(manifests)
    present = [f"NetworkQoS/{one.key}" for one in manifests.policies] + invalid_policies(manifests)
    with database.connect(owner) as northbound:
        if not dry_run:
            northbound.lock()
        plan = plan_changes(DesiredState.of(retained=present), northbound.snapshot())
        if dry_run:
            show(plan, options.Format(form))
            output.info(f"to do: {plan.summary()}")
        else:
            carry_out(northbound, plan, limit)
