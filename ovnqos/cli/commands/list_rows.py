"""`ovnqos list`: the rows in the Northbound, with the object each comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ovnqos.cli import options, output, tables

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ovnqos.model.owner import Owner
    from ovnqos.plan.snapshot import ActualRow

_FORMAT = "ovnqos.io/rows/v1"
_COLUMNS = ("object", "rule", "network", "switch", "direction", "priority", "dscp", "rate", "burst")
_WIDE = ("owner", "uuid", "match")


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
      ovnqos list -o json | jq '.rows[] | select(.dscp == 20)'
    """  # noqa: D301 - \b keeps click from filling the lines
    with database.connect(owner) as northbound:
        snapshot = northbound.snapshot()
    found = [*snapshot.rows, *(snapshot.foreign_rows if everyone else ())]
    records = sorted(_records(found, owner), key=lambda one: tuple(map(str, (one["object"] or "", *one.values()))))
    if namespace and not all_namespaces:
        records = [one for one in records if (one["object"] or "").split("/")[1:2] == [namespace]]
    if form is options.TableFormat.JSON:
        output.result_json({"format": _FORMAT, "rows": records})
    elif records:
        shown = (*_COLUMNS, *(_WIDE if form is options.TableFormat.WIDE else ()), "reason")
        for one in records:  # one that is no object's is told by its owner and match
            one["reason"] = "" if one["object"] else f"owner {one['owner'] or 'unknown'}: {one['match']}"
        rows = [{name.upper(): one[name] for name in shown} for one in records]
        tables.table([name.upper() for name in shown], rows)
    else:
        output.info("no rows")


def _other_owner(external_ids: Mapping[str, str]) -> str | None:
    """Who a foreign row is likely to be of; None where nothing says it."""
    from ovnqos.model.owner import OWNER_KEY, UPSTREAM_TYPE_KEY

    if kind := external_ids.get(UPSTREAM_TYPE_KEY):
        return f"ovn-kubernetes {kind}"
    return external_ids.get(OWNER_KEY) or (
        "neutron" if any(key.startswith("neutron:") for key in external_ids) else None
    )


def _records(rows: Iterable[ActualRow], owner: Owner) -> Iterator[dict[str, Any]]:
    from ovnqos.model.owner import NETWORK_KEY, RULE_KEY, UPSTREAM_NETWORK_KEY, Owner

    owners = (owner, Owner.ovn_kubernetes())
    for row in rows:
        content = row.content
        known = content.external_ids
        its = next((one for one in owners if one.owns(known)), None)
        for switch in sorted(row.switches):
            yield {
                "object": (its.object_of(known) if its else "") or None,
                "rule": known.get(RULE_KEY, known.get("rule-index")),
                "network": known.get(NETWORK_KEY, known.get(UPSTREAM_NETWORK_KEY)),
                "switch": switch,
                "direction": content.direction,
                "priority": content.priority,
                "dscp": content.action.get("dscp"),
                "mark": content.action.get("mark"),
                "rate": content.bandwidth.get("rate"),
                "burst": content.bandwidth.get("burst"),
                "owner": its.name if its else _other_owner(known),
                "match": content.match,
                "uuid": row.uuid,
            }
