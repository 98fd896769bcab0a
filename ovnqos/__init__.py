"""Kubernetes network QoS, made true on the wire of an OVN network.

Two levels, both public. Above: NetworkQoS objects are compiled to rows (`parse_object`, `Compiler`).
Below: rows, address sets and port groups in OVN's own terms (`QosRow`, `AddressSet`, `PortGroup`, `DesiredState`).
Both end in `plan_changes` and `Northbound.apply`. Examples that run are in docs/examples/.
"""

from ovnqos import match
from ovnqos.collector import collector_paused
from ovnqos.compile.compiler import Compiler
from ovnqos.compile.inventory import Inventory
from ovnqos.compile.rows import AddressSet, Delta, DesiredState, Direction, PortGroup, QosRow, policy_of
from ovnqos.compile.shadowed_limits import ShadowedLimit, find_shadowed_limits
from ovnqos.compile.topologies.choice import TopologyChoice, TopologyKind, parse_topology_choice
from ovnqos.compile.topologies.detect import detect_topology, make_topology
from ovnqos.compile.topology import Network, PodInterface, Topology
from ovnqos.diagnostics import Code, Diagnostic, ObjectRef, Severity
from ovnqos.errors import (
    DatabaseUnavailable,
    InvalidObject,
    InvalidRemote,
    InvalidRow,
    LockLost,
    NameTaken,
    NorthboundUnavailable,
    OutcomeUnknown,
    OvnQosError,
    SchemaMismatch,
    SouthboundUnavailable,
    StalePlan,
    TransactionRefused,
    UnreadableInput,
    UnsafePlan,
    Unsupported,
)
from ovnqos.match.overlap import can_overlap
from ovnqos.model.labels import LabelSelector, Operator, Requirement
from ovnqos.model.networks import NetworkAttachmentDefinition, NetworkSelectionType, NetworkSelector, NetworkTopology
from ovnqos.model.owner import Owner
from ovnqos.model.pod_qos import NO_POD_QOS, PodQos
from ovnqos.model.policy import (
    Bandwidth,
    BandwidthScope,
    Classifier,
    IPBlock,
    NetworkQoS,
    PodPeer,
    PortMatch,
    Protocol,
    Rule,
)
from ovnqos.model.topology_map import TopologyMap
from ovnqos.model.workloads import Namespace, Node, Pod
from ovnqos.northbound.database_change import DatabaseChange
from ovnqos.northbound.northbound import Applied, Northbound
from ovnqos.ovsdb.tls import TlsFiles
from ovnqos.plan.changes import (
    Change,
    MissingReference,
    RowDelete,
    RowInsert,
    RowUpdate,
    SetDelete,
    SetInsert,
    SetUpdate,
)
from ovnqos.plan.foreign import ForeignConflict, find_foreign_conflicts, upstream_rows
from ovnqos.plan.plan import DeleteLimit, Plan
from ovnqos.plan.planner import plan_changes
from ovnqos.plan.render_diff import qos_list_line
from ovnqos.plan.snapshot import ActualRow, ActualSet, RowContent, SetContent, SetKind, Snapshot
from ovnqos.sources import (
    Manifests,
    load_manifests,
    parse_namespace,
    parse_network_attachment_definition,
    parse_node,
    parse_object,
    parse_pod,
    parse_policy,
)
from ovnqos.sources.topology_map import load_topology_map

__all__ = [
    "NO_POD_QOS",
    "ActualRow",
    "ActualSet",
    "AddressSet",
    "Applied",
    "Bandwidth",
    "BandwidthScope",
    "Change",
    "Classifier",
    "Code",
    "Compiler",
    "DatabaseChange",
    "DatabaseUnavailable",
    "DeleteLimit",
    "Delta",
    "DesiredState",
    "Diagnostic",
    "Direction",
    "ForeignConflict",
    "IPBlock",
    "InvalidObject",
    "InvalidRemote",
    "InvalidRow",
    "Inventory",
    "LabelSelector",
    "LockLost",
    "Manifests",
    "MissingReference",
    "NameTaken",
    "Namespace",
    "Network",
    "NetworkAttachmentDefinition",
    "NetworkQoS",
    "NetworkSelectionType",
    "NetworkSelector",
    "NetworkTopology",
    "Node",
    "Northbound",
    "NorthboundUnavailable",
    "ObjectRef",
    "Operator",
    "OutcomeUnknown",
    "OvnQosError",
    "Owner",
    "Plan",
    "Pod",
    "PodInterface",
    "PodPeer",
    "PodQos",
    "PortGroup",
    "PortMatch",
    "Protocol",
    "QosRow",
    "Requirement",
    "RowContent",
    "RowDelete",
    "RowInsert",
    "RowUpdate",
    "Rule",
    "SchemaMismatch",
    "SetContent",
    "SetDelete",
    "SetInsert",
    "SetKind",
    "SetUpdate",
    "Severity",
    "ShadowedLimit",
    "Snapshot",
    "SouthboundUnavailable",
    "StalePlan",
    "TlsFiles",
    "Topology",
    "TopologyChoice",
    "TopologyKind",
    "TopologyMap",
    "TransactionRefused",
    "UnreadableInput",
    "UnsafePlan",
    "Unsupported",
    "can_overlap",
    "collector_paused",
    "detect_topology",
    "find_foreign_conflicts",
    "find_shadowed_limits",
    "load_manifests",
    "load_topology_map",
    "make_topology",
    "match",
    "parse_namespace",
    "parse_network_attachment_definition",
    "parse_node",
    "parse_object",
    "parse_pod",
    "parse_policy",
    "parse_topology_choice",
    "plan_changes",
    "policy_of",
    "qos_list_line",
    "upstream_rows",
]
