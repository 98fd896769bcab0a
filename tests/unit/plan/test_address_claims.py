"""Addresses that annotations claim, held against those of the pods' own ports."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ovnqos import Code, OvnKubernetesTopology, Severity, Snapshot
from ovnqos.controller import Inventory
from ovnqos.plan.address_claims import describe_address_claims
from tests.support.cluster import POD_NETWORKS, mac_address, pod, pod_networks

CLIENT, VICTIM = pod("client", "10.0.0.1", "fd00::1"), pod("victim", "10.0.0.2", namespace="bank")
HOLDERS = {
    "10.0.0.1": {"shop_client"},
    "fd00::1": {"shop_client"},
    mac_address("10.0.0.1"): {"shop_client"},
    "10.0.0.2": {"bank_victim"},
    mac_address("10.0.0.2"): {"bank_victim"},
}


@pytest.mark.parametrize(
    ("addresses", "told"),
    [
        (["10.0.0.1", "fd00::1"], []),
        (["10.0.0.1"], []),  # one that is not there yet
        (["10.0.0.1", "10.0.0.2"], ["10.0.0.2", "bank_victim"]),
        (["10.0.0.2"], ["10.0.0.2", mac_address("10.0.0.2"), "bank_victim"]),
        (["10.0.0.1", "10.0.0.9"], ["10.0.0.9"]),
    ],
)
def test_what_the_port_does_not_have_is_told_with_whose_it_is(addresses: list[str], told: list[str]) -> None:
    claiming = replace(CLIENT, annotations={POD_NETWORKS: pod_networks({"default": addresses})})
    inventory = Inventory(OvnKubernetesTopology(), [claiming, VICTIM])
    found = list(describe_address_claims(inventory, Snapshot(addresses=HOLDERS)))
    assert [(one.code, one.severity, one.object.key) for one in found] == (
        [(Code.ADDRESS_CLAIMED, Severity.WARNING, "shop/client")] if told else []
    )
    assert all(word in found[0].text for word in told)


@pytest.mark.parametrize("holders", [None, {}, {"10.0.0.2": {"bank_victim"}}])
def test_of_ports_without_known_addresses_nothing_is_said(holders: dict[str, set[str]] | None) -> None:
    inventory = Inventory(OvnKubernetesTopology(), [CLIENT])
    assert list(describe_address_claims(inventory, Snapshot(addresses=holders))) == []
