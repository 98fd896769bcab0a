"""Owners: whose rows are whose, and the lock that fences an owner's writers."""

from __future__ import annotations

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovnqos import Owner
from ovnqos.controller import InvalidRow

RFC_7047_ID = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
LETTERS = string.ascii_letters + string.digits
NAMES = st.builds(
    lambda first, middle, last: first + middle + last,
    st.sampled_from(LETTERS),
    st.text(LETTERS + "._-", max_size=61),
    st.sampled_from(LETTERS),
) | st.sampled_from(LETTERS)


@given(NAMES)
def test_a_lock_is_an_id_of_rfc_7047(name: str) -> None:
    assert RFC_7047_ID.fullmatch(Owner(name).lock)


@given(NAMES, NAMES)
def test_two_owners_have_two_locks(one: str, other: str) -> None:
    assert (Owner(one).lock == Owner(other).lock) == (one == other)


@pytest.mark.parametrize(("one", "other"), [("a.b", "a_b"), ("a-b", "a_2db"), ("a_b", "a_5fb"), ("A", "a")])
def test_names_that_look_alike_have_two_locks(one: str, other: str) -> None:
    assert Owner(one).lock != Owner(other).lock


@pytest.mark.parametrize("name", ["", "-a", "a-", ".a", "a b", "a/b", "é", "a" * 64, "a\n"])
def test_a_name_that_cannot_stand_everywhere_is_refused(name: str) -> None:
    with pytest.raises(InvalidRow, match=r"^owner .*: use 1 to 63 letters, digits, '\.', '_' or '-', "):
        Owner(name)


@pytest.mark.parametrize("name", ["a", "9", "my-controller", "a.b_c-d", "a" * 63])
def test_an_ordinary_name_is_taken(name: str) -> None:
    assert Owner(name).name == name


def test_an_owner_owns_what_bears_its_name_exactly() -> None:
    owner = Owner("mine")
    assert owner.owns({"ovnqos.io/owner": "mine", "more": "x"})
    for foreign in ({}, {"ovnqos.io/owner": "Mine"}, {"ovnqos.io/owner": ""}, {"k8s.ovn.org/owner-type": "NetworkQoS"}):
        assert not owner.owns(foreign)


def test_ovn_kubernetes_owns_its_network_qos_rows_only() -> None:
    owner = Owner.ovn_kubernetes()
    assert owner.owns({"k8s.ovn.org/owner-type": "NetworkQoS"})
    for foreign in ({}, {"k8s.ovn.org/owner-type": "EgressQoS"}, {"ovnqos.io/owner": owner.name}):
        assert not owner.owns(foreign)


def test_a_stamp_makes_a_row_the_owners_and_keeps_what_was_there() -> None:
    stamped = Owner("mine").stamp("the-id", {"note": "x", "ovnqos.io/owner": "other"})
    assert stamped == {"note": "x", "ovnqos.io/owner": "mine", "ovnqos.io/id": "the-id"}
    assert Owner("mine").owns(stamped)
    assert Owner("mine").identity(stamped) == "the-id"
    assert Owner.ovn_kubernetes().stamp("ignored", {"k8s.ovn.org/id": "x"}) == {"k8s.ovn.org/id": "x"}
    assert Owner.ovn_kubernetes().identity({"k8s.ovn.org/id": "x"}) == "x"
    assert Owner("mine").identity({}) == ""


def test_the_object_of_a_row_is_named_the_same_in_both_schemes() -> None:
    assert Owner("mine").object_of({"ovnqos.io/object": "NetworkQoS/ns/name"}) == "NetworkQoS/ns/name"
    assert Owner.ovn_kubernetes().object_of({"k8s.ovn.org/name": "ns:name"}) == "NetworkQoS/ns/name"
    assert Owner("mine").object_of({}) == Owner.ovn_kubernetes().object_of({}) == ""


def test_unclaimed_is_what_no_known_controller_marks() -> None:
    assert Owner.is_unclaimed({})
    assert Owner.is_unclaimed({"note": "x"})
    assert not Owner.is_unclaimed({"ovnqos.io/owner": "x"})
    assert not Owner.is_unclaimed({"k8s.ovn.org/owner-type": "EgressQoS"})
