"""Names that a shell completes: of the files that the command line has, or else of the cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ovnqos.errors import OvnQosError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import click

_TIMEOUT_S: Final = 3.0
_NAMES_MAXIMUM: Final = 500
"""Names that are asked for: more than anybody reads, and one page."""


def contexts(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """The names of the kubeconfig's contexts."""
    try:
        from ovnqos.kubernetes import context_names

        return _starting(context_names(context.params.get("kubeconfig")), incomplete)
    except (ImportError, OvnQosError):
        return []  # a completion has nobody to complain to


def namespaces(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """The names of namespaces."""
    return _starting(_names(context, "Namespace"), incomplete)


def nodes(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """The names of nodes."""
    return _starting(_names(context, "Node"), incomplete)


def pods(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """The names of pods, `<namespace>/<name>`; namespaces first where no more than one is left."""
    return _keys(context, "Pod", incomplete)


def policies(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """The names of NetworkQoS objects, likewise."""
    return _keys(context, "NetworkQoS", incomplete)


def _keys(context: click.Context, kind: str, incomplete: str) -> list[str]:
    namespace, slash, _ = incomplete.partition("/")
    if not slash and not context.params.get("files"):
        known = _starting(_names(context, "Namespace"), namespace)
        if len(known) != 1:
            return [f"{one}/" for one in known]
        namespace = known[0]
    return _starting(_names(context, kind, namespace), incomplete)


def _starting(names: Iterable[str], incomplete: str) -> list[str]:
    return sorted({name for name in names if name.startswith(incomplete)})


def _names(context: click.Context, kind: str, namespace: str = "") -> list[str]:
    """The names of a kind: of files all, of the cluster those of a namespace; none where they cannot be read."""
    given = context.params
    try:
        if given.get("files"):
            return [*_names_in_files(given["files"], kind)]
        return [*_names_in_cluster(given, kind, namespace)]
    except (ImportError, OvnQosError):
        return []  # likewise


def _names_in_files(files: tuple[str, ...], kind: str) -> Iterator[str]:
    from ovnqos.sources import load_manifests

    found = load_manifests([file for file in files if file != "-"])
    objects: Mapping[str, Any] = {
        "Namespace": found.namespaces,
        "NetworkQoS": found.policies,
        "Node": found.nodes,
        "Pod": found.pods,
    }
    for one in objects[kind]:
        yield getattr(one, "key", one.name)


def _names_in_cluster(given: Mapping[str, Any], kind: str, namespace: str) -> Iterator[str]:
    from ovnqos.kubernetes import RESOURCES, connect

    path = next(one.path for one in RESOURCES if one.kind == kind)
    if namespace:
        group, _, plural = path.rpartition("/")
        path = f"{group}/namespaces/{namespace}/{plural}"
    client = connect(given.get("kubeconfig"), context=given.get("context"))
    page: dict[str, Any] = client.request("GET", path, query={"limit": _NAMES_MAXIMUM}, timeout=_TIMEOUT_S)
    for one in page.get("items") or ():
        metadata = one["metadata"]
        yield f"{metadata['namespace']}/{metadata['name']}" if "namespace" in metadata else metadata["name"]
