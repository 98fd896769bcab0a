"""What a long-running controller needs beside the names of `ovnqos`: deltas, changes, conflicts, topologies.

A program that only parses and compiles needs none of this.
"""

from ovnqos.collector import collector_paused
from ovnqos.compile.compiled import PolicyCounts
from ovnqos.compile.inventory import Inventory
from ovnqos.compile.overlaps import ShadowedLimit, find_shadowed_limits
from ovnqos.compile.precedence import neighbour_rows
from ovnqos.compile.rows import Delta, object_of, policy_of
from ovnqos.compile.topologies.choice import (
    TopologyChoice,
    TopologyKind,
    detect_topology,
    make_topology,
    parse_topology_choice,
)
from ovnqos.compile.topology import Network, PodInterface
from ovnqos.convert.documents import network_qos_document
from ovnqos.diagnostics import listed, printable
from ovnqos.errors import InvalidRemote, InvalidRow, NameTaken, NorthboundUnavailable, SouthboundUnavailable
from ovnqos.model.labels import Operator, Requirement
from ovnqos.model.networks import DEFAULT_NETWORK, NetworkTopology, TopologyMap
from ovnqos.model.owner import NETWORK_KEY, PORT_KEY, RULE_KEY
from ovnqos.model.workloads import NO_POD_QOS
from ovnqos.northbound.database_change import DatabaseChange
from ovnqos.northbound.northbound import Applied
from ovnqos.plan.changes import (
    PORT,
    Change,
    MissingReference,
    RowDelete,
    RowInsert,
    RowUpdate,
    SetDelete,
    SetInsert,
    SetUpdate,
    describe_missing,
    missing_ports,
    missing_switches,
)
from ovnqos.plan.ended_limits import EndedLimitsMaximum, count_limits
from ovnqos.plan.foreign import (
    CarriedMarks,
    ForeignConflict,
    carry_marks,
    claimed_rows,
    describe_conflicts,
    find_foreign_conflicts,
    upstream_rows,
)
from ovnqos.plan.removals import KnownRemovals, Removals, count_desired_limits, find_removals
from ovnqos.plan.renderings import qos_list_line
from ovnqos.plan.snapshot import ActualRow, ActualSet, RowContent, SetContent, SetKind, references_in
from ovnqos.sources import parse_namespace, parse_network_attachment_definition, parse_node, parse_pod, parse_policy

__all__ = [
    "DEFAULT_NETWORK",
    "NETWORK_KEY",
    "NO_POD_QOS",
    "PORT",
    "PORT_KEY",
    "RULE_KEY",
    "ActualRow",
    "ActualSet",
    "Applied",
    "CarriedMarks",
    "Change",
    "DatabaseChange",
    "Delta",
    "EndedLimitsMaximum",
    "ForeignConflict",
    "InvalidRemote",
    "InvalidRow",
    "Inventory",
    "KnownRemovals",
    "MissingReference",
    "NameTaken",
    "Network",
    "NetworkTopology",
    "NorthboundUnavailable",
    "Operator",
    "PodInterface",
    "PolicyCounts",
    "Removals",
    "Requirement",
    "RowContent",
    "RowDelete",
    "RowInsert",
    "RowUpdate",
    "SetContent",
    "SetDelete",
    "SetInsert",
    "SetKind",
    "SetUpdate",
    "ShadowedLimit",
    "SouthboundUnavailable",
    "TopologyChoice",
    "TopologyKind",
    "TopologyMap",
    "carry_marks",
    "claimed_rows",
    "collector_paused",
    "count_desired_limits",
    "count_limits",
    "describe_conflicts",
    "describe_missing",
    "detect_topology",
    "find_foreign_conflicts",
    "find_removals",
    "find_shadowed_limits",
    "listed",
    "make_topology",
    "missing_ports",
    "missing_switches",
    "neighbour_rows",
    "network_qos_document",
    "object_of",
    "parse_namespace",
    "parse_network_attachment_definition",
    "parse_node",
    "parse_pod",
    "parse_policy",
    "parse_topology_choice",
    "policy_of",
    "printable",
    "qos_list_line",
    "references_in",
    "upstream_rows",
]
