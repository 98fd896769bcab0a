"""The operations of RFC 7047, section 5.2, on a database in memory: written from the RFC, for QoS rows and sets."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

from ovnqos.plan.snapshot import ROW_COLUMNS, ActualRow, ActualSet, RowContent, SetContent, SetKind
from tests.support.database import Database

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Row = dict[str, Any]
_NUMBERS = count()


class Aborted(Exception):  # noqa: N818 - in the RFC's word
    """An operation failed, and the transaction with it."""


def values(value: Any) -> Any:
    """A `<value>`: maps as dictionaries, sets as sets, scalars as they are."""
    match value:
        case ["map", pairs]:
            return dict(pairs)
        case ["set", members]:
            return {one[1] if isinstance(one, list) else one for one in members}
    return value


@dataclass
class Tables:
    """Rows by table and uuid; references are uuids."""

    rows: dict[str, dict[str, Row]]
    names: dict[str, str] = field(default_factory=dict)  # of rows inserted in this transaction

    @classmethod
    def of(cls, database: Database) -> Tables:
        rows: dict[str, dict[str, Row]] = {
            "QoS": {
                uuid: {name: getattr(row.content, name) for name in ROW_COLUMNS} for uuid, row in database.rows.items()
            },
            "Logical_Switch": {
                f"uuid-of-switch-{name}": {
                    "name": name,
                    "qos_rules": {uuid for uuid, row in database.rows.items() if name in row.switches},
                }
                for name in database.switches
            },
            "Logical_Switch_Port": {f"uuid-of-port-{name}": {"name": name} for name in database.ports},
            **{str(kind): {} for kind in SetKind},
        }
        for uuid, one in database.sets.items():
            members = set(one.content.members)
            if one.content.kind is SetKind.PORT_GROUP:
                members = {f"uuid-of-port-{name}" for name in members}
            rows[one.content.kind][uuid] = {
                "name": one.content.name,
                "external_ids": dict(one.content.external_ids),
                one.content.kind.column: members,
            }
        return cls(rows)

    def database(self) -> Database:
        ports = {uuid: row["name"] for uuid, row in self.rows["Logical_Switch_Port"].items()}
        return Database(
            rows={
                uuid: ActualRow(
                    uuid=uuid,
                    content=RowContent(**row),
                    switches=frozenset(one["name"] for one in self._switches() if uuid in one["qos_rules"]),
                )
                for uuid, row in self.rows["QoS"].items()
            },
            sets={
                uuid: ActualSet(
                    uuid=uuid,
                    content=SetContent(
                        kind=kind,
                        name=row["name"],
                        members=frozenset(
                            map(ports.__getitem__, row["ports"]) if kind is SetKind.PORT_GROUP else row["addresses"]
                        ),
                        external_ids=row["external_ids"],
                    ),
                )
                for kind in SetKind
                for uuid, row in self.rows[kind].items()
            },
            switches=frozenset(one["name"] for one in self._switches()),
            ports=frozenset(ports.values()),
        )

    def _switches(self) -> Iterable[Row]:
        return self.rows["Logical_Switch"].values()

    def transact(self, operations: Iterable[Mapping[str, Any]]) -> None:
        self.names.clear()
        for operation in operations:
            getattr(self, f"_{operation['op']}")(operation)
        bound = {uuid for switch in self._switches() for uuid in switch["qos_rules"]}
        assert bound <= self.rows["QoS"].keys(), "a reference to no row: referential integrity violation"
        self.rows["QoS"] = {uuid: row for uuid, row in self.rows["QoS"].items() if uuid in bound}
        for kind in SetKind:
            names = [row["name"] for row in self.rows[kind].values()]
            assert len(names) == len(set(names)), "constraint violation"

    def _insert(self, operation: Mapping[str, Any]) -> None:
        uuid = f"new-{next(_NUMBERS)}"
        if "uuid-name" in operation:
            assert operation["uuid-name"] not in self.names, "duplicate uuid-name"
            self.names[operation["uuid-name"]] = uuid
        self.rows[operation["table"]][uuid] = {name: values(one) for name, one in operation["row"].items()}

    def _wait(self, operation: Mapping[str, Any]) -> None:
        assert (operation["until"], operation["timeout"]) == ("==", 0)
        found = [{name: row[name] for name in operation["columns"]} for _, row in self._where(operation)]
        if found != [{name: values(one) for name, one in row.items()} for row in operation["rows"]]:
            raise Aborted

    def _update(self, operation: Mapping[str, Any]) -> None:
        for _, row in self._where(operation):
            row.update({name: values(one) for name, one in operation["row"].items()})

    def _delete(self, operation: Mapping[str, Any]) -> None:
        for uuid, _ in list(self._where(operation)):
            del self.rows[operation["table"]][uuid]

    def _mutate(self, operation: Mapping[str, Any]) -> None:
        for _, row in self._where(operation):
            for column, mutator, (_set, members) in operation["mutations"]:
                changed = {self._member(one) for one in members}
                row[column] = row[column] | changed if mutator == "insert" else row[column] - changed

    def _member(self, member: Any) -> Any:
        match member:
            case ["named-uuid", name]:
                return self.names[name]
            case ["uuid", uuid]:
                return uuid
        return member

    def _where(self, operation: Mapping[str, Any]) -> Iterable[tuple[str, Row]]:
        (column, function, (_uuid, uuid)), *further = operation["where"]
        assert (column, function) == ("_uuid", "==")
        row = self.rows[operation["table"]].get(uuid)
        if row is not None and all(_holds(row, *condition) for condition in further):
            yield uuid, row


def _holds(row: Row, column: str, function: str, value: Any) -> bool:
    wanted, actual = values(value), row[column]
    return bool(wanted.items() <= actual.items() if function == "includes" else wanted == actual)
