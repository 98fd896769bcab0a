"""What a compilation says beside its rows: notes, objects that cannot be compiled, objects that stay as they are."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ovnqos import (
    Compilation,
    Direction,
    Inventory,
    Network,
    NetworkAttachmentDefinition,
    NetworkSelector,
    Owner,
    Unsupported,
    compile_rows,
)
from ovnqos.compile.topologies.ovn_kubernetes import OvnKubernetesTopology
from ovnqos.diagnostics import Code, Diagnostic, ObjectRef
from ovnqos.model.networks import ANY_NAD_SELECTOR, DEFAULT_NETWORK_SELECTOR
from ovnqos.model.policy import Rule
from tests.support.cluster import attachment, compiled, inventory, labels, only_row, pod, policy, rule

CLIENT = pod("client", "10.0.0.1", node="node1")
UNKNOWN = "network attachment shop/blue is not known as an OVN network; its interfaces are skipped"


def _notes(found: Compilation) -> list[str]:
    return [str(note) for note in found.notes]


def test_no_policies_want_nothing() -> None:
    found = compiled([], CLIENT)
    assert not found.desired.rows
    assert not found.desired.port_groups
    assert not found.desired.address_sets
    assert (found.unsupported, found.notes, found.desired.retained) == ((), (), frozenset())


def test_a_policy_without_source_pods_in_the_zone_wants_nothing() -> None:
    assert not compiled(policy(), CLIENT, nodes=["node2"]).desired.rows
    assert not compiled(policy(), pod("client", "10.0.0.1", node="")).desired.rows
    assert not compiled(policy(pods=labels(app="none")), CLIENT).desired.rows


def test_rows_are_on_the_switches_of_the_source_pods_in_the_zone_only() -> None:
    pods = [pod(f"p{number}", f"10.0.0.{number}", node=f"node{number}") for number in (1, 2, 3)]
    found = compiled(policy(), *pods, nodes=["node1", "node3"])
    assert only_row(found).switches == {"node1", "node3"}
    assert [group.ports for group in found.desired.port_groups.values()] == [{"shop_p1", "shop_p3"}]


def test_a_row_says_whose_it_is() -> None:
    row = only_row(compiled(policy(rule(5, rate=100, burst=200)), CLIENT))
    assert row.identity == "NetworkQoS/shop/gold/0/default"
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
    assert _notes(compiled(policy(networks=networks), one)) == [f"NetworkQoS shop/gold: {UNKNOWN}"]


def test_an_attachment_that_is_not_known_is_of_no_concern_to_a_policy_of_the_default_network() -> None:
    one = pod("client", networks={"default": ["10.0.0.1"], "shop/blue": ["10.1.0.1"]})
    found = compiled(policy(networks=[DEFAULT_NETWORK_SELECTOR]), one)
    assert not found.notes
    assert only_row(found).switches == {"node1"}


def test_a_network_of_another_plugin_is_noted() -> None:
    macvlan = NetworkAttachmentDefinition(namespace="shop", name="blue", labels={}, plugin="macvlan", ovn=None)
    assert _notes(compiled(policy(), pod("client", networks={"shop/blue": []}), macvlan)) == [
        "NetworkQoS shop/gold: network attachment shop/blue is wired by CNI plugin macvlan, not by OVN, which cannot "
        "mark or limit it; its interfaces are skipped"
    ]


def test_a_nad_that_comes_later_brings_its_rows() -> None:
    known = inventory(pod("client", networks={"shop/blue": ["10.1.0.1"]}))
    assert not compile_rows([policy()], known).desired.rows
    known.update(attachment("shop/blue", "10.1.0.0/16"))
    assert only_row(compile_rows([policy()], known)).switches == {"blue_node1"}


def test_a_pod_that_cannot_be_read_is_noted_and_stops_no_other() -> None:
    found = compiled(policy(), CLIENT, pod("broken", networks={"default": ["banana"]}))
    assert _notes(found) == [
        "Pod shop/broken: metadata.annotations[k8s.ovn.org/pod-networks].default.ip_addresses[0]: "
        "'banana/24' is not an IP address; ovn-kubernetes writes it"
    ]
    assert only_row(found).switches == {"node1"}


def test_an_object_that_cannot_be_compiled_is_retained_and_stops_no_other() -> None:
    bad = ObjectRef(kind="NetworkQoS", namespace="shop", name="bad")
    error = Unsupported(bad, [Diagnostic.error(bad, Code.INVALID_FIELD, "this CNI has no such networks")])

    class Picky(OvnKubernetesTopology):
        def direction(self, network: Network) -> Direction:
            if network.name == "blue":
                raise error
            return super().direction(network)

    one = pod("client", networks={"default": ["10.0.0.1"], "shop/blue": ["10.1.0.1"]})
    known = Inventory(Picky(), [one, attachment("shop/blue", "10.1.0.0/16")])
    found = compile_rows(
        (policy(name="bad", networks=[ANY_NAD_SELECTOR]), policy(networks=[DEFAULT_NETWORK_SELECTOR])), known
    )
    assert found.unsupported == (error,)
    assert found.desired.retained == {"NetworkQoS/shop/bad"}
    assert only_row(found).identity == "NetworkQoS/shop/gold/0/default"


def test_objects_to_retain_are_handed_on() -> None:
    found = compile_rows([policy()], inventory(CLIENT), retained=["NetworkQoS/shop/broken"])
    assert found.desired.retained == {"NetworkQoS/shop/broken"}


def test_the_owner_is_part_of_the_names_and_not_of_the_identities() -> None:
    ours = compile_rows([policy()], inventory(CLIENT)).desired
    theirs = compile_rows([policy()], inventory(CLIENT), owner=Owner("other")).desired
    assert ours.rows.keys() == theirs.rows.keys()
    assert not ours.port_groups.keys() & theirs.port_groups.keys()


def test_only_the_members_know_which_pods_there_are() -> None:
    before = compiled(policy(), CLIENT).desired
    after = compiled(policy(), CLIENT, pod("more", "10.0.0.2")).desired
    assert before.rows == after.rows
    (one,), (other,) = before.port_groups.values(), after.port_groups.values()
    assert replace(one, ports=other.ports) == other
    assert other.ports - one.ports == {"shop_more"}
