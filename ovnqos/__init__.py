"""Kubernetes network QoS for OVN: NetworkQoS objects and pod annotations as rows of the Northbound's table QoS.

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
    from ovnqos.compile.compiler import Compiler
    from ovnqos.compile.rows import AddressSet, DesiredState, Direction, PortGroup, QosRow
    from ovnqos.compile.topologies.kube_ovn import KubeOvnTopology
    from ovnqos.compile.topologies.static import StaticTopology
    from ovnqos.compile.topology import OvnKubernetesTopology, Topology
    from ovnqos.diagnostics import Code, Diagnostic, ObjectRef, Severity
    from ovnqos.errors import (
        DatabaseUnavailable,
        InvalidObject,
        LockLost,
        OutcomeUnknown,
        OvnQosError,
        SchemaMismatch,
        StalePlan,
        TransactionRefused,
        UnreadableInput,
        UnsafePlan,
    )
    from ovnqos.model.labels import LabelSelector
    from ovnqos.model.networks import NetworkAttachmentDefinition, NetworkSelectionType, NetworkSelector
    from ovnqos.model.owner import Owner
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
    from ovnqos.model.workloads import Namespace, Node, Pod, PodQos
    from ovnqos.northbound.northbound import Northbound
    from ovnqos.ovsdb.tls import TlsFiles
    from ovnqos.plan.plan import Plan, plan_changes
    from ovnqos.plan.snapshot import Snapshot
    from ovnqos.sources import Manifests, load_manifests, parse_object
    from ovnqos.sources.topology_map import load_topology_map

    __version__: str

_MODULES: Final = {
    "ovnqos.compile.compiler": "Compiler",
    "ovnqos.compile.rows": "AddressSet DesiredState Direction PortGroup QosRow",
    "ovnqos.compile.topologies.kube_ovn": "KubeOvnTopology",
    "ovnqos.compile.topologies.static": "StaticTopology",
    "ovnqos.compile.topology": "OvnKubernetesTopology Topology",
    "ovnqos.diagnostics": "Code Diagnostic ObjectRef Severity",
    "ovnqos.errors": (
        "DatabaseUnavailable InvalidObject LockLost OutcomeUnknown OvnQosError SchemaMismatch StalePlan "
        "TransactionRefused UnreadableInput UnsafePlan"
    ),
    "ovnqos.model.labels": "LabelSelector",
    "ovnqos.model.networks": "NetworkAttachmentDefinition NetworkSelectionType NetworkSelector",
    "ovnqos.model.owner": "Owner",
    "ovnqos.model.policy": "Bandwidth BandwidthScope Classifier IPBlock NetworkQoS PodPeer PortMatch Protocol Rule",
    "ovnqos.model.workloads": "Namespace Node Pod PodQos",
    "ovnqos.northbound.northbound": "Northbound",
    "ovnqos.ovsdb.tls": "TlsFiles",
    "ovnqos.plan.plan": "Plan plan_changes",
    "ovnqos.plan.snapshot": "Snapshot",
    "ovnqos.sources": "Manifests load_manifests parse_object",
    "ovnqos.sources.topology_map": "load_topology_map",
}
_MODULE_OF: Final = {name: module for module, names in _MODULES.items() for name in names.split()}

__all__ = [
    "AddressSet",
    "Bandwidth",
    "BandwidthScope",
    "Classifier",
    "Code",
    "Compiler",
    "DatabaseUnavailable",
    "DesiredState",
    "Diagnostic",
    "Direction",
    "IPBlock",
    "InvalidObject",
    "KubeOvnTopology",
    "LabelSelector",
    "LockLost",
    "Manifests",
    "Namespace",
    "NetworkAttachmentDefinition",
    "NetworkQoS",
    "NetworkSelectionType",
    "NetworkSelector",
    "Node",
    "Northbound",
    "ObjectRef",
    "OutcomeUnknown",
    "OvnKubernetesTopology",
    "OvnQosError",
    "Owner",
    "Plan",
    "Pod",
    "PodPeer",
    "PodQos",
    "PortGroup",
    "PortMatch",
    "Protocol",
    "QosRow",
    "Rule",
    "SchemaMismatch",
    "Severity",
    "Snapshot",
    "StalePlan",
    "StaticTopology",
    "TlsFiles",
    "Topology",
    "TransactionRefused",
    "UnreadableInput",
    "UnsafePlan",
    "__version__",
    "load_manifests",
    "load_topology_map",
    "parse_object",
    "plan_changes",
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
