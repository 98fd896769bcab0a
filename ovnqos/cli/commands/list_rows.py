"""`ovnqos list`: the rows in the Northbound, with the object each comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ovnqos.cli import options, output

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ovnqos.model.owner import Owner
    from ovnqos.plan.snapshot import ActualRow

_COLUMNS = ("object", "rule", "network", "switch", "direction", "priority", "dscp", "rate", "burst", "match")


@click.command("list")
@options.database_options()
@options.owner_option
@click.option("-a", "--all", "everyone", is_flag=True, help="Rows of other owners too.")
@options.namespace_option
@options.all_namespaces_option
@options.table_format_option
def list_rows(  # noqa: PLR0913 - one parameter an option
    *,
    database: options.DatabaseOptions,
    owner: Owner,
    everyone: bool,
    namespace: str | None,
    all_namespaces: bool,
    form: options.TableFormat,
) -> None:
    """List the QoS rows in the Northbound with the object each comes from: one line a row and switch.

    Rates are in kbps, bursts in kbit; - stands for what a row does not have.

    \b
    Examples:
      ovnqos list
      ovnqos list -n shop
      ovnqos list --all --nb unix:/var/run/ovn/ovnnb_db.sock
      ovnqos list -o json | jq '.[] | select(.dscp == 20)'
    """  # noqa: D301 - \b keeps click from filling the lines
    with database.connect(owner) as northbound:
        snapshot = northbound.snapshot()
    found = [*snapshot.rows, *(snapshot.foreign_rows if everyone else ())]
    records = sorted(_records(found, owner), key=lambda one: tuple(map(str, (one["object"], *one.values()))))
    if namespace and not all_namespaces:
        records = [one for one in records if one["object"].split("/")[1:2] == [namespace]]
    if form is options.TableFormat.JSON:
        output.result_json(records, sort_keys=True)
    elif records:
        rows = [[str(record[name]) for name in _COLUMNS] for record in records]
        output.table([name.upper() for name in _COLUMNS], rows)
    else:
        output.info("no rows")


def _records(rows: Iterable[ActualRow], owner: Owner) -> Iterator[dict[str, Any]]:
    from ovnqos.model.owner import NETWORK_KEY, RULE_KEY, UPSTREAM_NETWORK_KEY, Owner

    owners = (owner, Owner.ovn_kubernetes())
    for row in rows:
        content = row.content
        known = content.external_ids
        for switch in sorted(row.switches):
            yield {
                "object": next((one.object_of(known) for one in owners if one.owns(known)), "") or "-",
                "rule": known.get(RULE_KEY, known.get("rule-index", "-")),
                "network": known.get(NETWORK_KEY, known.get(UPSTREAM_NETWORK_KEY, "-")),
                "switch": switch,
                "direction": content.direction,
                "priority": content.priority,
                "dscp": content.action.get("dscp", "-"),
                **({"mark": content.action["mark"]} if "mark" in content.action else {}),
                "rate": content.bandwidth.get("rate", "-"),
                "burst": content.bandwidth.get("burst", "-"),
                "match": content.match,
                "uuid": row.uuid,
            }
