"""What a compiler says beside its rows: diagnostics, objects that cannot be compiled, objects that stay as they are."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from ovnqos import (
    Bandwidth,
    Code,
    DesiredState,
    Diagnostic,
    Direction,
    InvalidObject,
    NetworkAttachmentDefinition,
    NetworkSelector,
    Node,
    ObjectRef,
    Owner,
)
from ovnqos.compile.topology import OvnKubernetesTopology
from ovnqos.model.networks import ANY_NAD_SELECTOR, DEFAULT_NETWORK_SELECTOR, NetworkRole
from ovnqos.model.policy import Rule
from ovnqos.model.workloads import PodQos
from tests.support.cluster import attachment, codes, compiled, labels, messages, namespace, only_row, pod, policy, rule

if TYPE_CHECKING:
    from ovnqos.controller import Network

CLIENT = pod("client", "10.0.0.1", node="node1")


def invalid(ref: ObjectRef) -> InvalidObject:
    """A version that is not valid."""
    return InvalidObject(ref, [Diagnostic.error(ref, Code.INVALID_FIELD, "is wrong", path="spec.x")])


def test_no_policies_want_nothing() -> None:
    found = compiled([], CLIENT)
    assert found.desired() == DesiredState.of()
    assert not messages(found)


def test_a_policy_without_source_pods_in_the_zone_wants_nothing() -> None:
    assert not compiled(policy(), CLIENT, nodes=["node2"]).desired().rows
    assert not compiled(policy(), pod("client", "10.0.0.1", node="")).desired().rows
    assert not compiled(policy(pods=labels(app="none")), CLIENT).desired().rows


def test_rows_are_on_the_switches_of_the_source_pods_in_the_zone_only() -> None:
    pods = [pod(f"p{number}", f"10.0.0.{number}", node=f"node{number}") for number in (1, 2, 3)]
    found = compiled(policy(), *pods, nodes=["node1", "node3"])
    assert only_row(found).switches == {"node1", "node3"}
    assert [group.ports for group in found.desired().port_groups.values()] == [{"shop_p1", "shop_p3"}]


def test_a_row_says_whose_it_is() -> None:
    row = compiled(policy(rule(5, rate=100, burst=200)), CLIENT).desired().rows["NetworkQoS/shop/gold/0/default"]
    assert row.external_ids == {
        "ovnqos.io/object": "NetworkQoS/shop/gold",
        "ovnqos.io/rule": "0",
        "ovnqos.io/network": "default",
    }
    assert (row.dscp, row.rate_kbps, row.burst_kbit, row.priority) == (5, 100, 200, 10_400)


def test_a_rule_that_neither_marks_nor_limits_has_no_row() -> None:
    found = compiled(policy(Rule(), rule(7)), CLIENT)
    assert only_row(found).external_ids["ovnqos.io/rule"] == "1"


@pytest.mark.parametrize("networks", [None, (ANY_NAD_SELECTOR,), (DEFAULT_NETWORK_SELECTOR, ANY_NAD_SELECTOR)])
def test_an_attachment_that_is_not_known_is_noted(networks: tuple[NetworkSelector, ...] | None) -> None:
    one = pod("client", networks={"default": ["10.0.0.1"], "shop/blue": ["10.1.0.1"]})
    found = compiled(policy(networks=networks), one)
    assert codes(found) == [("NetworkQoS/shop/gold", "", Code.UNKNOWN_NETWORK)]
    assert "shop/blue" in messages(found)[0]


def test_an_attachment_that_is_not_known_is_of_no_concern_to_a_policy_of_the_default_network() -> None:
    one = pod("client", networks={"default": ["10.0.0.1"], "shop/blue": ["10.1.0.1"]})
    found = compiled(policy(networks=[DEFAULT_NETWORK_SELECTOR]), one)
    assert not messages(found)
    assert only_row(found).switches == {"node1"}


def test_a_network_of_another_plugin_is_noted() -> None:
    macvlan = NetworkAttachmentDefinition(namespace="shop", name="blue", labels={}, plugin="macvlan", ovn=None)
    found = compiled(policy(), pod("client", networks={"shop/blue": []}), macvlan)
    assert codes(found) == [("NetworkQoS/shop/gold", "", Code.NOT_OVN)]
    assert "CNI plugin macvlan" in messages(found)[0]


def test_a_nad_that_comes_later_brings_its_rows() -> None:
    found = compiled(policy(), pod("client", networks={"shop/blue": ["10.1.0.1"]}))
    assert not found.desired().rows
    found.apply(attachment("shop/blue", "10.1.0.0/16"))
    assert only_row(found).switches == {"blue_node1"}


def test_a_pod_that_cannot_be_read_is_noted_and_stops_no_other() -> None:
    found = compiled(policy(), CLIENT, pod("broken", networks={"default": ["banana"]}))
    path = "metadata.annotations[k8s.ovn.org/pod-networks].default.ip_addresses[0]"
    assert codes(found) == [("Pod/shop/broken", path, Code.INVALID_FIELD)]
    assert only_row(found).switches == {"node1"}


class Picky(OvnKubernetesTopology):
    """A topology that breaks its word on one network."""

    broken = True

    def direction(self, network: Network) -> Direction:
        if self.broken and network.name == "blue":
            raise RuntimeError("no such networks")
        return super().direction(network)


BOTH = pod("client", networks={"default": ["10.0.0.1"], "shop/blue": ["10.1.0.1"]}, labels={"app": "a"})
BLUE = attachment("shop/blue", "10.1.0.0/16", role=NetworkRole.PRIMARY)
BAD = policy(name="bad", networks=[ANY_NAD_SELECTOR])
GOOD = policy(networks=[DEFAULT_NETWORK_SELECTOR])


@pytest.mark.parametrize("drained", [True, False])
def test_a_policy_that_cannot_be_compiled_is_retained_and_stops_no_other(drained: bool) -> None:
    found = compiled([], topology=Picky())
    for one in (BAD, GOOD, BOTH, BLUE):
        found.apply(one)
        if drained:
            found.drain()
    assert codes(found) == [("NetworkQoS/shop/bad", "", Code.COMPILE_FAILED)]
    assert "RuntimeError: no such networks" in messages(found)[0]
    assert found.desired().retained == (set() if drained else {"NetworkQoS/shop/bad"})  # it compiled, to nothing
    assert only_row(found).identity == "NetworkQoS/shop/gold/0/default"


def test_what_a_policy_compiled_to_before_it_failed_stays_until_it_compiles_again() -> None:
    topology = Picky()
    topology.broken = False
    found = compiled((BAD, GOOD), BOTH, BLUE, topology=topology)
    before = found.drain().desired
    assert len(before.rows) == 2
    topology.broken = True
    found.apply(replace(BAD, priority=11))
    assert found.drain().policies == {"shop/bad"}
    assert found.desired() == before
    assert codes(found) == [("NetworkQoS/shop/bad", "", Code.COMPILE_FAILED)]
    topology.broken = False
    found.apply(replace(BOTH, labels={}))
    found.apply(replace(BAD, priority=12))
    assert {row.priority for row in found.desired().rows.values()} == {10_400, 10_480}
    assert not codes(found)
    found.delete("NetworkQoS", "shop/bad")
    assert only_row(found).identity == "NetworkQoS/shop/gold/0/default"


def test_a_pod_whose_limit_cannot_be_compiled_is_retained_and_stops_no_other() -> None:
    limited = replace(BOTH, qos=PodQos(egress=Bandwidth(rate_kbps=5)))
    found = compiled((policy(name="bad", pods=labels(app="none")), GOOD), limited, BLUE, topology=Picky())
    assert [one for one in codes(found) if one[0].startswith("Pod/")] == [("Pod/shop/client", "", Code.COMPILE_FAILED)]
    assert found.desired().retained == {"Pod/shop/client"}
    assert only_row(found).identity == "NetworkQoS/shop/gold/0/default"


@pytest.mark.parametrize("order", [1, -1])
def test_invalid_objects_without_a_valid_version_keep_their_rows(order: int) -> None:
    refs = [ObjectRef(kind=kind, namespace="shop", name="broken") for kind in ("NetworkQoS", "Pod")]
    objects = [CLIENT, *(invalid(ref) for ref in refs)]
    found = compiled(policy(), *objects[::order])
    assert found.desired().retained == {"NetworkQoS/shop/broken", "Pod/shop/broken"}
    assert [one.code for one in found.diagnostics("Pod", "shop/broken")] == [Code.INVALID_FIELD]
    assert list(found.invalid) == ["shop/broken"]
    for ref in refs:
        found.delete(ref.kind, ref.key)
    assert not found.desired().retained
    assert not codes(found)


def test_policies_with_pods_on_a_network_that_is_not_valid_keep_their_rows() -> None:
    bad = invalid(ObjectRef(kind="NetworkAttachmentDefinition", namespace="shop", name="blue"))
    other = policy(name="other", namespace="bank")
    found = compiled((policy(), other), BOTH, bad)
    assert found.desired().retained == {"NetworkQoS/shop/gold"}
    found.apply(BLUE)
    assert not found.desired().retained
    before = found.desired()
    found.apply(bad)
    assert found.desired() == before  # the last valid version stays in force


def test_an_invalid_pod_or_namespace_keeps_its_last_valid_version() -> None:
    limited = replace(CLIENT, qos=PodQos(egress=Bandwidth(rate_kbps=5)))
    defaults = replace(namespace("shop"), qos=PodQos(ingress=Bandwidth(rate_kbps=7)))
    found = compiled([], limited, defaults)
    before = found.desired()
    assert len(before.rows) == 2
    for ref in (ObjectRef(kind="Pod", namespace="shop", name="client"), ObjectRef(kind="Namespace", name="shop")):
        found.apply(invalid(ref))
        assert found.desired() == before
        assert [one.code for one in found.diagnostics(ref.kind, ref.key)] == [Code.INVALID_FIELD]


@pytest.mark.parametrize("kind", ["", "NetworkQoS"])
def test_an_invalid_object_that_may_be_a_policy_and_has_no_name_is_refused(kind: str) -> None:
    found = compiled(policy(), CLIENT)
    with pytest.raises(InvalidObject):
        found.apply(invalid(ObjectRef(kind=kind)))
    found.apply(invalid(ObjectRef(kind="Pod")))
    assert len(found.desired().rows) == 1


def test_objects_of_other_kinds_are_refused() -> None:
    found = compiled([], Node(name="node1", labels={}, annotations={}))
    with pytest.raises(TypeError, match="str objects"):
        found.apply("a pod")


def test_the_owner_is_part_of_the_names_and_not_of_the_identities() -> None:
    ours, theirs = (compiled(policy(), CLIENT, owner=owner).desired() for owner in (None, Owner("other")))
    assert ours.rows.keys() == theirs.rows.keys()
    assert not ours.port_groups.keys() & theirs.port_groups.keys()


def test_only_the_members_know_which_pods_there_are() -> None:
    before = compiled(policy(), CLIENT).desired()
    after = compiled(policy(), CLIENT, pod("more", "10.0.0.2")).desired()
    assert before.rows == after.rows
    (one,), (other,) = before.port_groups.values(), after.port_groups.values()
    assert replace(one, ports=other.ports) == other
    assert other.ports - one.ports == {"shop_more"}


def test_the_addresses_in_scope_are_those_at_the_time() -> None:
    found = compiled(policy(), CLIENT)
    scope = found.desired().scope
    found.delete("Pod", CLIENT.key)
    assert scope is not None
    assert scope.addresses("default") >= {"10.0.0.1"}
    assert not scope.addresses("other")
    after = found.desired().scope
    assert after is not None
    assert "10.0.0.1" not in after.addresses("default")
