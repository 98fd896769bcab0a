"""The images, and the cluster of docker-compose.yml: what they promise of users, ports, versions and settings."""

from __future__ import annotations

import importlib.metadata
import json
import re
import tomllib
from typing import Any

import pytest
import yaml

from ovnqosd.settings.loading import ENVIRONMENT_PREFIX
from ovnqosd.settings.settings import Mode, Settings
from tests.support.deploy import OVERLAYS, ROOT, pod_of
from tests.support.settings import load

DOCKERFILE = (ROOT / "daemon" / "Dockerfile").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DAEMONS = {name: service for name, service in SERVICES.items() if service["image"].startswith("ovnqosd:")}

services = pytest.mark.parametrize("name", SERVICES)


def instructions(word: str) -> list[str]:
    return re.findall(rf"^{word} (.*)$", DOCKERFILE, re.MULTILINE)


def test_the_image_runs_as_the_user_of_the_manifests() -> None:
    context = pod_of(OVERLAYS[0])["securityContext"]
    assert instructions("USER") == [f"{context['runAsUser']}:{context['runAsGroup']}"]


def test_the_image_runs_a_script_of_the_project() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert [json.loads(entry) for entry in instructions("ENTRYPOINT")] in [[[script]] for script in scripts]


def test_the_image_exposes_the_port_of_the_settings() -> None:
    assert instructions("EXPOSE") == [str(Settings().metrics_address.port)]


def test_only_what_was_installed_gets_into_the_last_stage() -> None:
    _, last = DOCKERFILE.rsplit("\nFROM ", 1)
    assert re.findall(r"^COPY (.*)$", last, re.MULTILINE) == ["--from=build /opt/ovnqos /opt/ovnqos"]
    assert "pip" not in last


def test_the_labels_say_what_it_is_and_of_which_commit() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    labels = dict(re.findall(r'org\.opencontainers\.image\.([a-z.]+)="([^"]*)"', DOCKERFILE))
    assert labels["version"] == project["version"]
    assert labels["description"] == project["description"]
    assert labels["licenses"] == project["license"]
    assert labels["source"] == project["urls"]["Homepage"]
    assert (labels["revision"], labels["base.name"]) == ("${REVISION}", "${BASE}")
    assert "REVISION=unknown" in instructions("ARG")
    assert (ROOT / labels["documentation"].partition("/blob/main/")[2]).is_file()


def test_nothing_of_the_build_depends_on_the_time() -> None:
    build, last = DOCKERFILE.rsplit("\nFROM ", 1)
    assert "ARG SOURCE_DATE_EPOCH=" in build
    assert 'touch --no-dereference --date "@$SOURCE_DATE_EPOCH"' in build
    assert "--invalidation-mode unchecked-hash" in build
    assert not re.search(r"^RUN ", last, re.MULTILINE)


def test_every_base_has_a_version() -> None:
    for base in re.findall(r"^ARG BASE=(\S+)$", DOCKERFILE, re.MULTILINE):
        assert re.fullmatch(r"\S+:\d[\w.-]*", base)
    assert set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)) == {"${BASE}"}


@services
def test_its_image_is_of_this_version_and_can_be_built(name: str) -> None:
    service = SERVICES[name]
    assert service["image"].split(":")[1] == importlib.metadata.version("ovnqos")
    build = service["build"]
    assert (ROOT / build["context"] / build["dockerfile"]).is_file()
    file = (ROOT / build["dockerfile"]).read_text()
    assert f"ARG BASE={build['args']['BASE'].removeprefix('${BASE:-').removesuffix('}')}\n" in file
    assert all(re.search(rf"^ARG {argument}\b", file, re.MULTILINE) for argument in build["args"])


@services
def test_its_ports_are_this_machine_s_only(name: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", ()))


@services
def test_it_is_confined(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    assert "network_mode" not in service


@services
def test_what_it_names_is_there(name: str) -> None:
    service = SERVICES[name]
    assert service.get("depends_on", {}).keys() <= SERVICES.keys()
    assert set(service["networks"]) <= COMPOSE["networks"].keys()
    for volume in service.get("volumes", ()):
        source = re.sub(r"^\$\{[^}]*\}", "", volume).split(":")[0]
        assert not source or source in COMPOSE["volumes"] or (source.startswith("./") and (ROOT / source).is_dir())
    command = service.get("command", ["ovnqosd"])[0]
    script = ROOT / "daemon" / "compose" / command
    assert not script.exists() or script.stat().st_mode & 0o111


def test_the_databases_are_on_a_network_of_their_own() -> None:
    assert COMPOSE["networks"]["control"]["internal"]
    for name in ("ovn-nb", "ovn-sb", "ovn-northd", "etcd"):
        assert SERVICES[name]["networks"] == ["control"]


def test_two_daemons_share_one_northbound_and_one_lease() -> None:
    assert len(DAEMONS) == 2
    first, second = (load([], service["environment"]) for service in DAEMONS.values())
    assert first == second
    assert first.mode is Mode.CENTRAL
    (namespace,) = {service["environment"][f"{ENVIRONMENT_PREFIX}LEASE_NAMESPACE"] for service in DAEMONS.values()}
    assert namespace == "ovnqos"
    assert first.nb is not None
    assert first.nb.removeprefix("ssl:").split(":")[0] in SERVICES
