"""The manifests that are shipped: whole, consistent with the daemon's settings, and as restricted as they can be."""

from __future__ import annotations

import importlib.metadata
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import CollectorRegistry

from ovnqosd.health import HealthServer
from ovnqosd.settings.loading import ENVIRONMENT_PREFIX, SETTINGS
from ovnqosd.settings.settings import ListenAddress, Mode, Settings
from tests.support.deploy import (
    DEPLOY,
    OVERLAYS,
    container_of,
    documents,
    environment_of,
    files_of,
    kustomization,
    objects_of,
    pod_of,
    workload_of,
)
from tests.support.settings import load

if TYPE_CHECKING:
    from pathlib import Path

CENTRAL, ZONE = OVERLAYS
MONITORING = DEPLOY / "components" / "monitoring"
NETWORK_POLICY = DEPLOY / "components" / "network-policy"
ADMISSION_POLICY = DEPLOY / "components" / "admission-policy"
VARIABLES = {setting.variable for setting in SETTINGS}

overlays = pytest.mark.parametrize("overlay", OVERLAYS, ids=lambda overlay: overlay.name)


def volume_paths(overlay: Path) -> dict[str, str]:
    return {mount["name"]: mount["mountPath"] for mount in container_of(overlay)["volumeMounts"]}


def test_every_manifest_is_yaml_and_belongs_to_a_kustomization() -> None:
    used = {
        path for folder in (CENTRAL, ZONE, MONITORING, NETWORK_POLICY, ADMISSION_POLICY) for path in files_of(folder)
    }
    assert used | {DEPLOY / "crd.yaml"} == set(DEPLOY.rglob("*.yaml"))
    for path in used:
        assert documents(path), path


@overlays
def test_deleting_an_overlay_leaves_the_custom_resource_and_its_objects(overlay: Path) -> None:
    assert "CustomResourceDefinition" not in {one["kind"] for one in objects_of(overlay)}


@overlays
def test_no_object_is_there_twice(overlay: Path) -> None:
    names = [(one["kind"], one["metadata"]["name"]) for one in objects_of(overlay)]
    assert len(names) == len(set(names))


@overlays
def test_the_image_is_of_this_version(overlay: Path) -> None:
    (image,) = kustomization(overlay)["images"]
    assert image["name"] == container_of(overlay)["image"]
    assert image["newTag"] == importlib.metadata.version("ovnqos")


@overlays
def test_the_pods_run_under_the_account_that_has_the_rights(overlay: Path) -> None:
    objects = objects_of(overlay)
    namespace = kustomization(overlay)["namespace"]
    (account,) = (one for one in objects if one["kind"] == "ServiceAccount")
    assert pod_of(overlay)["serviceAccountName"] == account["metadata"]["name"]
    assert [one["metadata"]["name"] for one in objects if one["kind"] == "Namespace"] == [namespace]
    roles = {(one["kind"], one["metadata"]["name"]) for one in objects if one["kind"] in {"Role", "ClusterRole"}}
    bindings = [one for one in objects if one["kind"].endswith("Binding")]
    assert {(one["roleRef"]["kind"], one["roleRef"]["name"]) for one in bindings} == roles
    for binding in bindings:
        (subject,) = binding["subjects"]
        assert subject == {"kind": "ServiceAccount", "name": account["metadata"]["name"], "namespace": namespace}


@overlays
def test_the_config_map_is_the_one_that_the_pods_read(overlay: Path) -> None:
    (generated,) = kustomization(overlay)["configMapGenerator"]
    assert container_of(overlay)["envFrom"] == [{"configMapRef": {"name": generated["name"]}}]


@overlays
def test_the_daemon_takes_the_settings(overlay: Path) -> None:
    environment = environment_of(overlay)
    own = {entry["name"]: "node1" for entry in container_of(overlay).get("env", ())}
    assert environment.keys() | own.keys() <= VARIABLES
    settings = load([], environment | own)
    assert settings.mode is Mode(overlay.name)
    assert settings.metrics_address == Settings().metrics_address


def test_the_zone_daemon_is_told_its_node() -> None:
    (entry,) = container_of(ZONE)["env"]
    assert entry["name"] == f"{ENVIRONMENT_PREFIX}NODE"
    assert entry["valueFrom"] == {"fieldRef": {"fieldPath": "spec.nodeName"}}
    assert environment_of(ZONE)["OVNQOSD_NB"].startswith(f"unix:{volume_paths(ZONE)['ovn']}/")


