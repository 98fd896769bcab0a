"""A small OVN without chassis, whose rows are ours, for the command that verifies them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ovnqos import DesiredState, Direction, Northbound, QosRow, plan_changes
from ovnqos import match as m
from tests.functional.support_command import ovnqos

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ovnqos import AddressSet, PortGroup
    from ovnqos.sandbox import Central
    from tests.functional.support_command import Ended

MACS = {"a": "02:00:00:00:00:0a", "b": "02:00:00:00:00:0b", "c": "02:00:00:00:00:0c"}


def wire_lan(central: Central, switch: str = "lan") -> None:
    """A switch with the ports a, b and c; on another switch than `lan` they have its name in front."""
    front = "" if switch == "lan" else f"{switch}-"
    words = ["ls-add", switch]
    for number, (port, mac) in enumerate(MACS.items(), start=1):
        words += ["--", "lsp-add", switch, front + port]
        words += ["--", "lsp-set-addresses", front + port, f"{mac} 10.0.0.{number} fd00::{number}"]
    central.nbctl(*words)
    central.nbctl("--wait=sb", "sync")


def row(**changes: Any) -> QosRow:
    """A row that marks and limits what port a sends to 203.0.113.0/24, but for these changes."""
    given: dict[str, Any] = {
        "switches": frozenset({"lan"}),
        "direction": Direction.FROM_LPORT,
        "priority": 2_000,
        "match": m.inport("a") & m.ip4.dst.isin("203.0.113.0/24"),
        "dscp": 10,
        "rate_kbps": 1_000,
        **changes,
    }
    return QosRow(**given)


def apply(
    central: Central,
    *rows: QosRow,
    address_sets: Iterable[AddressSet] = (),
    port_groups: Iterable[PortGroup] = (),
    caught_up: bool = True,
) -> None:
    """Makes these rows and sets ours, and by default waits for northd."""
    desired = DesiredState.of(rows=rows, address_sets=address_sets, port_groups=port_groups)
    with Northbound.connect(central.northbound.remote) as northbound:
        northbound.apply(plan_changes(desired, northbound.snapshot()))
    if caught_up:
        central.nbctl("--wait=sb", "sync")


def verify(central: Central, *words: str) -> Ended:
    """Runs `ovnqos verify` on its databases; what may pass gets half a second unless the words say otherwise."""
    places = ["--nb", central.northbound.remote, "--sb", central.southbound.remote]
    return ovnqos("verify", *places, *(() if "-t" in words else ("-t", "0.5")), *words)


def findings(central: Central, *words: str) -> list[dict[str, Any]]:
    """The rows of the JSON that the command prints."""
    rows: list[dict[str, Any]] = json.loads(verify(central, "-o", "json", *words).out)["rows"]
    return rows


def verdicts(central: Central, *words: str) -> list[str]:
    """The verdict of each row and switch."""
    return [one["verdict"] for one in findings(central, *words)]


def register_chassis(central: Central, name: str, *, nb_cfg: int, other_config: str = "{}") -> None:
    """Makes the rows of a chassis that has installed the flows of a nb_cfg, as ovn-controller would."""
    address = f"127.0.0.{1 + len(central.sbctl('--bare', '--columns=_uuid', 'list', 'Encap').split())}"
    central.sbctl("chassis-add", name, "geneve", address)
    central.sbctl("set", "Chassis", name, f"hostname={name}.example.com", f"other_config={other_config}")
    chassis = central.sbctl("--bare", "--columns=_uuid", "find", "Chassis", f"name={name}").strip()
    central.sbctl("create", "Chassis_Private", f"name={name}", f"chassis={chassis}", f"nb_cfg={nb_cfg}")


def bind(central: Central, port: str, chassis: str) -> None:
    """Puts a port on a chassis, as ovn-controller would."""
    central.sbctl("lsp-bind", port, chassis)
