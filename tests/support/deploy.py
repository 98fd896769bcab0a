"""The manifests of daemon/deploy, as kustomize reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).parents[2]
DEPLOY: Final = ROOT / "daemon" / "deploy"
OVERLAYS: Final = (DEPLOY / "overlays" / "central", DEPLOY / "overlays" / "zone")
_OPTIONAL: Final = ("resources", "components")


def documents(path: Path) -> list[dict[str, Any]]:
    """All documents of a file."""
    return [document for document in yaml.safe_load_all(path.read_text()) if document is not None]


def kustomization(folder: Path) -> dict[str, Any]:
    """A folder's kustomization."""
    (document,) = documents(folder / "kustomization.yaml")
    return document


def files_of(folder: Path) -> list[Path]:
    """The files that a folder's kustomization is made of, its own first, each as often as it is named."""
    found = [folder / "kustomization.yaml"]
    named = kustomization(folder)
    for name in (name for key in _OPTIONAL for name in named.get(key, ())):
        path = (folder / name).resolve()
        found += files_of(path) if path.is_dir() else [path]
    found += [(folder / patch["path"]).resolve() for patch in named.get("patches", ())]
    return found


def objects_of(folder: Path) -> list[dict[str, Any]]:
    """The objects of a folder's kustomization, before patches and generators."""
    patches = {(folder / patch["path"]).resolve() for patch in kustomization(folder).get("patches", ())}
    paths = [path for path in files_of(folder) if path.name != "kustomization.yaml" and path not in patches]
    return [document for path in paths for document in documents(path)]


def workload_of(folder: Path) -> dict[str, Any]:
    """The one Deployment or DaemonSet of an overlay."""
    (workload,) = (one for one in objects_of(folder) if one["kind"] in {"Deployment", "DaemonSet"})
    return workload


def pod_of(folder: Path) -> dict[str, Any]:
    """The pod's spec in an overlay's workload."""
    spec: dict[str, Any] = workload_of(folder)["spec"]["template"]["spec"]
    return spec


def container_of(folder: Path) -> dict[str, Any]:
    """The one container of an overlay's pods."""
    (container,) = pod_of(folder)["containers"]
    found: dict[str, Any] = container
    return found


def environment_of(folder: Path) -> dict[str, str]:
    """The environment that an overlay's config map makes."""
    (generated,) = kustomization(folder)["configMapGenerator"]
    return dict(literal.split("=", 1) for literal in generated["literals"])
