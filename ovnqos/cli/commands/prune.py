"""`ovnqos prune`: delete the rows whose object is gone."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

import click

from ovnqos.cli import options, output

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovnqos.model.owner import Owner
    from ovnqos.plan.plan import DeleteLimit
    from ovnqos.plan.snapshot import Snapshot
    from ovnqos.sources import Manifests

_POD: Final = "Pod"


@click.command
@options.files_option
@options.database_options()
@options.owner_option
@options.max_deletes_option
@click.option("--dry-run", is_flag=True, help="Show what would be deleted. Writes nothing.")
@options.plan_format_option
def prune(  # noqa: PLR0913 - one parameter an option
    *,
    files: tuple[str, ...],
    database: options.DatabaseOptions,
    owner: Owner,
    limit: DeleteLimit,
    dry_run: bool,
    form: options.PlanFormat,
) -> None:
    """Delete the rows of this owner whose NetworkQoS object is not among the manifests. Changes nothing else.

    An object that is there but not valid keeps its rows. Rows of pods' own limits and marks are looked at when there
    are pods among the manifests.

    \b
    Examples:
      kubectl get networkqoses -A -o yaml | ovnqos prune -f - --dry-run
      kubectl get networkqoses -A -o yaml | ovnqos prune -f - --max-deletes 100%
    """  # noqa: D301 - \b keeps click from filling the lines
    from ovnqos.cli.commands.apply import apply_plan
    from ovnqos.cli.input import keys_of_invalid_objects, refuse_unnamed_objects
    from ovnqos.compile.rows import DesiredState
    from ovnqos.plan.planner import plan_changes
    from ovnqos.sources import load_manifests

    manifests = load_manifests(files, stdin=sys.stdin)
    invalid = [one for invalid in manifests.invalid for one in invalid.diagnostics]
    output.diagnostics(invalid, as_warnings=True)
    refuse_unnamed_objects(manifests)
    present = [*(f"NetworkQoS/{one.key}" for one in manifests.policies), *keys_of_invalid_objects(manifests)]
    with database.connect(owner) as northbound:
        if not dry_run:
            northbound.lock()
        snapshot = northbound.snapshot()
        retained = [*present, *_present_pods(manifests, snapshot)]
        plan = plan_changes(DesiredState.of(retained=retained), snapshot)
        if dry_run:
            output.plan(plan, form)
            output.info(f"to do: {plan.summary()}")
        else:
            apply_plan(northbound, plan, limit)


def _present_pods(manifests: Manifests, snapshot: Snapshot) -> Iterator[str]:
    """The pods whose rows stay: those among the manifests, or all where there is no pod among them."""
    invalid = {f"{_POD}/{bad.object.key}" for bad in manifests.invalid if bad.object.kind == _POD}
    known = {f"{_POD}/{pod.key}" for pod in manifests.pods} | invalid
    for row in snapshot.rows:
        made_for = snapshot.owner.object_of(row.content.external_ids)
        if made_for.startswith(f"{_POD}/") and (not known or made_for in known):
            yield made_for
