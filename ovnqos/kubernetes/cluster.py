"""A cluster's objects, read once: every kind in pages, each page parsed before the next one is asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import tenacity

from ovnqos.errors import UnreadableInput
from ovnqos.kubernetes.errors import ApiStatusError, ApiUnreachableError, RequestError
from ovnqos.kubernetes.interruption import Interruption
from ovnqos.kubernetes.objects import check_served, items_of, read_pages, remaining_items
from ovnqos.kubernetes.resources import RESOURCES, Resource
from ovnqos.sources import Document, Manifests, parse_manifests
from ovnqos.sources.egress_qos import parse_egress_qos
from ovnqos.sources.services import parse_service

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from ovnqos.kubernetes.client import KubernetesClient

_EGRESS_QOSES: Final = Resource(
    kind="EgressQoS",
    path="/apis/k8s.ovn.org/v1/egressqoses",
    parse=parse_egress_qos,  # type: ignore[arg-type]  # only `convert` reads it, by its path
    optional=True,
)
_SERVICES: Final = Resource(
    kind="Service",
    path="/api/v1/services",
    parse=parse_service,  # type: ignore[arg-type]  # only `explain` reads it, by its path
)
_ALSO: Final = (_EGRESS_QOSES, _SERVICES)
_RESOURCES: Final = {resource.kind: resource for resource in (*RESOURCES, *_ALSO)}
_ALSO_KINDS: Final = frozenset(one.kind for one in _ALSO)
_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _GONE = 401, 403, 404, 410
_BUSY: Final = frozenset({429, 500, 503, 504})
_ATTEMPTS: Final = 5
"""How often a page is asked for while the server is busy or starting: for some 8 s, or as long as it asks to wait."""
_LISTS: Final = 3
"""How often a list begins again whose version the server forgot: etcd is compacted every 5 minutes."""
_WAIT_MAXIMUM: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterContents:
    """What was read.

    Attributes:
        manifests: the objects.
        absent: the kinds that the API server does not serve.
        forbidden: the kinds that this user may not list, each with the API server's own words.
    """

    manifests: Manifests = field(default_factory=Manifests)
    absent: tuple[str, ...] = ()
    forbidden: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


def read_cluster(
    client: KubernetesClient,
    kinds: Iterable[str],
    *,
    also_keep: frozenset[str] = frozenset(),
    progress: Callable[[int, int], None] | None = None,
) -> ClusterContents:
    """Read all objects of some kinds, of all namespaces, each kind as it was at one moment.

    At most one page of whole documents is in memory. A server that is busy is asked again for some seconds.

    Args:
        client: the API.
        kinds: NetworkQoS, Pod, Namespace, Node, NetworkAttachmentDefinition, EgressQoS or Service.
        also_keep: of pods, as in `parse_pod`.
        progress: is told how many objects have been read, and how many there are as far as that is known.

    Raises:
        UnreadableInput: in one line: the server cannot be reached, refuses the credentials, or gives no usable answer.
    """
    reader = _Reader(client, also_keep, progress)
    parts: list[Manifests] = []
    absent: list[str] = []
    forbidden: dict[str, str] = {}
    for kind in kinds:
        resource = _RESOURCES[kind]
        try:
            if resource.is_custom:
                check_served(client, resource, Interruption())
            parts.append(reader.read(resource))
        except ApiStatusError as error:
            if error.status == _FORBIDDEN:
                forbidden[kind] = str(error)
            elif error.status == _NOT_FOUND and resource.is_custom:
                absent.append(kind)
            else:
                raise _unreadable(client, error, kind) from error
        except RequestError as error:
            raise _unreadable(client, error, kind) from error
    manifests = Manifests.joined(parts)
    return ClusterContents(manifests=manifests, absent=tuple(absent), forbidden=MappingProxyType(forbidden))


def _unreadable(client: KubernetesClient, error: RequestError, kind: str) -> UnreadableInput:
    if isinstance(error, ApiUnreachableError):
        return UnreadableInput(f"Kubernetes API: {error}; check the cluster and --context")
    hint = ""
    if isinstance(error, ApiStatusError) and error.status == _UNAUTHORIZED:
        hint = "; the credentials are expired or wrong: log in again"
    return UnreadableInput(f"Kubernetes API: {client.server}: {kind} objects cannot be listed: {error}{hint}")


class _Reader:
    def __init__(
        self, client: KubernetesClient, also_keep: frozenset[str], progress: Callable[[int, int], None] | None
    ) -> None:
        self._client = client
        self._also_keep = also_keep
        self._progress = progress
        self._done = 0

    def read(self, resource: Resource) -> Manifests:
        """All objects of a resource; raises RequestError."""
        before = self._done
        for left in reversed(range(_LISTS)):
            try:
                return parse_manifests(self._documents(resource), also_keep=self._also_keep, also_read=_ALSO_KINDS)
            except ApiStatusError as error:
                if error.status != _GONE or not left:
                    raise
            self._done = before
        raise AssertionError

    def _documents(self, resource: Resource) -> Iterator[Document]:
        for page in read_pages(self._page, resource.path):
            items = items_of(page)
            for item in items:
                item.update(kind=resource.kind, apiVersion=page.get("apiVersion"))
                yield Document(value=item, origin="", place="the cluster")
            self._done += len(items)
            if self._progress is not None:
                self._progress(self._done, self._done + remaining_items(page))

    def _page(self, path: str, query: Mapping[str, str | int]) -> bytes:
        def may_pass(error: BaseException) -> bool:
            if isinstance(error, ApiStatusError):
                return error.status in _BUSY
            return isinstance(error, ApiUnreachableError) and "continue" in query  # it was there a moment ago

        for attempt in tenacity.Retrying(
            retry=tenacity.retry_if_exception(may_pass),
            wait=_wait,
            stop=tenacity.stop_after_attempt(_ATTEMPTS),
            reraise=True,
        ):
            with attempt:
                return self._client.read(path, query, Interruption())
        raise AssertionError


def _wait(state: tenacity.RetryCallState) -> float:
    """The seconds that the server asks to wait for, or else 0.5, 1, 2, 4."""
    error = state.outcome.exception() if state.outcome is not None else None
    asked = error.retry_after if isinstance(error, ApiStatusError) else 0.0
    return min(asked or 0.25 * 2**state.attempt_number, _WAIT_MAXIMUM)
