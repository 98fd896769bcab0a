"""Pods, policies, namespaces and networks that change all the time, and those that never do."""

from __future__ import annotations

import json
import threading
from random import Random
from typing import TYPE_CHECKING, Any, Final, Self

from ovnqos.sandbox import SandboxError
from tests.soak.world import FLAT_SWITCH, NODES, attempt, patiently
from tests.support.kubernetes.http import APPLY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.soak.world import World

TENANTS: Final = ("red", "blue")
SENTINELS: Final = "sentinel"
"""The namespace of what is never changed: the limits of its pods are to be in force at every moment."""
SENTINEL_RATES: Final = {"s1": 12_345, "s2": 12_345, "s3": 7_777}
"""The limit of each sentinel pod: of two by a policy, of the third by an annotation."""
_PODS: Final = 20
_POLICIES: Final = 8
_PAUSE_S: Final = (0.02, 0.2)
_PATHS: Final = {
    "Pod": "/api/v1/namespaces/{}/pods",
    "NetworkQoS": "/apis/k8s.ovn.org/v1alpha1/namespaces/{}/networkqoses",
    "NetworkAttachmentDefinition": "/apis/k8s.cni.cncf.io/v1/namespaces/{}/network-attachment-definitions",
}
_VERSIONS: Final = {
    "Pod": "v1",
    "NetworkQoS": "k8s.ovn.org/v1alpha1",
    "NetworkAttachmentDefinition": "k8s.cni.cncf.io/v1",
}
Document = dict[str, Any]


