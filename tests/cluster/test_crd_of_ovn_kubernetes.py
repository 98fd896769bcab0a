"""This project's CRD beside ovn-kubernetes' own: what that one takes, and what happens to objects that it stored."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.cluster.conftest import NETWORK_QOS_CRD, describe_api
from tests.cluster.support_network_qos import (
    BANDWIDTH,
    BEYOND_A_SCHEMA,
    BEYOND_THE_CRD,
    EXPRESSIONS,
    FROM,
    INVALID,
    NETWORKS,
    PORT,
    RULE,
    SELECTOR,
    SINGLE_ADDRESSES,
    TO,
    VALID,
    WHOLE,
    with_value,
)
from tests.support.kubernetes.http import APPLY, MERGE_PATCH

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.kubernetes.api import KubernetesApi

THEIRS = Path(__file__).parent / "crd_of_ovn_kubernetes.yaml"
COLLECTION = "/apis/k8s.ovn.org/v1alpha1/namespaces/default/networkqoses"
JSON_PATCH = "application/json-patch+json"
CEL = 25
RATCHETING = 30
CASES = [*VALID, *INVALID, *SINGLE_ADDRESSES, *BEYOND_THE_CRD, *((path, value) for path, value, _ in BEYOND_A_SCHEMA)]
WITHOUT_MEANING = (SELECTOR, EXPRESSIONS, f"{TO}.ipBlock", PORT)
"""Where ovn-kubernetes' CRD takes malformed labels, operators, addresses and protocols, which no controller can use."""


@pytest.fixture(scope="module")
def theirs() -> Iterator[KubernetesApi]:
    """An API server with ovn-kubernetes' CRD."""
    with describe_api() as started:
        started.install_crd(THEIRS.read_text())
        yield started


@pytest.fixture
def both(theirs: KubernetesApi) -> Iterator[KubernetesApi]:
    """The same; a test may apply this project's CRD over it."""
    yield theirs
    replace_crd(theirs, THEIRS)
    theirs.request("DELETE", COLLECTION)


def replace_crd(api: KubernetesApi, manifest: Path) -> None:
    """Apply a CRD over the one that is there, and wait until its schema decides."""
    api.kubectl("apply", "--validate=false", "-f", str(manifest))
    ours = manifest == NETWORK_QOS_CRD
    probe = with_value("spec.egress.0.classifier.to.0.ipBlock.cidr", "no address")
    api.wait_until(lambda: accepts(api, probe) is not ours, what=f"serve {manifest.name}")


def accepts(api: KubernetesApi, document: object) -> bool:
    return bool(api.request("POST", f"{COLLECTION}?dryRun=All", document)[0] == 201)


def store(api: KubernetesApi, name: str, document: dict[str, Any]) -> str:
    """Create an object by the name, and return its path."""
    api.create(COLLECTION, document | {"metadata": {"name": name, "namespace": "default"}})
    return f"{COLLECTION}/{name}"


def write_status(api: KubernetesApi, path: str) -> int:
    condition = {
        "type": "Ready-In-Zone-global",
        "status": "False",
        "observedGeneration": 1,
        "lastTransitionTime": "2026-01-02T03:04:05Z",
        "reason": "Invalid",
        "message": "spec: invalid",
    }
    document = {
        "apiVersion": WHOLE["apiVersion"],
        "kind": WHOLE["kind"],
        "metadata": {"name": path.rsplit("/", 1)[1]},
        "status": {"conditions": [condition]},
    }
    status = api.request("PATCH", f"{path}/status?fieldManager=zone", document, content_type=APPLY)[0]
    return int(status)


def write_label(api: KubernetesApi, path: str) -> int:
    patch = {"metadata": {"labels": {"team": "voice"}}}
    return int(api.request("PATCH", path, patch, content_type=MERGE_PATCH)[0])