def test_the_tls_files_are_those_of_the_secret() -> None:
    environment = environment_of(CENTRAL)
    folder = volume_paths(CENTRAL)["tls"]
    files = [environment[f"{ENVIRONMENT_PREFIX}{name}"] for name in ("PRIVATE_KEY", "CERTIFICATE", "CA_CERT")]
    assert files == [f"{folder}/{name}" for name in ("tls.key", "tls.crt", "ca.crt")]
    (volume,) = pod_of(CENTRAL)["volumes"]
    assert volume["secret"]["optional"]
    assert oct(volume["secret"]["defaultMode"]) == "0o440"


@overlays
def test_the_selector_finds_the_pods(overlay: Path) -> None:
    workload = workload_of(overlay)
    labels: dict[str, str] = workload["spec"]["template"]["metadata"]["labels"]
    assert workload["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert labels["app.kubernetes.io/component"] == overlay.name
    (monitor,) = documents(MONITORING / "pod-monitor.yaml")
    assert monitor["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert monitor["metadata"]["namespace"] == kustomization(overlay)["namespace"]


@overlays
def test_everything_that_is_asked_of_the_pods_is_served(overlay: Path) -> None:
    container = container_of(overlay)
    (port,) = container["ports"]
    assert port["containerPort"] == Settings().metrics_address.port
    (endpoint,) = documents(MONITORING / "pod-monitor.yaml")[0]["spec"]["podMetricsEndpoints"]
    assert endpoint["port"] == port["name"]
    probes = [container[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")]
    assert {probe["port"] for probe in probes} == {port["name"]}
    server = HealthServer(ListenAddress("127.0.0.1", 0), CollectorRegistry(), alive=lambda: (), ready=lambda: ())
    server.start()
    try:
        for path in (endpoint["path"], *(probe["path"] for probe in probes)):
            with urllib.request.urlopen(f"http://127.0.0.1:{server.port}{path}", timeout=10) as answer:
                assert answer.status == 200
    finally:
        server.stop()


@overlays
def test_a_container_may_do_nothing_but_its_work(overlay: Path) -> None:
    pod, container = pod_of(overlay), container_of(overlay)
    context: dict[str, Any] = container["securityContext"]
    assert context == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
    assert all(mount["readOnly"] for mount in container["volumeMounts"])
    assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
    assert "memory" in container["resources"]["limits"]
    assert pod["terminationGracePeriodSeconds"] > 0


def test_only_the_zone_daemon_is_root_and_sees_the_node() -> None:
    assert pod_of(CENTRAL)["securityContext"]["runAsNonRoot"]
    assert not any("hostPath" in volume for volume in pod_of(CENTRAL)["volumes"])
    (namespace,) = (one for one in objects_of(CENTRAL) if one["kind"] == "Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert pod_of(ZONE)["securityContext"]["runAsUser"] == 0


def test_the_central_daemon_has_a_second_replica_elsewhere() -> None:
    workload = workload_of(CENTRAL)
    assert workload["spec"]["replicas"] == 2
    (preferred,) = pod_of(CENTRAL)["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    term = preferred["podAffinityTerm"]
    assert term["topologyKey"] == "kubernetes.io/hostname"
    assert term["labelSelector"]["matchLabels"] == workload["spec"]["selector"]["matchLabels"]


def test_a_drain_evicts_one_replica_at_a_time() -> None:
    (budget,) = (one for one in objects_of(CENTRAL) if one["kind"] == "PodDisruptionBudget")
    assert budget["spec"]["selector"] == workload_of(CENTRAL)["spec"]["selector"]
    assert budget["spec"]["maxUnavailable"] == 1


@overlays
def test_the_network_policy_allows_the_api_the_northbound_names_and_metrics(overlay: Path) -> None:
    (policy,) = documents(NETWORK_POLICY / "network-policy.yaml")
    labels: dict[str, str] = workload_of(overlay)["spec"]["template"]["metadata"]["labels"]
    assert policy["spec"]["podSelector"]["matchLabels"].items() <= labels.items()
    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
    (incoming,) = policy["spec"]["ingress"]
    assert [port["port"] for port in incoming["ports"]] == [container_of(overlay)["ports"][0]["name"]]
    outgoing = {port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]}
    assert outgoing == {443, 6443, 53, 5353, int(environment_of(CENTRAL)["OVNQOSD_NB"].rpartition(":")[2])}


def test_the_zone_daemon_runs_on_every_node() -> None:
    assert workload_of(ZONE)["kind"] == "DaemonSet"
    assert pod_of(ZONE)["tolerations"] == [{"operator": "Exists"}]
