"""The Helm chart, rendered by Helm: the same objects as the overlays of kustomize, and values that do what they say."""

from __future__ import annotations

import copy
import json
import tomllib
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from ovnqosd.settings.settings import Mode
from tests.support.deploy import (
    DEPLOY,
    OVERLAYS,
    ROOT,
    container_of,
    documents,
    environment_of,
    kustomization,
    objects_of,
)
from tests.support.deploy_tools import CHART, HelmError, helm
from tests.support.settings import load

if TYPE_CHECKING:
    from pathlib import Path

COMPONENTS = [DEPLOY / "components" / name for name in ("admission-policy", "monitoring", "network-policy")]
WITH_COMPONENTS = {name: {"enabled": True} for name in ("admissionPolicy", "monitoring", "networkPolicy")}
CLUSTER_WIDE = ("Cluster", "ValidatingAdmissionPolicy")
CHART_S_OWN_LABELS = (
    "app.kubernetes.io/instance",
    "app.kubernetes.io/managed-by",
    "app.kubernetes.io/version",
    "helm.sh/chart",
)

LABELS = {"app.kubernetes.io/name": "ovnqosd"}

overlays = pytest.mark.parametrize("overlay", OVERLAYS, ids=lambda overlay: overlay.name)


@cache
def _rendered(values: str, name: str, namespace: str) -> dict[str, Any]:
    answer: dict[str, Any] = helm("render", json.loads(values), name=name, namespace=namespace)
    return answer


def rendered(values: dict[str, Any], name: str = "ovnqosd", namespace: str = "ovnqos") -> dict[str, dict[str, Any]]:
    """The objects that the chart makes, by kind; there is one of each."""
    templates = _rendered(json.dumps(values), name, namespace)["templates"]
    found = [
        document
        for path, text in templates.items()
        if path.endswith(".yaml")
        for document in yaml.safe_load_all(text)
        if document is not None
    ]
    by_kind = {document["kind"]: document for document in found if not is_dashboard(document)}
    dashboards = [document for document in found if is_dashboard(document)]
    assert len(by_kind) + len(dashboards) == len(found)
    return by_kind if not dashboards else by_kind | {"ConfigMap of the dashboard": dashboards[0]}


def is_dashboard(document: dict[str, Any]) -> bool:
    return document["kind"] == "ConfigMap" and "grafana_dashboard" in document["metadata"]["labels"]


def without_labels(value: Any) -> Any:
    """The value less what only Helm adds, at any depth."""
    if isinstance(value, dict):
        return {key: without_labels(one) for key, one in value.items() if key not in CHART_S_OWN_LABELS}
    return [without_labels(one) for one in value] if isinstance(value, list) else value


def expected(overlay: Path) -> dict[str, dict[str, Any]]:
    """The objects of an overlay and of the components, as the chart writes them."""
    objects = [*objects_of(overlay), *(one for folder in COMPONENTS for one in objects_of(folder))]
    by_kind = {one["kind"]: copy.deepcopy(one) for one in objects if one["kind"] != "Namespace"}
    by_kind["ConfigMap"] = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "ovnqosd", "labels": LABELS},
        "data": environment_of(overlay),
    }
    (generated,) = kustomization(DEPLOY / "components" / "monitoring")["configMapGenerator"]
    by_kind["ConfigMap of the dashboard"] = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": generated["name"], "labels": {**LABELS, **generated["options"]["labels"]}},
        "data": {"ovnqos.json": (DEPLOY / "components" / "monitoring" / "dashboard.json").read_text().rstrip("\n")},
    }
    for kind, one in by_kind.items():
        if not kind.startswith(CLUSTER_WIDE):
            one["metadata"]["namespace"] = kustomization(overlay)["namespace"]
    workload = by_kind["DaemonSet" if overlay.name == "zone" else "Deployment"]
    (container,) = workload["spec"]["template"]["spec"]["containers"]
    (image,) = kustomization(overlay)["images"]
    container["image"] = f"{image['name']}:{image['newTag']}"
    container["imagePullPolicy"] = "IfNotPresent"  # the default of a tag other than latest
    if overlay.name == "zone":  # it has no Northbound on the network
        del by_kind["NetworkPolicy"]["spec"]["egress"][1]
    return by_kind


