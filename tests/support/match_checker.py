"""Whether OVN accepts match expressions: asked of ovn-trace, which parses every logical flow of a Southbound.

Nothing else tells: no database and no exit code shows that a match does not parse (measured on OVN 23.03 and 25.03).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Self

from ovnqos.sandbox import OvsdbServer, SandboxError, SouthboundServer
from ovnqos.sandbox.ovsdb import ask
from ovnqos.sandbox.programs import last_lines, run

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ovnqos import AddressSet, DesiredState, PortGroup

_SWITCH, _PORT = "switch", "port"
_WARNING: Final = re.compile(r"\|ovntrace\|WARN\|(.*): parsing expression failed \((.*)\)$", re.MULTILINE)


def unparsed_matches(southbound: OvsdbServer, *, switch: str, port: str) -> dict[str, str]:
    """The matches of a Southbound's logical flows that OVN cannot parse, and what it says of each.

    Args:
        southbound: serves the Southbound.
        switch: the name of any logical switch in it.
        port: one of that switch's ports.

    Raises:
        SandboxError: ovn-trace did not run through, or its log cannot be read.
    """
    log = southbound.folder / "ovn-trace.log"
    log.unlink(missing_ok=True)
    options = ("-vconsole:off", "-vsyslog:off", f"--log-file={log}", "-vfile:warn", "--no-leader-only", "--minimal")
    command = southbound.programs.command("ovn-trace", f"--db={southbound.remote}", *options, switch)
    run([*command, f'inport == "{port}"'], folder=southbound.folder)
    if not log.exists():
        raise SandboxError("ovn-trace wrote no log")
    said = log.read_text()
    warnings = _WARNING.findall(said)
    if len(warnings) != said.count("parsing expression failed"):
        raise SandboxError(f"ovn-trace's log was not understood: {last_lines(said)}")
    return dict(warnings)


class MatchChecker:
    """A throw-away Southbound that takes matches and their sets; a context manager. It needs no root."""

    def __init__(self) -> None:
        self._southbound = SouthboundServer()

    def __enter__(self) -> Self:
        self._southbound.__enter__()
        port = {"datapath": ["named-uuid", "switch"], "logical_port": _PORT, "tunnel_key": 1}
        identity = ["map", [["name", _SWITCH], ["logical-switch", "00000000-0000-0000-0000-000000000001"]]]
        switch = {"tunnel_key": 1, "external_ids": identity}
        self._transact(
            [
                {"op": "insert", "table": "Datapath_Binding", "uuid-name": "switch", "row": switch},
                {"op": "insert", "table": "Port_Binding", "row": port},
            ]
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._southbound.close()

    def unparsed(
        self,
        matches: Iterable[str],
        *,
        address_sets: Iterable[AddressSet] = (),
        port_groups: Iterable[PortGroup] = (),
    ) -> dict[str, str]:
        """Those of the matches that OVN cannot parse where exactly these sets and groups exist, and what it says.

        Raises:
            SandboxError: a program failed.
        """
        switch = self._southbound.sbctl("--bare", "--columns=_uuid", "find", "Datapath_Binding", "tunnel_key=1").strip()
        operations: list[Mapping[str, object]] = [
            {"op": "delete", "table": table, "where": []} for table in ("Logical_Flow", "Address_Set", "Port_Group")
        ]
        stage = ["map", [["stage-name", "ls_in_qos_mark"], ["source", "test"]]]
        for number, match in enumerate(dict.fromkeys(matches)):
            row = {
                "logical_datapath": ["uuid", switch],
                "pipeline": "ingress",
                "table_id": 0,
                "priority": number % 65535,
            }
            row |= {"match": match, "actions": "next;", "external_ids": stage}
            operations.append({"op": "insert", "table": "Logical_Flow", "row": row})
        for one in address_sets:
            row = {"name": one.name, "addresses": ["set", sorted(one.addresses)]}
            operations.append({"op": "insert", "table": "Address_Set", "row": row})
        for group in port_groups:
            row = {"name": group.name, "ports": ["set", sorted(group.ports)]}
            operations.append({"op": "insert", "table": "Port_Group", "row": row})
        self._transact(operations)
        return unparsed_matches(self._southbound, switch=_SWITCH, port=_PORT)

    def unparsed_of(self, desired: DesiredState) -> dict[str, str]:
        """Those matches of a desired state's rows that OVN cannot parse with its own sets and groups."""
        return self.unparsed(
            (str(row.match) for row in desired.rows.values()),
            address_sets=desired.address_sets.values(),
            port_groups=desired.port_groups.values(),
        )

    def _transact(self, operations: Iterable[Mapping[str, object]]) -> None:
        answers = ask(self._southbound.socket, "transact", ["OVN_Southbound", *operations], timeout=30)
        errors = [answer for answer in answers if answer and "error" in answer]
        if errors:
            raise SandboxError(f"the Southbound refused what is to be checked: {errors}")
