"""NetworkAttachmentDefinitions: the guide's, the other forms of a CNI configuration, and faults."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from netaddr import IPNetwork

from ovnqos.errors import InvalidObject
from ovnqos.model.networks import NetworkAttachmentDefinition, NetworkTopology, OvnNetworkConfig, OwnerReference
from ovnqos.sources import parse_network_attachment_definition
from tests.support import invalid_documents as cases
from tests.support.invalid_documents import OVN_CONFIG, attachment_with, outline

GUIDE = """
apiVersion: k8s.cni.cncf.io/v1
kind: NetworkAttachmentDefinition
metadata:
  name: ovn-stream
  namespace: default
  labels:                   # label needed for NetworkQoS selector
    nad-type: ovn-kubernetes-nqos
spec:
  config: |2
    {
            "cniVersion": "1.0.0",
            "name": "ovn-stream",
            "type": "ovn-k8s-cni-overlay",
            "topology": "layer3",
            "subnets": "10.245.0.0/16/24",
            "mtu": 1300,
            "master": "eth1",
            "netAttachDefName": "default/ovn-stream"
    }
"""


def nad_of(config: object, **metadata: object) -> tuple[NetworkAttachmentDefinition, list[str]]:
    text = config if isinstance(config, str) else json.dumps(config)
    document = {"metadata": {"name": "net", **metadata}, "spec": {"config": text}}
    nad = parse_network_attachment_definition(document)
    return nad, outline(nad.diagnostics)


def errors_of(spec: object) -> list[str]:
    with pytest.raises(InvalidObject) as raised:
        parse_network_attachment_definition({"metadata": {"name": "net"}, "spec": spec})
    return outline(raised.value.diagnostics)


def test_the_guides_object_is_a_layer3_network() -> None:
    assert parse_network_attachment_definition(yaml.safe_load(GUIDE)) == NetworkAttachmentDefinition(
        namespace="default",
        name="ovn-stream",
        labels={"nad-type": "ovn-kubernetes-nqos"},
        plugin="ovn-k8s-cni-overlay",
        ovn=OvnNetworkConfig(
            network="ovn-stream", topology=NetworkTopology.LAYER3, subnets=(IPNetwork("10.245.0.0/16"),), mtu=1300
        ),
    )


def test_subnets_of_both_families_lose_the_nodes_share() -> None:
    nad, warnings = nad_of(
        {**OVN_CONFIG, "topology": "layer3", "subnets": "10.1.0.0/16/24, fd00:1::/48/64,10.2.0.0/16"}
    )
    assert nad.ovn is not None
    assert [str(subnet) for subnet in nad.ovn.subnets] == ["10.1.0.0/16", "fd00:1::/48", "10.2.0.0/16"]
    assert warnings == []


@pytest.mark.parametrize("mtu", ["9000", 0, -1, True, 1.5, None])
def test_an_mtu_that_cannot_be_read_is_no_fault_of_a_network(mtu: object) -> None:
    nad, warnings = nad_of({**OVN_CONFIG, "mtu": mtu})
    assert nad.ovn is not None
    assert nad.ovn.mtu is None
    assert warnings == []


@pytest.mark.parametrize("topology", list(NetworkTopology))
def test_a_network_may_be_of_any_topology_and_without_subnets(topology: NetworkTopology) -> None:
    nad, _ = nad_of({**OVN_CONFIG, "topology": str(topology)})
    assert nad.ovn == OvnNetworkConfig(network="stream", topology=topology)


@pytest.mark.parametrize(("given", "role"), [("primary", "primary"), ("secondary", "secondary"), ("", "secondary")])
def test_the_role_is_secondary_unless_it_is_primary(given: str, role: str) -> None:
    nad, _ = nad_of({**OVN_CONFIG, "role": given})
    assert nad.ovn is not None
    assert nad.ovn.role == role


def test_of_a_list_of_plugins_that_of_ovn_counts_and_the_list_names_the_network() -> None:
    plugin = {key: value for key, value in OVN_CONFIG.items() if key not in {"name", "cniVersion"}}
    nad, _ = nad_of({"cniVersion": "1.0.0", "name": "listed", "plugins": [{"type": "tuning"}, plugin]})
    assert nad.plugin == "ovn-k8s-cni-overlay"
    assert nad.ovn == OvnNetworkConfig(network="listed", topology=NetworkTopology.LAYER2)


@pytest.mark.parametrize(
    "config",
    [
        {"name": "x", "type": "macvlan", "master": "eth0"},
        {"name": "x", "plugins": [{"type": "macvlan"}, {"type": "tuning"}]},
    ],
)
def test_another_plugins_network_is_not_ours(config: dict[str, Any]) -> None:
    nad, warnings = nad_of(config)
    assert (nad.plugin, nad.ovn, warnings) == ("macvlan", None, [])


def test_without_a_topology_it_is_the_default_network() -> None:
    nad, warnings = nad_of({"name": "default", "type": "ovn-k8s-cni-overlay"})
    assert (nad.plugin, nad.ovn) == ("ovn-k8s-cni-overlay", None)
    assert warnings == ["warning MissingField spec.config.topology"]


def test_a_nad_without_a_configuration_has_no_plugin() -> None:
    nad = parse_network_attachment_definition({"metadata": {"name": "net"}})
    assert (nad.plugin, nad.ovn) == ("", None)


def test_owners_are_kept() -> None:
    owner = {
        "apiVersion": "k8s.ovn.org/v1",
        "kind": "UserDefinedNetwork",
        "name": "blue",
        "uid": "1",
        "controller": True,
    }
    nad, _ = nad_of(OVN_CONFIG, ownerReferences=[owner])
    assert nad.owners == (OwnerReference(kind="UserDefinedNetwork", name="blue"),)


@pytest.mark.parametrize(("spec", "expected"), cases.ATTACHMENT_SPECS)
def test_a_configuration_that_cannot_be_read_is_an_error(spec: object, expected: str) -> None:
    assert errors_of(spec) == [expected]


@pytest.mark.parametrize(("change", "expected"), cases.ATTACHMENT_CONFIGS)
def test_a_wrong_field_of_the_configuration_is_an_error(change: dict[str, object], expected: str) -> None:
    assert errors_of(attachment_with(change)) == [expected]
