"""The cluster as QoS sees it: pods, namespaces and networks, indexed by label.

A pure data structure: `update` and `remove` keep it, queries read it. A query costs what it finds, not what exists.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from ovnqos.compile.label_index import LabelIndex
from ovnqos.compile.network_selection import takes
from ovnqos.errors import InvalidObject
from ovnqos.model.networks import NetworkAttachmentDefinition
from ovnqos.model.pod_qos import NO_POD_QOS, PodQos
from ovnqos.model.workloads import Namespace, Node, Pod

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from netaddr import IPNetwork

    from ovnqos.compile.topology import Network, PodInterface, Topology
    from ovnqos.model.labels import LabelSelector
    from ovnqos.model.networks import NetworkSelector, NetworkTopology

NAMESPACE_NAME_LABEL = "kubernetes.io/metadata.name"
"""The label that the API server puts on each namespace."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PodRecord:
    """A pod that can send and receive on its own interfaces."""

    pod: Pod
    interfaces: tuple[PodInterface, ...]


class Inventory:
    """What is in the cluster now. Not thread-safe: one thread writes and reads.

    Attributes:
        topology: how ports, switches and addresses are found.
        cluster_cidrs: the addresses inside the cluster; a pod's DSCP mark is for traffic to others. Empty: not known.
    """

    def __init__(
        self, topology: Topology, objects: Iterable[object] = (), *, cluster_cidrs: Iterable[IPNetwork] = ()
    ) -> None:
        """Start with these pods, namespaces, nodes and NADs, in a cluster of these addresses."""
        self.topology = topology
        self.cluster_cidrs = tuple(cluster_cidrs)
        self._pods: dict[str, dict[str, PodRecord]] = defaultdict(dict)  # namespace -> name -> record
        self._labelled_pods: dict[str, LabelIndex] = {}  # by namespace
        self._namespaces: dict[str, Mapping[str, str]] = {}  # name -> labels
        self._namespaces_with_pods = LabelIndex()
        self._namespace_qos: dict[str, PodQos] = {}  # by name, of those that say anything
        self._own_qos: dict[str, set[str]] = defaultdict(set)  # namespace -> names of the pods that say anything
        self._attachments: dict[str, NetworkAttachmentDefinition] = {}
        self._attachments_of: dict[str, set[str]] = defaultdict(set)  # namespace -> keys
        self._versions: dict[str, dict[int, int]] = defaultdict(lambda: {4: 0, 6: 0})  # attachment -> addresses
        self._problems: dict[str, InvalidObject] = {}
        self._networks: dict[str, Network | None] = {}  # answers of network_of, until something behind them changes
        self._layouts: dict[str, Counter[NetworkTopology]] = defaultdict(Counter)  # network -> as NADs claim it
        self._claims: dict[str, set[str]] = defaultdict(set)  # network -> keys of the NADs that claim it
        self._not_ovn: dict[str, NetworkAttachmentDefinition] = {}  # by key
        self._selected_not_ovn: dict[NetworkSelector, tuple[NetworkAttachmentDefinition, ...]] = {}
        for one in objects:
            self.update(one)

    def update(self, one: object) -> InvalidObject | None:
        """Take in a new or changed object.

        Returns why a pod's interfaces cannot be read, unless that was known; the pod then counts as having none.
        """
        if isinstance(one, Pod):
            return self._update_pod(one)
        if isinstance(one, Namespace):
            self._replace_namespace(one.name, {**one.labels, NAMESPACE_NAME_LABEL: one.name})  # a manifest may lack it
            if one.qos is not NO_POD_QOS:
                self._namespace_qos[one.name] = one.qos
        elif isinstance(one, NetworkAttachmentDefinition):
            self._remove_attachment(one.key)
            self._add_attachment(one)
        elif not isinstance(one, Node):
            raise TypeError(f"an inventory does not hold {type(one).__name__} objects")
        return None

    def remove(self, one: object) -> None:
        """Forget an object; only its names are looked at. Unknown ones are passed over."""
        if isinstance(one, Pod):
            self._remove_pod(one.namespace, one.name)
        elif isinstance(one, Namespace):
            self._replace_namespace(one.name, None)
        elif isinstance(one, NetworkAttachmentDefinition):
            self._remove_attachment(one.key)

    def _replace_namespace(self, name: str, labels: Mapping[str, str] | None) -> None:
        """A namespace has these labels now, or (None) is gone; its pods may not be."""
        if name in self._pods:
            self._namespaces_with_pods.discard(name, self.namespace_labels(name))
        if labels is None:
            self._namespaces.pop(name, None)
        else:
            self._namespaces[name] = labels
        if name in self._pods:
            self._namespaces_with_pods.add(name, self.namespace_labels(name))
        self._namespace_qos.pop(name, None)
        self._selected_not_ovn.clear()

    def _add_attachment(self, definition: NetworkAttachmentDefinition) -> None:
        key = definition.key
        self._attachments[key] = definition
        self._attachments_of[definition.namespace].add(key)
        if definition.ovn is None:
            self._not_ovn[key] = definition
            self._selected_not_ovn.clear()
        else:
            self._layouts[definition.ovn.network][definition.ovn.topology] += 1
            self._claims[definition.ovn.network].add(key)

    def _remove_attachment(self, key: str) -> None:
        self._networks.pop(key, None)
        known = self._attachments.pop(key, None)
        if known is None:
            return
        self._attachments_of[known.namespace].discard(key)
        if known.ovn is None:
            del self._not_ovn[key]
            self._selected_not_ovn.clear()
            return
        layouts = self._layouts[known.ovn.network]
        layouts[known.ovn.topology] -= 1
        if not layouts[known.ovn.topology]:
            del layouts[known.ovn.topology]
        self._claims[known.ovn.network].discard(key)
        if not layouts:
            del self._layouts[known.ovn.network], self._claims[known.ovn.network]

    def _update_pod(self, pod: Pod) -> InvalidObject | None:
        known = self._problems.get(pod.key)
        self._remove_pod(pod.namespace, pod.name)
        if not pod.has_own_addresses:
            return None
        try:
            interfaces = self.topology.interfaces(pod)
        except InvalidObject as problem:
            self._problems[pod.key] = problem
            return problem if known is None or str(known) != str(problem) else None
        if not interfaces:
            return None
        self._pods[pod.namespace][pod.name] = PodRecord(pod=pod, interfaces=interfaces)
        if pod.qos is not NO_POD_QOS:
            self._own_qos[pod.namespace].add(pod.name)
        if pod.namespace not in self._labelled_pods:
            self._labelled_pods[pod.namespace] = LabelIndex()
            self._namespaces_with_pods.add(pod.namespace, self.namespace_labels(pod.namespace))
        self._labelled_pods[pod.namespace].add(pod.name, pod.labels)
        self._count_addresses(interfaces, 1)
        return None

    def _remove_pod(self, namespace: str, name: str) -> None:
        self._problems.pop(f"{namespace}/{name}", None)
        pods = self._pods.get(namespace)
        record = pods.pop(name, None) if pods else None
        if pods is None or record is None:
            return
        self._labelled_pods[namespace].discard(name, record.pod.labels)
        if not pods:
            del self._pods[namespace], self._labelled_pods[namespace]
            self._namespaces_with_pods.discard(namespace, self.namespace_labels(namespace))
        if namespace in self._own_qos:
            self._own_qos[namespace].discard(name)
            if not self._own_qos[namespace]:
                del self._own_qos[namespace]
        self._count_addresses(record.interfaces, -1)

    def _count_addresses(self, interfaces: tuple[PodInterface, ...], step: int) -> None:
        for interface in interfaces:
            counts = self._versions[interface.attachment]
            for address in interface.addresses:
                version = 6 if ":" in address else 4
                counts[version] += step
                if counts[version] in {0, step}:  # the first has come, or the last has gone
                    self._networks.pop(interface.attachment, None)

    @property
    def problems(self) -> tuple[InvalidObject, ...]:
        """Pods whose interfaces could not be read; they count as having none."""
        return tuple(self._problems[key] for key in sorted(self._problems))

    def record(self, namespace: str, name: str) -> PodRecord | None:
        """A pod with interfaces of its own; None when there is none of this name."""
        return self._pods.get(namespace, {}).get(name)

    def pods_in(self, namespace: str) -> Iterator[PodRecord]:
        """All pods of a namespace, in no order."""
        return iter(self._pods.get(namespace, {}).values())

    def namespace_qos(self, name: str) -> PodQos:
        """What a namespace says of the traffic of those of its pods that say nothing."""
        return self._namespace_qos.get(name, NO_POD_QOS)

    def limiting_namespaces(self) -> Mapping[str, PodQos]:
        """By name, what namespaces say of the traffic of their pods, of those that say anything."""
        return self._namespace_qos

    def is_limited(self, record: PodRecord) -> bool:
        """Whether a pod's annotations, or its namespace's, say anything of its traffic."""
        return record.pod.qos is not NO_POD_QOS or record.pod.namespace in self._namespace_qos

    def may_limit(self, namespace: str) -> bool:
        """Whether annotations of a namespace, or of one of its pods, say anything of traffic."""
        return namespace in self._namespace_qos or namespace in self._own_qos

    def limited_pods(self) -> Iterator[PodRecord]:
        """The pods of this zone whose annotations, or their namespaces', say anything of their traffic, sorted."""
        for namespace in sorted(self._pods):
            pods = self._pods[namespace]
            names = pods if namespace in self._namespace_qos else self._own_qos.get(namespace, ())
            for name in sorted(names):
                if self.topology.in_zone(pods[name].pod.node):
                    yield pods[name]

    def attachments_in(self, namespace: str) -> tuple[str, ...]:
        """The keys of the NADs in a namespace."""
        return tuple(self._attachments_of.get(namespace, ()))

    def pods(self, selector: LabelSelector, namespace: str) -> Iterator[PodRecord]:
        """The pods of one namespace that match, in no order."""
        return self._matching(selector, (namespace,))

    def selected(self, selector: LabelSelector, namespaces: str | LabelSelector) -> Iterator[PodRecord]:
        """The pods that match, in one namespace (a name) or in all that a selector matches, in no order."""
        if isinstance(namespaces, str):
            return self.pods(selector, namespaces)
        return self.pods_of_namespaces(selector, namespaces)

    def pods_of_namespaces(self, selector: LabelSelector, namespaces: LabelSelector) -> Iterator[PodRecord]:
        """The pods that match in all namespaces that match, in no order."""
        return self._matching(selector, self._namespaces_with_pods.matching(namespaces, self._pods.keys()))

    def _matching(self, selector: LabelSelector, namespaces: Iterable[str]) -> Iterator[PodRecord]:
        return chain.from_iterable(
            map(pods.__getitem__, self._labelled_pods[namespace].matching(selector, pods.keys()))
            for namespace in namespaces
            if (pods := self._pods.get(namespace))
        )

    def namespace_labels(self, name: str) -> Mapping[str, str]:
        """A namespace's labels. Each has the label that the API server gives it, its name, even one never seen."""
        return self._namespaces.get(name) or {NAMESPACE_NAME_LABEL: name}

    def attachment(self, key: str) -> NetworkAttachmentDefinition | None:
        """The NAD with this key (`<namespace>/<name>`), if it is known."""
        return self._attachments.get(key)

    def network_of(self, attachment: str) -> Network | None:
        """The network behind an interface's attachment key; None while its NAD is unknown or not OVN's."""
        if attachment not in self._networks:
            self._networks[attachment] = self.topology.network(
                attachment, self._attachments.get(attachment), self._seen_versions(attachment)
            )
        return self._networks[attachment]

    def attachments_of_network(self, network: str) -> tuple[str, ...]:
        """The keys of the NADs that claim a network of this name."""
        return tuple(self._claims.get(network, ()))

    def layouts(self, network: str) -> frozenset[NetworkTopology]:
        """The layouts that NADs claim for a network of this name; more than one is somebody's mistake."""
        return frozenset(self._layouts.get(network, ()))

    def not_ovn(self, selector: NetworkSelector) -> tuple[NetworkAttachmentDefinition, ...]:
        """The NADs that a selector takes and that another CNI plugin wires."""
        found = self._selected_not_ovn.get(selector)
        if found is None:
            found = tuple(
                definition
                for key, definition in sorted(self._not_ovn.items())
                if takes(selector, definition, self.namespace_labels(definition.namespace))
            )
            self._selected_not_ovn[selector] = found
        return found

    def _seen_versions(self, attachment: str) -> frozenset[int]:
        counts = self._versions.get(attachment, {})
        return frozenset(version for version, count in counts.items() if count)
