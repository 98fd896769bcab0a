"""The CRD on a real API server: it takes what the daemon takes and refuses what the daemon refuses."""

from __future__ import annotations

import re
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from ovnqos import InvalidObject
from ovnqos.controller import parse_policy
from ovnqos.sandbox import SandboxError
from tests.cluster.conftest import NETWORK_QOS_CRD
from tests.cluster.support_network_qos import (
    ABSENT,
    BEYOND_A_SCHEMA,
    BEYOND_THE_CRD,
    CLASSIFIER,
    FROM,
    INVALID,
    NETWORKS_WRONG,
    ONCE_A_TYPE,
    SINGLE_ADDRESSES,
    TO,
    VALID,
    with_value,
)
from tests.support.deploy import ROOT
from tests.support.kubernetes.http import APPLY, MERGE_PATCH
from tests.support.kubernetes.programs import kubernetes_program

if TYPE_CHECKING:
    from tests.support.kubernetes.api import KubernetesApi

DEFINITION = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/networkqoses.k8s.ovn.org"
CEL = 25
"""The minor version of Kubernetes from which a CRD may have rules."""
ADDRESS_FUNCTIONS = 31
"""The minor version of Kubernetes from which a CRD's rules may use CEL's functions for addresses."""
GUIDE = """
apiVersion: k8s.ovn.org/v1alpha1
kind: NetworkQoS
metadata:
  name: qos-external
  namespace: default
spec:
  networkSelectors:
  - networkSelectionType: NetworkAttachmentDefinitions
    networkAttachmentDefinitionSelector:
      namespaceSelector: {}
      networkSelector:
        matchLabels:
          nad-type: ovn-kubernetes-nqos
  podSelector:
    matchLabels:
      nqos-app: bw-limited
  priority: 10
  egress:
  - dscp: 20
    bandwidth:
      burst: 100
      rate: 20000
    classifier:
      to:
      - ipBlock:
          cidr: 0.0.0.0/0
          except:
          - 10.11.12.13/32
          - 172.16.0.0/12
          - 192.168.0.0/16
"""


def collection(namespace: str) -> str:
    return f"/apis/k8s.ovn.org/v1alpha1/namespaces/{namespace}/networkqoses"


def dry_run(api: KubernetesApi, document: object) -> tuple[int, Any]:
    return api.request("POST", f"{collection('default')}?dryRun=All", document)


def in_namespace(manifest: str, namespace: str) -> str:
    return manifest.replace("namespace: default", f"namespace: {namespace}")


def case_name(value: object) -> str:
    return "absent" if value is ABSENT else str(value)


@pytest.mark.parametrize(("path", "value"), VALID, ids=case_name)
def test_what_the_daemon_takes_the_api_server_takes(api: KubernetesApi, path: str, value: object) -> None:
    document = with_value(path, value)
    parse_policy(document)
    status, answer = dry_run(api, document)
    assert status == 201, answer["message"]
    assert answer["spec"] == document["spec"]  # nothing was dropped as unknown


@pytest.mark.parametrize(("path", "value"), INVALID, ids=case_name)
def test_what_the_daemon_refuses_the_api_server_refuses(api: KubernetesApi, path: str, value: object) -> None:
    document = with_value(path, value)
    with pytest.raises(InvalidObject):
        parse_policy(document)
    status, answer = dry_run(api, document)
    assert status == 422, answer
    assert answer["reason"] == "Invalid"


@pytest.mark.parametrize(("path", "value", "message"), BEYOND_A_SCHEMA, ids=case_name)
def test_what_no_schema_can_say_a_rule_says_where_the_api_server_has_rules(
    api: KubernetesApi, path: str, value: object, message: str
) -> None:
    document = with_value(path, value)
    with pytest.raises(InvalidObject):
        parse_policy(document)
    status, answer = dry_run(api, document)
    if api.minor_version >= ADDRESS_FUNCTIONS:
        assert status == 422, answer
        assert message in answer["message"]
        assert len(answer["details"]["causes"]) == 1, answer["message"]
        assert answer["details"]["causes"][0]["field"].startswith("spec.egress[0].classifier.")
    else:
        assert status == 201, answer["message"]