def node_of(number: int) -> str:
    return NODES[number // 2 % len(NODES)]


def ports(namespace: str, name: str, networks: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The switch and the logical switch port of each of a pod's networks, but for the node in the switch's name."""
    for key in networks:
        if key == "default":
            yield "{}", f"{namespace}_{name}"
        else:
            switch = FLAT_SWITCH if key.endswith("flat") else "wide_{}"
            yield switch, f"{key.replace('/', '.')}_{namespace}_{name}"


class Churn:
    """Changes objects through the API in a thread of its own, and ports as a CNI does; a context manager.

    Attributes:
        steps: how many changes were made.
        failure: what ended the thread.
        last_valid: the last valid version of each policy that is not valid now, by key.
        versions: the valid versions of each policy since it was created, by key; a daemon may have missed the last.
    """

    def __init__(self, world: World, seed: int) -> None:
        self.steps = 0
        self.failure: BaseException | None = None
        self._world = world
        self._random = Random(seed)
        self.last_valid: dict[str, Document] = {}
        self.versions: dict[str, list[Document]] = {}
        self._wanted: dict[tuple[str, str, str], Document] = {}  # by kind, namespace, name
        self._ended = threading.Event()
        self._running = threading.Event()
        self._step = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="churn", daemon=True)

    def __enter__(self) -> Self:
        for name in (*TENANTS, SENTINELS):
            self._apply_namespace(name)
        for namespace, name in (("red", "wide"), ("blue", "flat")):
            self._apply(self._network(namespace, name))
        for name, rate in SENTINEL_RATES.items():
            self._add_pod(SENTINELS, name, node=NODES[name == "s2"], rate=rate if name == "s3" else 0)
        rule = {"dscp": 46, "bandwidth": {"rate": SENTINEL_RATES["s1"]}}
        spec = {"priority": 100, "podSelector": {"matchLabels": {"app": "sentinel"}}, "egress": [rule]}
        self._apply(_document("NetworkQoS", SENTINELS, "sentinel", spec=spec))
        self.rest()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._running.set()
        self._thread.join(60)

    def resume(self) -> None:
        """Go on."""
        self._running.set()

    def pause(self) -> None:
        """Stop after the step at hand."""
        self._running.clear()
        with self._step:
            pass

    def rest(self) -> None:
        """Have nearly all objects there, and what goes with them in the Northbounds.

        Where more of them stay away, whose removal no daemon saw, they hold their limits until somebody decides. One
        policy may stay invalid.
        """
        patiently(self._restore)
        for database in self._world.all_databases:
            if database not in self._world.databases:
                attempt(lambda one=database: self._wire(one))  # type: ignore[misc]
        for database in self._world.databases:
            patiently(lambda one=database: self._wire(one))  # type: ignore[misc]

    def _restore(self) -> None:
        for key in list(self.last_valid)[1:]:
            self._apply(self.last_valid[key])
        for (kind, namespace, name), document in list(self._wanted.items()):
            path = f"{_PATHS[kind].format(namespace)}/{name}"
            if self._world.api.request("GET", path)[0] == 404:
                self._apply(document)
        for number in range(_PODS):
            if ("Pod", TENANTS[number % 2], f"p{number}") not in self._wanted:
                self._change_pod(number)
        for number in range(_POLICIES):
            if ("NetworkQoS", TENANTS[number % 2], f"policy{number}") not in self._wanted:
                self._change_policy(number)

    def _wire(self, database: Any) -> None:
        known = {one["name"] for one in database.records("Logical_Switch_Port")}
        commands = [
            *(("--may-exist", "ls-add", name) for name in (FLAT_SWITCH, *(f"wide_{node}" for node in database.nodes))),
            *(
                ("--may-exist", "lsp-add", switch, port)
                for (kind, _, _), document in self._wanted.items()
                if kind == "Pod" and document["spec"]["nodeName"] in database.nodes
                for switch, port in self.ports_of(document)
                if port not in known
            ),
        ]
        database.nbctl(*[word for command in commands for word in ("--", *command)])

    @staticmethod
    def ports_of(document: Document) -> list[tuple[str, str]]:
        """The switch and the logical switch port of each of a pod's networks."""
        metadata, node = document["metadata"], document["spec"]["nodeName"]
        networks = json.loads(metadata["annotations"]["k8s.ovn.org/pod-networks"])
        return [
            (switch.format(node), port) for switch, port in ports(metadata["namespace"], metadata["name"], networks)
        ]

    def _run(self) -> None:
        steps = (
            *(self._change_pod,) * 6,
            self._delete_pod,
            self._move_addresses,
            *(self._change_policy,) * 4,
            self._break_policy,
            self._delete_policy,
            self._replace_policy,
            self._label_namespace,
            self._label_network,
        )
        try:
            while not self._ended.wait(self._random.uniform(*_PAUSE_S)):
                self._running.wait()
                with self._step:
                    step, number = self._random.choice(steps), self._random.randrange(1 << 16)
                    if self._running.is_set() and not self._ended.is_set():
                        self.steps += attempt(lambda: step(number))  # noqa: B023 - called at once
        except BaseException as error:
            self.failure = error

    # Pods

    def _change_pod(self, number: int) -> None:
        number %= _PODS
        choose = self._random.choice
        rate = choose((0, 0, 0, 5_000, 9_000))
        labels = {"app": choose(("web", "db")), "tier": choose("ab")}
        self._add_pod(TENANTS[number % 2], f"p{number}", node=node_of(number), rate=rate, labels=labels, number=number)

    _move_addresses = _change_pod  # the addresses are chosen anew each time

    def _add_pod(
        self, namespace: str, name: str, *, node: str, rate: int, labels: dict[str, str] | None = None, number: int = -1
    ) -> None:
        last = self._random.randrange(10, 250)
        networks: dict[str, Any] = {"default": {"ip_addresses": [f"10.244.{NODES.index(node)}.{last}/24"]}}
        if number < 0:
            networks["default"]["ip_addresses"] = [f"10.243.{NODES.index(node)}.{len(name) + int(name[1:])}/24"]
        elif number % 3 == 0:
            networks["red/wide"] = {"ip_addresses": [f"10.245.{NODES.index(node)}.{last}/24", f"fd00::{last:x}/64"]}
        elif number % 3 == 1:
            networks["blue/flat"] = {"ip_addresses": [f"10.246.0.{last}/24"]}
        annotations = {"k8s.ovn.org/pod-networks": json.dumps(networks)}
        if rate:
            key = "kubernetes.io/ingress-bandwidth" if number % 4 else "kubernetes.io/egress-bandwidth"
            annotations[key] = f"{rate}k"
        spec = {
            "nodeName": node,
            "containers": [{"name": "one", "image": "example.invalid/none"}],
            "automountServiceAccountToken": False,
        }
        metadata = {"labels": labels or {"app": "sentinel" if name != "s3" else "other"}, "annotations": annotations}
        document = _document("Pod", namespace, name, metadata=metadata, spec=spec)
        if self._random.random() < 0.5:  # a CNI may be sooner than the daemon, or later
            self._add_ports(document)
        self._apply(document)
        self._add_ports(document)

    def _add_ports(self, document: Document) -> None:
        words: list[str] = []
        for switch, port in self.ports_of(document):
            words += ["--", "--may-exist", "lsp-add", switch, port]
        for database in self._world.databases:
            if document["spec"]["nodeName"] in database.nodes:
                attempt(lambda one=database: one.nbctl(*words))  # type: ignore[misc]

    def _delete_pod(self, number: int) -> None:
        number %= _PODS
        key = ("Pod", TENANTS[number % 2], f"p{number}")
        if key in self._wanted:
            document = self._wanted[key]
            self._delete(key)
            words: list[str] = []
            for _, port in self.ports_of(document):
                words += ["--", "--if-exists", "lsp-del", port]
            for database in self._world.databases:
                attempt(lambda one=database: one.nbctl(*words))  # type: ignore[misc]

    # Policies

    def _change_policy(self, number: int) -> None:
        number %= _POLICIES
        choose, draw = self._random.choice, self._random.randrange
        peers: tuple[Document, ...] = (
            {"ipBlock": {"cidr": f"172.{16 + draw(4)}.0.0/16", "except": []}},
            {"ipBlock": {"cidr": "0.0.0.0/0", "except": ["192.168.0.0/16", "10.11.12.13/32"]}},
            {"podSelector": {"matchLabels": {"app": choose(("web", "db"))}}},
            {"namespaceSelector": {"matchLabels": {"stage": choose(("test", "live"))}}},
        )
        rules: list[Document] = []
        for _ in range(draw(1, 3)):
            rule: Document = {"dscp": draw(64), "classifier": {"to": [choose(peers)]}}
            if draw(2):
                rule["bandwidth"] = {"rate": draw(1, 50) * 1000}
            if draw(2):
                rule["classifier"]["ports"] = [{"protocol": choose(("TCP", "UDP")), "port": draw(1, 1000)}]
            rules.append(rule)
        selector = {"namespaceSelector": {}, "networkSelector": {"matchLabels": {"kind": choose(("one", "two"))}}}
        networks: tuple[list[Document], ...] = (
            [],
            [{"networkSelectionType": "DefaultNetwork"}],
            [
                {"networkSelectionType": "DefaultNetwork"},
                {
                    "networkSelectionType": "NetworkAttachmentDefinitions",
                    "networkAttachmentDefinitionSelector": selector,
                },
            ],
        )
        spec = {
            "priority": 10 + number,
            "podSelector": choose(({}, {"matchLabels": {"tier": choose("ab")}})),
            "networkSelectors": choose(networks),
            "egress": rules,
        }
        annotations = {"ovnqos.io/bandwidth-scope": "pod"} if not draw(3) else {}
        document = _document(
            "NetworkQoS",
            TENANTS[number % 2],
            f"policy{number}",
            metadata={"annotations": annotations},
            spec=spec,
        )
        self._apply(document)

    def _break_policy(self, number: int) -> None:
        """Make one invalid in a way that the custom resource's schema takes."""
        number %= _POLICIES
        key = ("NetworkQoS", TENANTS[number % 2], f"policy{number}")
        if key in self._wanted:
            valid = self.last_valid.get("/".join(key[1:]), self._wanted[key])
            document = json.loads(json.dumps(valid))
            peer = {"ipBlock": {"cidr": "10.0.0.0/8", "except": ["192.0.2.0/24"]}}
            document["spec"]["egress"][0]["classifier"]["to"] = [peer]
            self._apply(document, last_valid=valid)

    def _delete_policy(self, number: int) -> None:
        number %= _POLICIES
        self._delete(("NetworkQoS", TENANTS[number % 2], f"policy{number}"))

    def _replace_policy(self, number: int) -> None:
        """Delete it and create another one of its name at once, valid or not."""
        self._delete_policy(number)
        self._change_policy(number)
        if self._random.random() < 0.5:
            self._break_policy(number)

    # Namespaces and networks

    def _label_namespace(self, number: int) -> None:
        self._apply_namespace(TENANTS[number % 2])

    def _label_network(self, number: int) -> None:
        self._apply(self._network(*(("red", "wide"), ("blue", "flat"))[number % 2]))

    def _apply_namespace(self, name: str) -> None:
        metadata = {"name": name, "labels": {"stage": self._random.choice(("test", "live"))}}
        document = {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
        self._send(f"/api/v1/namespaces/{name}", document)

    def _network(self, namespace: str, name: str) -> Document:
        config = {
            "cniVersion": "1.0.0",
            "name": name,
            "type": "ovn-k8s-cni-overlay",
            "topology": "layer3" if name == "wide" else "layer2",
            "subnets": "10.245.0.0/16/24,fd00::/48/64" if name == "wide" else "10.246.0.0/16",
            "netAttachDefName": f"{namespace}/{name}",
        }
        metadata = {"labels": {"kind": self._random.choice(("one", "two"))}}
        spec = {"config": json.dumps(config)}
        return _document("NetworkAttachmentDefinition", namespace, name, metadata=metadata, spec=spec)

    # The API

    def _apply(self, document: Document, last_valid: Document | None = None) -> None:
        metadata = document["metadata"]
        key = (document["kind"], metadata["namespace"], metadata["name"])
        self._wanted[key] = document
        if last_valid is not None:
            self.last_valid[f"{key[1]}/{key[2]}"] = last_valid
        elif key[0] == "NetworkQoS":
            self.last_valid.pop(f"{key[1]}/{key[2]}", None)
            self.versions.setdefault(f"{key[1]}/{key[2]}", []).append(document)
        self._send(f"{_PATHS[key[0]].format(key[1])}/{key[2]}", document)

    def _send(self, path: str, document: Document) -> None:
        path += "?fieldManager=churn&force=true"
        status, answer = self._world.api.request("PATCH", path, document, content_type=APPLY)
        if status not in {200, 201}:
            raise SandboxError(f"PATCH {path}: {status}: {answer}")

    def _delete(self, key: tuple[str, str, str]) -> None:
        kind, namespace, name = key
        self._wanted.pop(key, None)
        self.last_valid.pop(f"{namespace}/{name}", None)
        self.versions.pop(f"{namespace}/{name}", None)
        path = f"{_PATHS[kind].format(namespace)}/{name}"
        status, answer = self._world.api.request("DELETE", path, {"gracePeriodSeconds": 0})
        if status not in {200, 404}:
            raise SandboxError(f"DELETE {path}: {status}: {answer}")


def _document(kind: str, namespace: str, name: str, *, spec: Document, metadata: Document | None = None) -> Document:
    return {
        "apiVersion": _VERSIONS[kind],
        "kind": kind,
        "metadata": {"namespace": namespace, "name": name, **(metadata or {})},
        "spec": spec,
    }
