"""One chassis: what its switch has counted, by logical flow of the Southbound."""

from __future__ import annotations

import json
import re
import socket
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from ovnqos.errors import ChassisUnavailable
from ovnqos.stats.openflow import MeterStatistics, OpenFlowSwitch

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

_METER: Final = re.compile(r"__string: uuid (?P<flow>[0-9a-f-]{36}) .*: (?P<meter>[0-9]+)", re.DOTALL)
"""A line of `ovn-appctl meter-table-list`: a meter for one logical flow (seen on 23.03 and 25.03)."""
_CHUNK: Final = 65536
_CONTROLLER_SOCKETS: Final = "ovn-controller.*.ctl"
_ENCAP_TOS: Final = "ovn-encap-tos"


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowCount:
    """Packets, and their bytes, that the flows of one logical flow matched."""

    packets: int = 0
    octets: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """What a chassis has counted at one moment.

    Attributes:
        time: of the reading, in seconds on the monotonic clock.
        meters: by uuid of the logical flow; None for a meter that ovn-controller has made and the switch does not have.
        flows: by the first 8 hexadecimal digits of that uuid, for logical flows that this chassis has flows of.
    """

    time: float = 0.0
    meters: Mapping[str, MeterStatistics | None] = field(default_factory=dict)
    flows: Mapping[str, FlowCount] = field(default_factory=dict)


class LocalChassis:
    """The switch and the ovn-controller of this machine, which are only read."""

    def __init__(self, *, ovs_folder: Path, ovn_folder: Path, bridge: str = "br-int", timeout_s: float = 5.0) -> None:
        """Describe it.

        Args:
            ovs_folder: where Open vSwitch's sockets are, e.g. `/var/run/openvswitch`.
            ovn_folder: where ovn-controller's is, e.g. `/var/run/ovn`.
            bridge: OVN's integration bridge.
            timeout_s: seconds that each question may take.
        """
        self._ovs_folder = ovs_folder
        self._switch = ovs_folder / f"{bridge}.mgmt"
        self._ovn_folder = ovn_folder
        self._timeout_s = timeout_s

    def read(self, stages: Iterable[Iterable[str]]) -> Counters:
        """Read the counters of all meters, and of the flows in the tables of QoS.

        Args:
            stages: for each stage of QoS the uuids of its default flows, by which the tables are found: their numbers
                differ by OVN's version (`SouthboundContents.default_flows`).

        Raises:
            ChassisUnavailable: ovn-controller or the switch does not answer.
        """
        made = self._meter_table()
        flows: dict[str, FlowCount] = defaultdict(FlowCount)
        with OpenFlowSwitch(self._switch, timeout_s=self._timeout_s) as switch:
            there = {one.meter: one for one in switch.meters()}
            for uuids in stages:
                for table in _tables(switch, uuids):
                    for one in switch.flows(table=table):
                        cookie = f"{one.cookie:08x}"
                        known = flows[cookie]
                        flows[cookie] = FlowCount(packets=known.packets + one.packets, octets=known.octets + one.octets)
        return Counters(
            time=time.monotonic(), meters={flow: there.get(meter) for flow, meter in made.items()}, flows=dict(flows)
        )

    @property
    def is_here(self) -> bool:
        """Whether an ovn-controller has run on this machine."""
        return any(self._ovn_folder.glob(_CONTROLLER_SOCKETS))

    def marks_outer_headers(self) -> bool:
        """Whether tunnel packets get the mark of the packets in them (ovn-controller(8), `ovn-encap-tos`).

        The Southbound does not show this setting, so the chassis' own database is asked.

        Raises:
            ChassisUnavailable: its server does not answer.
        """
        path = self._ovs_folder / "db.sock"
        select = {"op": "select", "table": "Open_vSwitch", "where": [], "columns": ["external_ids"]}
        request = {"id": 0, "method": "transact", "params": ["Open_vSwitch", select]}
        try:
            (answer,) = _ask(str(path), request, self._timeout_s)["result"]
            settings = dict(answer["rows"][0]["external_ids"][1])
        except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
            raise ChassisUnavailable(f"{path}: {error}") from error
        of_chassis = f"{_ENCAP_TOS}-{settings.get('system-id')}"
        return settings.get(of_chassis, settings.get(_ENCAP_TOS)) == "inherit"

    def _meter_table(self) -> dict[str, int]:
        """The number of the meter of each logical flow that has one."""
        text = self._ask_controller("meter-table-list")
        return {found["flow"]: int(found["meter"]) for line in text.splitlines() if (found := _METER.fullmatch(line))}

    def _ask_controller(self, command: str) -> str:
        """Send a command to ovn-controller, as ovn-appctl does (ovs-appctl(8))."""
        sockets = sorted(self._ovn_folder.glob(_CONTROLLER_SOCKETS), key=_modified)
        cause = "no socket ovn-controller.*.ctl is there"
        for path in reversed(sockets):  # one that was killed leaves its socket
            try:
                answer = _ask(str(path), {"id": 0, "method": command, "params": []}, self._timeout_s)
            except (OSError, ValueError) as error:
                cause = f"{path.name}: {error}"
                continue
            if answer.get("error"):
                raise ChassisUnavailable(f"ovn-controller refuses {command}: {' '.join(str(answer['error']).split())}")
            return str(answer.get("result", ""))
        raise ChassisUnavailable(
            f"ovn-controller in {self._ovn_folder}: {cause}; run this on a chassis, or name its folder by --ovn-rundir"
        )


def _tables(switch: OpenFlowSwitch, default_flows: Iterable[str]) -> set[int]:
    """Find the numbers of the tables that hold the default flows of a stage; empty where no switch is local."""
    for uuid in default_flows:
        found = {one.table for one in switch.flows(cookie=int(uuid[:8], 16))}
        if found:
            return found
    return set()


def _ask(path: str, request: Mapping[str, Any], timeout_s: float) -> dict[str, Any]:
    """Send a JSON-RPC request to a daemon of OVS or OVN; returns its answer, raises OSError or ValueError."""
    deadline = time.monotonic() + timeout_s
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout_s)
        connection.connect(path)
        connection.sendall(json.dumps(request).encode())
        answer = b""
        while True:
            connection.settimeout(max(0.001, deadline - time.monotonic()))
            part = connection.recv(_CHUNK)
            answer += part
            try:
                found = json.loads(answer)
            except ValueError:
                if not part:
                    raise
                continue
            if not isinstance(found, dict):
                raise ValueError(f"{found!r:.40} is no answer")
            return found


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0  # it went since the folder was read