@pytest.mark.parametrize(("path", "value"), NETWORKS_WRONG, ids=case_name)
def test_a_wrong_selector_of_networks_has_a_message(api: KubernetesApi, path: str, value: object) -> None:
    status, answer = dry_run(api, with_value(path, value))
    assert status == 422
    if api.minor_version >= ADDRESS_FUNCTIONS and "Required" not in answer["message"]:
        assert "and not allowed for any other" in answer["message"]


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (f"{TO}.podSelector", {}, "ipBlock cannot be combined with podSelector or namespaceSelector"),
        (f"{TO}.namespaceSelector", {}, "ipBlock cannot be combined with podSelector or namespaceSelector"),
        (f"{FROM}.podSelector", {}, "from takes ipBlock only"),
        (FROM, {"namespaceSelector": {}}, "from takes ipBlock only"),
    ],
)
def test_a_wrong_destination_or_source_has_a_message(
    api: KubernetesApi, path: str, value: object, message: str
) -> None:
    status, answer = dry_run(api, with_value(path, value))
    assert status == 422
    assert api.minor_version < ADDRESS_FUNCTIONS or message in answer["message"]


@pytest.mark.parametrize(("path", "value"), BEYOND_THE_CRD, ids=case_name)
def test_what_no_rule_says_is_left_to_the_daemon(api: KubernetesApi, path: str, value: object) -> None:
    document = with_value(path, value)
    with pytest.raises(InvalidObject):
        parse_policy(document)
    status, answer = dry_run(api, document)
    assert status == 201, answer["message"]


@pytest.mark.parametrize(("path", "value"), SINGLE_ADDRESSES, ids=case_name)
def test_what_ovn_kubernetes_takes_the_api_server_takes(api: KubernetesApi, path: str, value: object) -> None:
    document = with_value(path, value)
    parse_policy(document)
    status, answer = dry_run(api, document)
    assert status == 201, answer["message"]
    assert answer["spec"] == document["spec"]


def test_each_type_of_networks_stands_once(api: KubernetesApi) -> None:
    document = with_value(*ONCE_A_TYPE)
    parse_policy(document)
    status, answer = dry_run(api, document)
    assert (status, answer["details"]["causes"][0]["reason"]) == (422, "FieldValueDuplicate")


