"""Kubernetes network QoS, made true on the wire of an OVN network.

Two levels, both public. Above: NetworkQoS objects and pod annotations, compiled to rows (`parse_object`, `Compiler`).
Below: rows, address sets and port groups in OVN's own terms (`QosRow`, `AddressSet`, `PortGroup`, `DesiredState`).
Both end in `plan_changes` and `Northbound.apply`. Examples that run are in docs/examples/.

Beside the names here there are `ovnqos.match` (OVN's match language), `ovnqos.controller` (what a long-running
controller needs), `ovnqos.kubernetes`, `ovnqos.convert`, `ovnqos.explain` and `ovnqos.verify`.

Names are imported when they are first used: whoever only parses and compiles does not load the OVSDB client.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
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
    from ovnqos.model.networks import (
        NetworkAttachmentDefinition,
        NetworkSelectionType,
        NetworkSelector,
        NetworkTopology,
    )
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

    __version__: str

_MODULES: Final = {
    "ovnqos.collector": "collector_paused",
    "ovnqos.compile.compiler": "Compiler",
    "ovnqos.compile.inventory": "Inventory",
    "ovnqos.compile.rows": "AddressSet Delta DesiredState Direction PortGroup QosRow policy_of",
    "ovnqos.compile.shadowed_limits": "ShadowedLimit find_shadowed_limits",
    "ovnqos.compile.topologies.choice": "TopologyChoice TopologyKind parse_topology_choice",
    "ovnqos.compile.topologies.detect": "detect_topology make_topology",
    "ovnqos.compile.topology": "Network PodInterface Topology",
    "ovnqos.diagnostics": "Code Diagnostic ObjectRef Severity",
    "ovnqos.errors": (
        "DatabaseUnavailable InvalidObject InvalidRemote InvalidRow LockLost NameTaken NorthboundUnavailable "
        "OutcomeUnknown OvnQosError SchemaMismatch SouthboundUnavailable StalePlan TransactionRefused "
        "UnreadableInput UnsafePlan Unsupported"
    ),
    "ovnqos.match.overlap": "can_overlap",
    "ovnqos.model.labels": "LabelSelector Operator Requirement",
    "ovnqos.model.networks": "NetworkAttachmentDefinition NetworkSelectionType NetworkSelector NetworkTopology",
    "ovnqos.model.owner": "Owner",
    "ovnqos.model.pod_qos": "NO_POD_QOS PodQos",
    "ovnqos.model.policy": "Bandwidth BandwidthScope Classifier IPBlock NetworkQoS PodPeer PortMatch Protocol Rule",
    "ovnqos.model.topology_map": "TopologyMap",
    "ovnqos.model.workloads": "Namespace Node Pod",
    "ovnqos.northbound.database_change": "DatabaseChange",
    "ovnqos.northbound.northbound": "Applied Northbound",
    "ovnqos.ovsdb.tls": "TlsFiles",
    "ovnqos.plan.changes": "Change MissingReference RowDelete RowInsert RowUpdate SetDelete SetInsert SetUpdate",
    "ovnqos.plan.foreign": "ForeignConflict find_foreign_conflicts upstream_rows",
    "ovnqos.plan.plan": "DeleteLimit Plan",
    "ovnqos.plan.planner": "plan_changes",
    "ovnqos.plan.render_diff": "qos_list_line",
    "ovnqos.plan.snapshot": "ActualRow ActualSet RowContent SetContent SetKind Snapshot",
    "ovnqos.sources": (
        "Manifests load_manifests parse_namespace parse_network_attachment_definition parse_node parse_object "
        "parse_pod parse_policy"
    ),
    "ovnqos.sources.topology_map": "load_topology_map",
}
_MODULE_OF: Final = {name: module for module, names in _MODULES.items() for name in names.split()}

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
    "__version__",
    "can_overlap",
    "collector_paused",
    "detect_topology",
    "find_foreign_conflicts",
    "find_shadowed_limits",
    "load_manifests",
    "load_topology_map",
    "make_topology",
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

if not TYPE_CHECKING:  # so that a type checker knows a name that is not there

    def __getattr__(name: str) -> object:
        """Import a name when it is first used (PEP 562)."""
        if name == "__version__":
            from importlib.metadata import version  # noqa: PLC0415 # it takes longer to load than all of this module

            value: object = version("ovnqos")
        elif name in _MODULE_OF:
            value = getattr(importlib.import_module(_MODULE_OF[name]), name)
        else:
            message = f"module {__name__!r} has no attribute {name!r}"
            raise AttributeError(message)
        globals()[name] = value
        return value
