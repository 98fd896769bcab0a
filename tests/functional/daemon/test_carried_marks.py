"""Marks of foreign rows, as EgressIP's, that the daemon's rows carry: they come, change and go with these."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import pytest
import tenacity

from ovnqos import Bandwidth, PodQos
from ovnqos.sandbox import NorthboundServer, Programs
from ovnqos.sandbox.ovsdb import ask
from tests.functional.support_reconciler import PATIENCE_S, PODS, Daemon

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SERVED: Final = "ip4.src == 10.0.0.1 && ct.trk && ct.rpl"
LIMITED: Final = replace(PODS[0], qos=PodQos(egress=Bandwidth(rate_kbps=3000)))
Row = dict[str, Any]


class ProgramsOf2403(Programs):
    """The installed programs, with what OVN 24.03 added to the Northbound's schema: the action `mark`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def schema(self, database: str) -> Path:
        schema = json.loads(super().schema(database).read_text())
        action = schema["tables"]["QoS"]["columns"]["action"]["type"]
        action["key"]["enum"] = ["set", ["dscp", "mark"]]
        action["value"]["maxInteger"] = 4_294_967_295
        file = self._folder / "ovn-nb.ovsschema"
        file.write_text(json.dumps(schema))
        return file


class Northbound:
    """A Northbound of OVN 24.03, and what another controller does to a row of it."""

    def __init__(self, server: NorthboundServer) -> None:
        self.server = server

    def add(self, **row: object) -> None:
        """Add a foreign row to a switch."""
        row = {"direction": "from-lport", "priority": 103, "match": SERVED, **row}
        added = {"op": "insert", "table": "QoS", "uuid-name": "added", "row": row}
        on_switch = [["qos_rules", "insert", ["set", [["named-uuid", "added"]]]]]
        self._transact(added, self._on_switch(on_switch))

    def change(self, **row: object) -> None:
        """Change the foreign row."""
        self._transact({"op": "update", "table": "QoS", "where": [["priority", "==", 103]], "row": row})

    def remove(self) -> None:
        """Take the foreign row from its switch."""
        (found,) = [one for one in self.rows() if one["priority"] == 103]
        self._transact(self._on_switch([["qos_rules", "delete", ["set", [found["_uuid"]]]]]))

    def rows(self) -> list[Row]:
        """All rows."""
        return list(self._transact({"op": "select", "table": "QoS", "where": []})[0]["rows"])

    def ours(self) -> dict[str, Row]:
        """The rows of the limited pod: `limit`, and `carrying` where there is a row beside it."""
        found = {}
        for row in self.rows():
            ids = dict(row["external_ids"][1])
            if ids.get("ovnqos.io/object") == "Pod/shop/web":
                found["carrying" if "ovnqos.io/beside" in ids else "limit"] = row
        return found

    @staticmethod
    def _on_switch(mutations: list[Any]) -> Row:
        where = [["name", "==", "node1"]]
        return {"op": "mutate", "table": "Logical_Switch", "where": where, "mutations": mutations}

    def _transact(self, *operations: Row) -> Any:
        answer = ask(self.server.socket, "transact", ["OVN_Northbound", *operations], timeout=PATIENCE_S)
        assert not [one for one in answer if one and one.get("error")], answer
        return answer

    def wait(self, mark: int | None, match: str = SERVED) -> dict[str, Row]:
        """The limited pod's rows, once the carried mark is this one."""

        def as_wanted() -> dict[str, Row] | None:
            ours = self.ours()
            carrying = ours.get("carrying")
            if carrying is None:
                return ours if mark is None and ours else None
            is_it = dict(carrying["action"][1]) == {"mark": mark} and match in carrying["match"]
            return ours if is_it else None

        found = tenacity.Retrying(
            retry=tenacity.retry_if_result(lambda found: found is None),
            stop=tenacity.stop_after_delay(PATIENCE_S),
            wait=tenacity.wait_fixed(0.05),
            retry_error_callback=lambda _state: pytest.fail(f"mark {mark} is not carried: {self.rows()}"),
        )(as_wanted)
        assert found is not None
        return found


@pytest.fixture
def northbound(tmp_path: Path) -> Iterator[Northbound]:
    with NorthboundServer(programs=ProgramsOf2403(tmp_path)) as server:
        server.nbctl("ls-add", "node1", "--", "ls-add", "node2")
        server.nbctl("lsp-add", "node1", "shop_web", "--", "lsp-add", "node2", "shop_db")
        yield Northbound(server)


@pytest.fixture
def daemon(northbound: Northbound) -> Iterator[Daemon]:
    started = Daemon(northbound.server.remote)
    started.sync(LIMITED, *PODS[1:])
    yield started
    started.stop()


@pytest.mark.usefixtures("daemon")
def test_a_carried_mark_follows_the_foreign_row(northbound: Northbound) -> None:
    limit = northbound.wait(None)["limit"]
    northbound.add(action=["map", [["mark", 42]]])
    carrying = northbound.wait(42)["carrying"]
    assert carrying["bandwidth"] == limit["bandwidth"]
    assert carrying["priority"] > limit["priority"]
    northbound.change(action=["map", [["mark", 43]]])
    northbound.wait(43)
    other = "ip4.src == 10.0.0.1 && ct.rpl"
    northbound.change(match=other)
    northbound.wait(43, other)
    northbound.remove()
    assert northbound.wait(None)["limit"]["_uuid"] == limit["_uuid"]  # its meter has kept its bucket


def test_a_mark_that_was_there_first_is_carried_from_the_start(northbound: Northbound) -> None:
    northbound.add(action=["map", [["mark", 42]]])
    daemon = Daemon(northbound.server.remote)
    try:
        daemon.sync(LIMITED, *PODS[1:])
        northbound.wait(42)
    finally:
        daemon.stop()
