"""A cluster read once: kinds that exist, pages, what is forbidden, and a server in trouble."""

from __future__ import annotations

import json
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest

from ovnqos import UnreadableInput
from ovnqos.kubernetes import ClusterContents, read_cluster
from tests.support.answering_api import AnsweringApi, Request, refusal
from tests.support.scripted_api import client_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KINDS = ("NetworkQoS", "NetworkAttachmentDefinition", "Namespace", "Pod", "EgressQoS")
POLICIES = "/apis/k8s.ovn.org/v1alpha1/networkqoses"
ATTACHMENTS = "/apis/k8s.cni.cncf.io/v1/network-attachment-definitions"
EGRESS_QOSES = "/apis/k8s.ovn.org/v1/egressqoses"
PODS = "/api/v1/pods"
POLICY = {"metadata": {"name": "gold", "namespace": "shop"}, "spec": {"priority": 1, "egress": [{"dscp": 20}]}}
EGRESS_QOS = {"metadata": {"name": "default", "namespace": "shop"}, "spec": {"egress": [{"dscp": 20}]}}
ATTACHMENT = {"metadata": {"name": "blue", "namespace": "shop"}, "spec": {"config": '{"type": "macvlan"}'}}


def pod(name: str, **more: Any) -> dict[str, Any]:
    return {"metadata": {"namespace": "shop", "name": name}, "spec": {"nodeName": "n"}, **more}


class Cluster:
    """A Kubernetes API of these collections by path, in pages; `answers` go first, one a request of its path."""

    def __init__(self, collections: dict[str, list[dict[str, Any]]]) -> None:
        self.collections = collections
        self.answers: dict[str, list[tuple[int, object] | None]] = {}
        self.page_size = 500

    def __call__(self, request: Request) -> tuple[int, object]:
        queue = self.answers.get(request.path, [])
        if queue and (answer := queue.pop(0)) is not None:
            return answer
        if request.path in self.collections:
            return 200, self._page(request)
        served = [path.rpartition("/") for path in self.collections]
        names = [name for group, _, name in served if group == request.path]
        if not names:
            return refusal(404, "NotFound")
        return 200, {"kind": "APIResourceList", "resources": [{"name": one, "verbs": ["create"]} for one in names]}

    def _page(self, request: Request) -> object:
        items = self.collections[request.path]
        start = int(request.query.get("continue", "0"))
        end = start + self.page_size
        metadata: dict[str, object] = {"resourceVersion": "7"}
        if end < len(items):
            metadata |= {"continue": str(end), "remainingItemCount": len(items) - end}
        version = "/".join(request.path.split("/")[2:-1])
        return {"apiVersion": version, "kind": "List", "metadata": metadata, "items": items[start:end]}


@pytest.fixture
def cluster() -> Cluster:
    namespace = {"metadata": {"name": "shop"}}
    return Cluster({POLICIES: [POLICY], PODS: [pod("a"), pod("b")], "/api/v1/namespaces": [namespace]})


@pytest.fixture
def read(cluster: Cluster, tmp_path: Path) -> Callable[..., ClusterContents]:
    """Reads the cluster; no test waits for longer than the server asks."""

    def read_it(*kinds: str, **options: Any) -> ClusterContents:
        with AnsweringApi(cluster) as api, client_of(api.url, tmp_path) as client:
            try:
                return read_cluster(client, kinds or KINDS, **options)
            finally:
                requests.extend(api.requests)

    requests: list[Request] = []
    read_it.requests = requests  # type: ignore[attr-defined]  # for the tests that look at them
    return read_it


def test_kinds_that_the_server_does_not_know_are_named_and_not_asked_for(
    cluster: Cluster, read: Callable[..., ClusterContents]
) -> None:
    found = read()
    assert found.absent == ("NetworkAttachmentDefinition", "EgressQoS")
    assert found.forbidden == {}
    assert [one.key for one in found.manifests.policies] == ["shop/gold"]
    assert [one.key for one in found.manifests.pods] == ["shop/a", "shop/b"]
    assert [one.name for one in found.manifests.namespaces] == ["shop"]
    assert found.manifests.invalid == ()
    paths = [one.path for one in read.requests]  # type: ignore[attr-defined]  # see the fixture
    assert ATTACHMENTS not in paths
    assert EGRESS_QOSES not in paths


def test_all_kinds_come_with_what_is_wrong_with_them(cluster: Cluster, read: Callable[..., ClusterContents]) -> None:
    bad = {"metadata": {"name": "bad", "namespace": "shop"}, "spec": {"priority": 101, "egress": []}}
    cluster.collections |= {POLICIES: [POLICY, bad], ATTACHMENTS: [ATTACHMENT], EGRESS_QOSES: [EGRESS_QOS]}
    found = read()
    assert found.absent == ()
    assert [one.key for one in found.manifests.network_attachment_definitions] == ["shop/blue"]
    assert [one.key for one in found.manifests.egress_qos] == ["shop/default"]
    (invalid,) = found.manifests.invalid
    assert (str(invalid.object), [one.path for one in invalid.diagnostics]) == (
        "NetworkQoS shop/bad",
        ["spec.priority"],
    )


