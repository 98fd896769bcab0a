"""`ovnqos list`: the rows in the Northbound, with the object each comes from."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from ovnqos.cli import options, output
from ovnqos.model.owner import NETWORK_KEY, REFERENCE_NETWORK_KEY, RULE_KEY, Owner

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ovnqos.plan.snapshot import ActualRow

_COLUMNS = ("object", "rule", "network", "switch", "direction", "priority", "dscp", "rate", "burst", "match")


@click.command("list")
@options.database_options
@options.owner_option
@click.option("-a", "--all", "everyone", is_flag=True, help="Rows of other owners too.")
@click.option(
    "-o",
    "--output",
    "form",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="How to print the rows.",
)
def list_rows(database: options.DatabaseOptions, owner_name: str, everyone: bool, form: str) -> None:
    """List the QoS rows in the Northbound with the object each comes from: one line a row and switch.

    Rates are in kbps, bursts in kbit; - stands for what a row does not have.

    \b
    Examples:
      ovnqos list
      ovnqos list --all --nb unix:/var/run/ovn/ovnnb_db.sock
      ovnqos list -o json | jq '.[] | select(.dscp == 20)'
    """  # noqa: D301 - \b keeps click from filling the lines
    owner = Owner(owner_name)
    with database.connect(owner) as northbound:
        snapshot = northbound.snapshot()
    found = [*snapshot.rows, *(snapshot.foreign_rows if everyone else ())]
    records = sorted(_records(found, owner), key=lambda one: tuple(map(str, (one["object"], *one.values()))))
    if form == "json":
        output.result(json.dumps(records, indent=2, sort_keys=True, ensure_ascii=False) + "\n")
    elif records:
        output.result(
            _table([[name.upper() for name in _COLUMNS], *([str(one[name]) for name in _COLUMNS] for one in records)])
        )
    else:
        output.info("no rows")


def _records(rows: Iterable[ActualRow], owner: Owner) -> Iterable[dict[str, Any]]:
    owners = (owner, Owner.ovn_kubernetes())
    for row in rows:
        content = row.content
        known = content.external_ids
        for switch in sorted(row.switches):
            yield {
                "object": next((one.object_of(known) for one in owners if one.owns(known)), "") or "-",
                "rule": known.get(RULE_KEY, known.get("rule-index", "-")),
                "network": known.get(NETWORK_KEY, known.get(REFERENCE_NETWORK_KEY, "-")),
                "switch": switch,
                "direction": content.direction,
                "priority": content.priority,
                "dscp": content.action.get("dscp", "-"),
                "rate": content.bandwidth.get("rate", "-"),
                "burst": content.bandwidth.get("burst", "-"),
                "match": content.match,
                "uuid": row.uuid,
            }


def _table(lines: Sequence[Sequence[str]]) -> str:
    """Aligned columns; the last is as long as it is, so that a line stays a line for grep."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)][:-1]
    return "".join(
        "  ".join([*(word.ljust(width) for word, width in zip(line, widths, strict=False)), line[-1]]) + "\n"
        for line in lines
    )