def test_the_longest_lists_are_taken(api: KubernetesApi) -> None:
    blocks = [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"] * 40}}] * 500
    status, answer = dry_run(api, with_value(f"{CLASSIFIER}.to", blocks))
    assert status == 201, answer["message"]
    status, answer = dry_run(api, with_value(f"{CLASSIFIER}.to", [*blocks, *blocks[:1]]))
    assert status == 422


def test_the_rules_compile_from_1_31_on_and_are_dropped_where_there_is_no_cel(api: KubernetesApi) -> None:
    if api.minor_version < CEL:
        assert "x-kubernetes-validations" not in str(api.request("GET", DEFINITION)[1])
        return
    program = str(kubernetes_program("crd-rules"))
    for minor in range(ADDRESS_FUNCTIONS - 1, api.minor_version + 1):
        command = [program, f"1.{minor}"]
        compiled = subprocess.run(command, input=NETWORK_QOS_CRD.read_bytes(), capture_output=True, check=False)
        assert (compiled.returncode == 0) == (minor >= ADDRESS_FUNCTIONS), compiled


def test_the_command_of_the_crd_removes_the_rules_and_nothing_else(api: KubernetesApi) -> None:
    text = NETWORK_QOS_CRD.read_text()
    (command,) = re.findall(r"^#   (sed .*) \| kubectl apply -f -$", text, re.MULTILINE)
    without = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert yaml.safe_load(without) == without_rules(yaml.safe_load(text))
    assert "networkqoses.k8s.ovn.org" in api.kubectl("apply", "--dry-run=server", "-f", "-", text=without)


def without_rules(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {key: without_rules(value) for key, value in schema.items() if key != "x-kubernetes-validations"}
    return [without_rules(one) for one in schema] if isinstance(schema, list) else schema


def test_the_schema_is_structural_and_all_its_names_are_accepted(api: KubernetesApi) -> None:
    conditions = api.request("GET", DEFINITION)[1]["status"]["conditions"]
    assert {condition["type"]: condition["status"] for condition in conditions} == {
        "NamesAccepted": "True",
        "Established": "True",
    }


def test_kubectl_lists_the_status_as_the_guide_shows_it(api: KubernetesApi, namespace: str) -> None:
    assert (
        api.kubectl("create", "-n", namespace, "-f", "-", text=in_namespace(GUIDE, namespace))
        == "networkqos.k8s.ovn.org/qos-external created\n"
    )
    status = {"status": {"status": "NetworkQoS Destinations applied", "pods": 2}}
    answer = api.request("PATCH", f"{collection(namespace)}/qos-external/status", status, content_type=MERGE_PATCH)
    assert answer[0] == 200
    shown = api.kubectl("get", "nqos", "qos-external", "-n", namespace, "-owide")
    assert re.sub(r"\d+s$", "0s", shown, flags=re.MULTILINE) == (
        "NAME           PRIORITY   STATUS                            PODS   AGE\n"
        "qos-external   10         NetworkQoS Destinations applied   2      0s\n"
    )
    resources = [line.split() for line in api.kubectl("api-resources").splitlines() if "NetworkQoS" in line]
    assert resources == [["networkqoses", "nqos", "k8s.ovn.org/v1alpha1", "true", "NetworkQoS"]]


def test_kubectl_explains_the_fields_of_the_guide(api: KubernetesApi) -> None:
    said: list[str] = []

    def published() -> bool:
        with suppress(SandboxError):
            said[:] = api.kubectl("explain", "networkqos", "--recursive").split()
        return bool(said)

    api.wait_until(published, what="publish the schema")
    fields = (
        "podSelector networkSelectors priority egress networkSelectionType dscp rate burst to from ports protocol port"
    )
    assert set(fields.split()) <= set(said)


def test_the_status_is_written_apart_from_the_spec(api: KubernetesApi, namespace: str) -> None:
    document = yaml.safe_load(in_namespace(GUIDE, namespace))
    document["status"] = {"status": "made up"}
    created = api.create(collection(namespace), document)
    assert created["status"]["status"] == "Pending"
    path = f"{collection(namespace)}/qos-external"
    patch = {"spec": {"priority": 99}, "status": {"status": "Invalid"}}
    answer = api.request("PATCH", f"{path}/status", patch, content_type=MERGE_PATCH)[1]
    assert (answer["spec"]["priority"], answer["status"]["status"]) == (10, "Invalid")
    assert answer["metadata"]["generation"] == 1
    answer = api.request("PATCH", path, patch, content_type=MERGE_PATCH)[1]
    assert (answer["spec"]["priority"], answer["metadata"]["generation"]) == (99, 2)


def condition(zone: str, **more: object) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "type": f"Ready-In-Zone-{zone}",
        "status": "True",
        "observedGeneration": 1,
        "lastTransitionTime": "2026-01-02T03:04:05Z",
        "reason": "Success",
        "message": "",
    }
    return fields | more


def apply_conditions(api: KubernetesApi, path: str, zone: str, conditions: list[dict[str, Any]]) -> tuple[int, Any]:
    document = {
        "apiVersion": "k8s.ovn.org/v1alpha1",
        "kind": "NetworkQoS",
        "metadata": {"name": "qos-external"},
        "status": {"conditions": conditions},
    }
    return api.request("PATCH", f"{path}/status?fieldManager=zone-{zone}", document, content_type=APPLY)


def zones_of(conditions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without the condition over all zones, which the custom resource gives by default."""
    return sorted((one for one in conditions if one["type"] != "Ready"), key=lambda one: str(one["type"]))


def test_each_zone_applies_its_own_condition_and_leaves_those_of_others(api: KubernetesApi, namespace: str) -> None:
    api.create(collection(namespace), yaml.safe_load(in_namespace(GUIDE, namespace)))
    path = f"{collection(namespace)}/qos-external"
    for zone in ("east", "west"):
        status, answer = apply_conditions(api, path, zone, [condition(zone)])
        assert status == 200, answer["message"]
    failed = condition("east", status="False", reason="Conflict", message="as default/other: same priority")
    conditions = apply_conditions(api, path, "east", [failed])[1]["status"]["conditions"]
    assert zones_of(conditions) == [failed, condition("west")]
    assert zones_of(apply_conditions(api, path, "west", [])[1]["status"]["conditions"]) == [failed]


@pytest.mark.parametrize(
    "spoilt",
    [
        {"status": "Yes"},
        {"reason": ""},
        {"reason": "not one word"},
        {"lastTransitionTime": "yesterday"},
        {"type": "Ready In Zone"},
        {"observedGeneration": -1},
    ],
    ids=case_name,
)
def test_a_condition_that_breaks_the_conventions_is_refused(
    api: KubernetesApi, namespace: str, spoilt: dict[str, Any]
) -> None:
    api.create(collection(namespace), yaml.safe_load(in_namespace(GUIDE, namespace)))
    status, answer = apply_conditions(
        api, f"{collection(namespace)}/qos-external", "east", [condition("east", **spoilt)]
    )
    assert status == 422, answer