@overlays
def test_it_renders_the_objects_of_the_overlay_and_the_components(overlay: Path) -> None:
    objects = without_labels(rendered({"mode": overlay.name, **WITH_COMPONENTS}))
    workload = objects["DaemonSet" if overlay.name == "zone" else "Deployment"]
    del workload["spec"]["template"]["metadata"]["annotations"]["checksum/config"]
    assert objects.keys() == expected(overlay).keys()
    for kind, one in expected(overlay).items():
        assert objects[kind] == one, kind


def test_nothing_is_rendered_that_was_not_asked_for() -> None:
    optional = {"PodMonitor", "PrometheusRule", "NetworkPolicy", "ValidatingAdmissionPolicy", "Namespace"}
    assert rendered({}).keys().isdisjoint(optional)
    assert "PodDisruptionBudget" not in rendered({"podDisruptionBudget": {"enabled": False}})
    assert "ServiceAccount" not in rendered({"serviceAccount": {"create": False, "name": "mine"}})


def test_its_custom_resource_is_the_one_of_the_deploy_folder() -> None:
    (crd,) = _rendered("{}", "ovnqosd", "ovnqos")["crds"]
    assert crd == (DEPLOY / "crd.yaml").read_text()


def test_helm_finds_no_fault() -> None:
    report = helm("lint")
    assert report["errors"] == []
    assert {message["error"] for message in report["messages"]} <= {"icon is recommended"}


def test_the_archive_holds_what_the_folder_links_to(tmp_path: Path) -> None:
    archive = helm("package", destination=str(tmp_path))
    packed = helm("render", WITH_COMPONENTS, chart=tmp_path / archive, name="ovnqosd", namespace="ovnqos")
    assert packed == _rendered(json.dumps(WITH_COMPONENTS), "ovnqosd", "ovnqos")


def test_its_version_is_the_project_s() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    (chart,) = documents(CHART / "Chart.yaml")
    assert (chart["version"], chart["appVersion"]) == (version, version)


def test_the_values_become_settings_of_the_daemon() -> None:
    values = {
        "northbound": {"remotes": "ssl:nb1:6641,ssl:nb2:6641"},
        "clusterCIDRs": ["10.128.0.0/14", "fd01::/48"],
        "settings": {"log_level": "debug", "full_pass_seconds": 600, "cleanup_on_exit": True},
    }
    environment = rendered(values)["ConfigMap"]["data"]
    assert all(isinstance(value, str) for value in environment.values())
    settings = load([], environment)
    assert settings.mode is Mode.CENTRAL
    assert settings.nb == "ssl:nb1:6641,ssl:nb2:6641"
    assert [str(cidr) for cidr in settings.cluster_cidrs] == ["10.128.0.0/14", "fd01::/48"]
    assert (settings.full_pass_seconds, settings.cleanup_on_exit) == (600, True)


def test_a_change_of_a_setting_starts_the_pods_anew() -> None:
    def annotations(values: dict[str, Any]) -> Any:
        return rendered(values)["Deployment"]["spec"]["template"]["metadata"]["annotations"]

    assert annotations({}) == annotations({"replicas": 3})
    assert annotations({}) != annotations({"settings": {"log_level": "debug"}})


def test_a_remote_without_tls_needs_no_secret() -> None:
    objects = rendered({"northbound": {"remotes": "tcp:10.0.0.1:6641"}, "tls": {"secretName": ""}})
    assert "volumes" not in objects["Deployment"]["spec"]["template"]["spec"]
    assert load([], objects["ConfigMap"]["data"]).private_key is None