def test_a_collection_comes_in_pages_of_one_version_and_progress_is_told(
    cluster: Cluster, read: Callable[..., ClusterContents]
) -> None:
    cluster.collections[PODS] = [pod(f"p{number}") for number in range(5)]
    cluster.page_size = 2
    progress: list[tuple[int, int]] = []
    found = read("Pod", progress=lambda done, total: progress.append((done, total)))
    assert [one.name for one in found.manifests.pods] == [f"p{number}" for number in range(5)]
    queries = [one.query for one in read.requests]  # type: ignore[attr-defined]  # see the fixture
    assert queries == [{"limit": "500"}, {"limit": "500", "continue": "2"}, {"limit": "500", "continue": "4"}]
    assert progress == [(2, 5), (4, 5), (5, 5)]


def test_a_list_that_expired_begins_again_in_pages_and_nothing_comes_twice(
    cluster: Cluster, read: Callable[..., ClusterContents]
) -> None:
    cluster.collections[PODS] = [pod(f"p{number}") for number in range(5)]
    cluster.page_size = 2
    cluster.answers[PODS] = [None, refusal(410, "Expired")]
    found = read("Pod")
    assert [one.name for one in found.manifests.pods] == [f"p{number}" for number in range(5)]
    assert found.manifests.invalid == ()
    assert all("limit" in one.query for one in read.requests)  # type: ignore[attr-defined]  # see the fixture


def test_a_list_that_expires_again_and_again_is_given_up(
    cluster: Cluster, read: Callable[..., ClusterContents]
) -> None:
    cluster.collections[PODS] = [pod("a")]
    cluster.answers[PODS] = [refusal(410, "Expired")] * 9
    with pytest.raises(UnreadableInput, match=r"Pod objects cannot be listed: HTTP 410"):
        read("Pod")


def test_a_busy_server_is_asked_again(cluster: Cluster, read: Callable[..., ClusterContents]) -> None:
    cluster.answers[PODS] = [refusal(429, "TooManyRequests"), refusal(503, "ServiceUnavailable")]
    assert len(read("Pod").manifests.pods) == 2


@pytest.mark.parametrize("path", [POLICIES.rpartition("/")[0], POLICIES])
def test_a_kind_that_may_not_be_listed_is_named_and_the_others_come(
    cluster: Cluster, read: Callable[..., ClusterContents], path: str
) -> None:
    cluster.answers = {PODS: [refusal(403, "Forbidden")], path: [refusal(403, "Forbidden")]}
    found = read("NetworkQoS", "Namespace", "Pod")
    assert set(found.forbidden) == {"Pod"} | ({"NetworkQoS"} if path == POLICIES else set())
    assert found.forbidden["Pod"] == "HTTP 403 Forbidden: no"
    assert found.manifests.pods == ()
    assert len(found.manifests.namespaces) == 1


def test_wrong_credentials_are_one_line_that_says_what_to_do(
    cluster: Cluster, read: Callable[..., ClusterContents]
) -> None:
    cluster.answers = {"/api/v1/namespaces": [refusal(401, "Unauthorized")] * 2}
    with pytest.raises(UnreadableInput) as caught:
        read("Namespace")
    message = str(caught.value)
    assert "HTTP 401" in message
    assert message.endswith("the credentials are expired or wrong: log in again")
    assert "\n" not in message


def test_a_server_that_is_gone_is_one_line(tmp_path: Path) -> None:
    with client_of("http://127.0.0.1:1", tmp_path) as client, pytest.raises(UnreadableInput) as caught:
        read_cluster(client, KINDS)
    assert str(caught.value).startswith("Kubernetes API: http://127.0.0.1:1: ")
    assert "\n" not in str(caught.value)


def test_an_answer_that_is_no_list_is_one_line(cluster: Cluster, read: Callable[..., ClusterContents]) -> None:
    cluster.answers[PODS] = [(200, {"metadata": {"resourceVersion": "7"}, "items": ["text"]})]
    with pytest.raises(UnreadableInput, match="Pod objects cannot be listed: a list whose items are not a list of"):
        read("Pod")


def test_memory_is_that_of_a_page_and_of_what_is_kept(cluster: Cluster, tmp_path: Path) -> None:
    containers = [{"name": f"c{number}", "image": "registry.example/" + "x" * 200} for number in range(40)]
    page = [pod(f"p{number:04}", spec={"nodeName": "n", "containers": containers}) for number in range(100)]
    size = len(json.dumps(page))
    pages = 20

    def answer(request: Request) -> tuple[int, object]:
        number = int(request.query.get("continue", "0"))
        metadata = {"resourceVersion": "7"} | ({"continue": str(number + 1)} if number + 1 < pages else {})
        for index, one in enumerate(page):
            one["metadata"]["name"] = f"p{number}-{index}"
        return 200, {"apiVersion": "v1", "kind": "PodList", "metadata": metadata, "items": page}

    with AnsweringApi(answer) as api, client_of(api.url, tmp_path) as client:
        read_cluster(client, ["Namespace"])  # what is loaded and cached once
        tracemalloc.start()
        try:
            found = read_cluster(client, ["Pod"])
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert len(found.manifests.pods) == 100 * pages
    # of one page its text and values here, and its text in the server: 8; more when threads wait for a processor
    assert peak < 15 * size