def test_what_their_crd_takes_and_ours_does_not_has_no_meaning(api: KubernetesApi, theirs: KubernetesApi) -> None:
    unchecked = (NETWORKS, f"{TO}.podSelector", f"{TO}.namespaceSelector") if theirs.minor_version < CEL else ()
    refused = [
        (path, value)
        for path, value in CASES
        if accepts(theirs, with_value(path, value)) and not accepts(api, with_value(path, value))
    ]
    assert refused
    for path, value in refused:
        malformed_block = path in {TO, FROM} and isinstance(value, dict)
        without_spec = path == "spec"  # it asks for nothing
        assert path.startswith((*WITHOUT_MEANING, *unchecked, FROM)) or malformed_block or without_spec, (path, value)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (BANDWIDTH, {"burst": 100}),
        (f"{TO}.ipBlock.cidr", "192.0.2.1"),
        (f"{TO}.ipBlock.except", ["10.1.2.3"]),
        (
            NETWORKS,
            [
                {
                    "networkSelectionType": "ClusterUserDefinedNetworks",
                    "clusterUserDefinedNetworkSelector": {"networkSelector": {}},
                }
            ],
        ),
    ],
)
def test_a_stored_object_keeps_all_its_fields(both: KubernetesApi, path: str, value: object) -> None:
    document = with_value(path, value)
    del document["spec"]["egress"][0]["classifier"]["from"]
    stored = store(both, "kept", document)
    replace_crd(both, NETWORK_QOS_CRD)
    status, answer = both.request("GET", stored)
    assert (status, answer["spec"]) == (200, document["spec"])
    assert write_status(both, stored) == 200
    assert write_label(both, stored) == 200
    patch = {"spec": {"priority": 99, "networkSelectors": [{"networkSelectionType": "DefaultNetwork"}]}}
    status, answer = both.request("PATCH", stored, patch, content_type=MERGE_PATCH)
    assert status == 200, answer["message"]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (f"{TO}.ipBlock.except", ["11.0.0.0/8"]),
        (f"{TO}.ipBlock.except", ["2001:db8::/32"]),
        (f"{TO}.ipBlock.cidr", "no address"),
        (f"{TO}.ipBlock.cidr", "010.0.0.0/8"),
        (f"{SELECTOR}.matchLabels", {"app": "a b"}),
        (EXPRESSIONS, [{"key": "app", "operator": "Equals", "values": ["voice"]}]),
        (f"{PORT}.protocol", "TCP/IP"),
        (
            TO.removesuffix(".0"),
            [{"ipBlock": {"cidr": f"10.{number // 256}.{number % 256}.0/24"}} for number in range(501)],
        ),
    ],
    ids=lambda given: f"{len(given)} entries" if isinstance(given, list) and len(given) > 500 else None,
)
def test_a_stored_object_that_ours_would_refuse_can_still_be_written(
    both: KubernetesApi, path: str, value: object
) -> None:
    document = with_value(path, value)
    del document["spec"]["egress"][0]["classifier"]["from"]
    stored = store(both, "refused", document)
    replace_crd(both, NETWORK_QOS_CRD)
    beyond_a_schema = accepts(both, document)
    assert beyond_a_schema == (both.minor_version < CEL and path.endswith("except")), "it is refused when it is new"
    written = 200 if beyond_a_schema or both.minor_version >= RATCHETING else 422
    assert write_status(both, stored) == written
    assert write_label(both, stored) == written
    patch = [{"op": "replace", "path": "/spec/priority", "value": 11}]
    assert both.request("PATCH", stored, patch, content_type=JSON_PATCH)[0] == written
    corrected = [{"op": "replace", "path": "/spec", "value": WHOLE["spec"] | {"networkSelectors": []}}]
    assert both.request("PATCH", stored, corrected, content_type=JSON_PATCH)[0] == 200


def test_networks_that_were_applied_under_their_crd_can_be_changed_and_merged_under_ours(both: KubernetesApi) -> None:
    def apply(manager: str, *selectors: dict[str, Any]) -> tuple[int, Any]:
        document = copy.deepcopy(WHOLE)
        document["metadata"]["name"] = "networks"
        document["spec"] = {"priority": 1, "egress": [{"dscp": 1}], "networkSelectors": list(selectors)}
        return both.request("PATCH", f"{COLLECTION}/networks?fieldManager={manager}", document, content_type=APPLY)

    default = {"networkSelectionType": "DefaultNetwork"}
    cluster = {
        "networkSelectionType": "ClusterUserDefinedNetworks",
        "clusterUserDefinedNetworkSelector": {"networkSelector": {}},
    }
    assert apply("a", default)[0] == 201
    replace_crd(both, NETWORK_QOS_CRD)
    status, answer = apply("b", cluster)
    assert status == 200, answer["message"]
    assert answer["spec"]["networkSelectors"] == [default, cluster]
    status, answer = apply("a", default)
    assert answer["spec"]["networkSelectors"] == [default, cluster]


def test_the_fixture_refuses_what_their_controller_needs(theirs: KubernetesApi) -> None:
    assert accepts(theirs, with_value(RULE, {"dscp": 1}))
    assert not accepts(theirs, with_value(NETWORKS, []))
    assert not accepts(theirs, with_value(f"{RULE}.dscp", 64))
    wrong = [{"networkSelectionType": "NetworkAttachmentDefinitions"}]
    assert accepts(theirs, with_value(NETWORKS, wrong)) == (theirs.minor_version < CEL)