@pytest.mark.parametrize(("folder", "socket"), [("/var/run/ovn-ic", "ovnnb_db.sock"), ("/var/run/ovn", "nb.sock")])
def test_the_node_s_socket_can_be_elsewhere(folder: str, socket: str) -> None:
    objects = rendered({"mode": "zone", "northbound": {"hostPath": folder, "socket": socket}})
    pod = objects["DaemonSet"]["spec"]["template"]["spec"]
    assert pod["volumes"][0]["hostPath"]["path"] == folder
    mount = pod["containers"][0]["volumeMounts"][0]["mountPath"]
    assert objects["ConfigMap"]["data"]["OVNQOSD_NB"] == f"unix:{mount}/{socket}"


def test_two_releases_do_not_meet() -> None:
    one, other = rendered({}, "east"), rendered({}, "west")
    assert {o["metadata"]["name"] for o in one.values()} == {"east-ovnqosd"}
    assert {o["metadata"]["name"] for o in other.values()} == {"west-ovnqosd"}
    selectors = [objects["Deployment"]["spec"]["selector"]["matchLabels"] for objects in (one, other)]
    assert selectors[0] != selectors[1]
    leases = [objects["ConfigMap"]["data"]["OVNQOSD_LEASE_NAME"] for objects in (one, other)]
    assert leases == ["east-ovnqosd", "west-ovnqosd"]


def test_the_alerts_name_the_release_s_job() -> None:
    rules = rendered({"monitoring": {"enabled": True}}, "east", "network")["PrometheusRule"]["spec"]
    assert "network/east-ovnqosd" in json.dumps(rules)
    assert "ovnqos/ovnqosd\\" not in json.dumps(rules)
    assert rules["groups"][0]["rules"][0]["annotations"]["runbook_url"].startswith("https://github.com/ovnqos/ovnqos/")


def test_other_values_reach_the_pods() -> None:
    values = {
        "image": {"repository": "registry.example/ovnqosd", "tag": "test", "pullPolicy": "Always"},
        "imagePullSecrets": [{"name": "registry"}],
        "resources": {"requests": {"cpu": "1"}},
        "tolerations": [{"key": "dedicated", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "nodeSelector": {"kubernetes.io/os": "linux", "role": "infra"},
        "priorityClassName": "high",
        "podAnnotations": {"a": "b"},
        "podLabels": {"c": "d"},
    }
    template = rendered(values)["Deployment"]["spec"]["template"]
    pod = template["spec"]
    (container,) = pod["containers"]
    assert (container["image"], container["imagePullPolicy"]) == ("registry.example/ovnqosd:test", "Always")
    assert container["resources"] == values["resources"]
    for key in ("imagePullSecrets", "tolerations", "affinity", "nodeSelector", "priorityClassName"):
        assert pod[key] == values[key]
    assert template["metadata"]["annotations"]["a"] == "b"
    assert template["metadata"]["labels"]["c"] == "d"
    assert container_of(OVERLAYS[0])["resources"] != container["resources"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"mode": "everywhere"}, "mode"),
        ({"Mode": "zone"}, "Mode"),
        ({"northbound": {"remotes": "nb1:6641"}}, "remotes"),
        ({"northbound": {"hostPath": "var/run"}}, "hostPath"),
        ({"clusterCIDRs": ["10.0.0.0"]}, "clusterCIDRs"),
        ({"tls": {"secretName": ""}}, "tls.secretName is required for ssl: remotes"),
        ({"serviceAccount": {"create": False}}, "serviceAccount.name is required"),
        ({"settings": {"nb": "tcp:10.0.0.1:6641"}}, "settings.nb: use the value northbound"),
        ({"settings": {"Log-Level": "debug"}}, "Log-Level"),
        ({"networkPolicy": {"apiPorts": [0]}}, "apiPorts"),
    ],
)
def test_values_that_cannot_be_used_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(HelmError, match=message):
        rendered(values)
