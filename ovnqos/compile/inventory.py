"""The cluster as QoS sees it: pods, namespaces and networks, indexed by label.

A pure data structure: `apply` and `delete` keep it, queries read it. A query costs what it finds, not what exists.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, TypeVar

from ovnqos.diagnostics import Code, Diagnostic, ObjectRef, Severity
from ovnqos.errors import InvalidObject
from ovnqos.model.labels import LabelIndex
from ovnqos.model.networks import NetworkAttachmentDefinition, NetworkRole, NetworkSelectionType, takes
from ovnqos.model.workloads import NO_POD_QOS, Namespace, Node, Pod, PodQos

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

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
        problems: by key, why the interfaces of a pod cannot be read, or some are left out. Where they cannot be read,
            those that it had stay, and with them its limits.
        addresses: how many addresses all pods have on all networks, of either IP version.
    """

    def __init__(
        self, topology: Topology, objects: Iterable[object] = (), *, cluster_cidrs: Iterable[IPNetwork] = ()
    ) -> None:
        """Start with these pods, namespaces, nodes and NADs, in a cluster of these addresses."""
        self.topology = topology
        self.cluster_cidrs = tuple(cluster_cidrs)
        self.problems: dict[str, InvalidObject] = {}
        self.addresses = 0
        self._pods: dict[str, dict[str, PodRecord]] = defaultdict(dict)  # namespace -> name -> record
        self._without_interfaces: dict[str, dict[str, Pod]] = defaultdict(dict)  # namespace -> name -> pod
        self._unreadable: dict[str, set[str]] = defaultdict(set)  # namespace -> names of the pods with old interfaces
        self._labelled_pods: dict[str, LabelIndex] = {}  # by namespace
        self._namespaces: dict[str, Mapping[str, str]] = {}  # name -> labels
        self._namespaces_with_pods = LabelIndex()
        self._annotated_namespaces: dict[str, Namespace] = {}  # by name, those that say anything
        self._own_qos: dict[str, set[str]] = defaultdict(set)  # namespace -> names of the pods that say anything
        self._attachments: dict[str, NetworkAttachmentDefinition] = {}
        self._attachments_of: dict[str, set[str]] = defaultdict(set)  # namespace -> keys
        self._versions: dict[str, dict[int, int]] = defaultdict(lambda: {4: 0, 6: 0})  # attachment -> addresses
        self._networks: dict[str, Network | None] = {}  # answers of network_of, until something behind them changes
        self._layouts: dict[str, Counter[NetworkTopology]] = defaultdict(Counter)  # network -> as NADs claim it
        self._claims: dict[str, set[str]] = defaultdict(set)  # network -> keys of the NADs that claim it
        self._not_ovn: dict[str, NetworkAttachmentDefinition] = {}  # by key
        self._selected_not_ovn: dict[NetworkSelector, tuple[NetworkAttachmentDefinition, ...]] = {}
        self._named_after: dict[str, set[str]] = defaultdict(set)  # pod -> pods with a port of its name
        self._names_of: dict[str, set[str]] = {}  # the reverse
        for one in objects:
            self.apply(one)
        for pod in [pod for key in self._named_after for pod in self.pods_with_ports_of(key)]:
            self._apply_pod(pod)

    def apply(self, one: object) -> None:
        """Add or replace an object.

        A pod whose interfaces cannot be read keeps those that were read last, if any; see `problems`. So does a limit
        or mark whose annotation cannot be read. Both are of one object, by its uid; one without uid keeps nothing.
        """
        if isinstance(one, Pod):
            self._apply_pod(one)
        elif isinstance(one, Namespace):
            known = self._annotated_namespaces.get(one.name)
            self._replace_namespace(one.name, {**one.labels, NAMESPACE_NAME_LABEL: one.name})  # a manifest may lack it
            if one.qos is not NO_POD_QOS:
                self._annotated_namespaces[one.name] = _with_valid_qos(one, known)
        elif isinstance(one, NetworkAttachmentDefinition):
            self._remove_attachment(one.key)
            self._add_attachment(one)
        elif not isinstance(one, Node):
            raise TypeError(f"an inventory does not hold {type(one).__name__} objects")

    def delete(self, kind: str, key: str) -> None:
        """Remove an object by its kind and key (`<namespace>/<name>`, or `<name>`), if it is there."""
        if kind == "Pod":
            self._remove_pod(key)
        elif kind == "Namespace":
            self._replace_namespace(key, None)
        elif kind == "NetworkAttachmentDefinition":
            self._remove_attachment(key)

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
        self._annotated_namespaces.pop(name, None)
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

    def _apply_pod(self, pod: Pod) -> None:
        record = self.record(pod.namespace, pod.name)
        known = record.pod if record is not None else self.pod_without_interfaces(pod.namespace, pod.name)
        if known is not None:
            self._remove_pod(pod.key)
        interfaces: tuple[PodInterface, ...] = ()
        if pod.has_own_addresses:
            before = record.interfaces if record is not None and _is_same(record.pod, pod) else ()
            try:
                interfaces = self.topology.read_interfaces(pod)
                if before and not interfaces:
                    raise InvalidObject(_pod_ref(pod), [_networks_gone(pod)])
            except InvalidObject as problem:
                interfaces = before
                said = [*problem.diagnostics, *([_interfaces_kept(pod)] if before else [])]
                self.problems[pod.key] = InvalidObject(_pod_ref(pod), said)
                if before:
                    self._unreadable[pod.namespace].add(pod.name)
            interfaces = self._without_ports_of_others(pod, interfaces)
        pod = _with_valid_qos(pod, known)
        if not interfaces:
            self._without_interfaces[pod.namespace][pod.name] = pod
            return
        self._pods[pod.namespace][pod.name] = PodRecord(pod=pod, interfaces=interfaces)
        if pod.qos is not NO_POD_QOS:
            self._own_qos[pod.namespace].add(pod.name)
        if pod.namespace not in self._labelled_pods:
            self._labelled_pods[pod.namespace] = LabelIndex()
            self._namespaces_with_pods.add(pod.namespace, self.namespace_labels(pod.namespace))
        self._labelled_pods[pod.namespace].add(pod.name, pod.labels)
        self._count_addresses(interfaces, 1)

    def _without_ports_of_others(self, pod: Pod, interfaces: tuple[PodInterface, ...]) -> tuple[PodInterface, ...]:
        """The interfaces whose ports are not those of another pod by its name; see `problems` for what is left out."""
        kept = []
        for one in interfaces:
            if one.named_after:
                name = f"{pod.namespace}/{one.named_after}"
                self._named_after[name].add(pod.key)
                self._names_of.setdefault(pod.key, set()).add(name)
            owner = self.record(pod.namespace, one.named_after) if one.named_after else None
            if owner is None or all(one.port != other.port or other.named_after for other in owner.interfaces):
                kept.append(one)
                continue
            text = f"port {one.port} is that of Pod {owner.pod.key} by its name, so this pod has no row for it"
            hint = "remove the annotation that names it, or the other pod"
            known = self.problems[pod.key].diagnostics if pod.key in self.problems else ()
            said = Diagnostic.error(_pod_ref(pod), Code.PORT_CLAIMED, text, hint=hint)
            self.problems[pod.key] = InvalidObject(_pod_ref(pod), [*known, said])
        return tuple(kept)

    def pods_with_ports_of(self, key: str) -> tuple[Pod, ...]:
        """The other pods whose annotations give a port of theirs the name of this pod's (`<namespace>/<name>`)."""
        if key not in self._named_after:
            return ()
        found = (one.split("/", 1) for one in sorted(self._named_after[key]))
        return tuple(
            pod
            for one in found
            if (pod := record.pod if (record := self.record(*one)) is not None else self.pod_without_interfaces(*one))
        )

    def _remove_pod(self, key: str) -> None:
        self.problems.pop(key, None)
        for named in self._names_of.pop(key, ()):
            self._named_after[named].discard(key)
            if not self._named_after[named]:
                del self._named_after[named]
        namespace, _, name = key.partition("/")
        if namespace in self._unreadable:
            self._unreadable[namespace].discard(name)
            if not self._unreadable[namespace]:
                del self._unreadable[namespace]
        if (idle := self._without_interfaces.get(namespace)) and idle.pop(name, None) and not idle:
            del self._without_interfaces[namespace]
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
            self.addresses += step * len(interface.addresses)
            for address in interface.addresses:
                version = 6 if ":" in address else 4
                counts[version] += step
                if not counts[version] or counts[version] == step:  # the first has come, or the last has gone
                    self._networks.pop(interface.attachment, None)

    def record(self, namespace: str, name: str) -> PodRecord | None:
        """A pod with interfaces of its own; None when there is none of this name."""
        return self._pods.get(namespace, {}).get(name)

    def pods_in(self, namespace: str) -> Iterator[PodRecord]:
        """All pods of a namespace, in no order."""
        return iter(self._pods.get(namespace, {}).values())

    def namespace_qos(self, name: str) -> PodQos:
        """What a namespace says of the traffic of those of its pods that say nothing."""
        found = self._annotated_namespaces.get(name)
        return NO_POD_QOS if found is None else found.qos

    def annotated_namespaces(self) -> Iterable[str]:
        """The names of the namespaces that say anything of the traffic of their pods."""
        return self._annotated_namespaces.keys()

    def is_limited(self, record: PodRecord) -> bool:
        """Whether a pod's annotations, or its namespace's, say anything of its traffic."""
        return record.pod.qos is not NO_POD_QOS or record.pod.namespace in self._annotated_namespaces

    def may_limit(self, namespace: str) -> bool:
        """Whether annotations of a namespace, or of one of its pods, say anything of traffic."""
        return namespace in self._annotated_namespaces or namespace in self._own_qos

    def attachments_in(self, namespace: str) -> tuple[str, ...]:
        """The keys of the NADs in a namespace."""
        return tuple(self._attachments_of.get(namespace, ()))

    def pods(self, selector: LabelSelector, namespaces: str | LabelSelector) -> Iterator[PodRecord]:
        """The pods that match, in one namespace (a name) or in all that a selector matches, in no order."""
        if isinstance(namespaces, str):
            return self._matching(selector, (namespaces,))
        return self._matching(selector, self._namespaces_with_pods.matching(namespaces, self._pods.keys()))

    def all_pods(self) -> Iterator[PodRecord]:
        """All pods with interfaces of their own, in no order."""
        return chain.from_iterable(pods.values() for pods in self._pods.values())

    def pod_without_interfaces(self, namespace: str, name: str) -> Pod | None:
        """A pod that is finished, on the host's network, not wired yet, or whose wiring cannot be read."""
        return self._without_interfaces.get(namespace, {}).get(name)

    def find_pod(self, key: str) -> Pod | None:
        """A pod by its key (`<namespace>/<name>`), with interfaces or without."""
        namespace, _, name = key.partition("/")
        record = self.record(namespace, name)
        return record.pod if record is not None else self.pod_without_interfaces(namespace, name)

    def pods_without_interfaces(self, namespace: str | None = None) -> Iterator[Pod]:
        """All such pods, or those of one namespace, in no order."""
        if namespace is not None:
            return iter(self._without_interfaces.get(namespace, {}).values())
        return chain.from_iterable(pods.values() for pods in self._without_interfaces.values())

    def unreadable_pods(self, namespace: str) -> Iterator[Pod]:
        """The pods of a namespace whose interfaces cannot be read any more, so that those before stay, in no order."""
        return (self._pods[namespace][name].pod for name in self._unreadable.get(namespace, ()))

    def has_pods(self, namespace: str) -> bool:
        """Whether a namespace has any pod."""
        return namespace in self._pods or namespace in self._without_interfaces

    def has_namespace(self, name: str) -> bool:
        """Whether the Namespace object is known."""
        return name in self._namespaces

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

    def attachments(self) -> Iterable[NetworkAttachmentDefinition]:
        """All NADs."""
        return self._attachments.values()

    def network_of(self, attachment: str) -> Network | None:
        """The network behind an interface's attachment key; None while its NAD is unknown or not OVN's."""
        if attachment not in self._networks:
            self._networks[attachment] = self.topology.network(
                attachment, self._attachments.get(attachment), self._seen_versions(attachment)
            )
        return self._networks[attachment]

    def selects(self, selectors: Sequence[NetworkSelector], attachment: str) -> bool:
        """Whether a policy's `networkSelectors` take the network behind an attachment."""
        if self.topology.is_default(attachment):
            return any(selector.type is NetworkSelectionType.DEFAULT_NETWORK for selector in selectors)
        definition = self.attachment(self.topology.definition_key(attachment))
        return definition is not None and any(
            takes(selector, definition, self.namespace_labels(definition.namespace)) for selector in selectors
        )

    def has_services(self, attachment: str) -> bool:
        """Whether Services are reached by an attachment: by a pod's default interface, or a primary one."""
        definition = self.attachment(self.topology.definition_key(attachment))
        is_primary = (
            definition is not None and definition.ovn is not None and definition.ovn.role is NetworkRole.PRIMARY
        )
        return is_primary or self.topology.is_default(attachment)

    def attachments_of_network(self, network: str) -> tuple[str, ...]:
        """The keys of the NADs that claim a network of this name."""
        return tuple(self._claims.get(network, ()))

    def layouts(self, network: str) -> frozenset[NetworkTopology]:
        """The layouts that NADs claim for a network of this name; more than one is a mistake."""
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

    def used_attachments(self) -> Iterable[str]:
        """The attachments by which any pod has, or had, an address."""
        return self._versions.keys()

    def _seen_versions(self, attachment: str) -> frozenset[int]:
        counts = self._versions.get(attachment, {})
        return frozenset(version for version, count in counts.items() if count)


_Annotated = TypeVar("_Annotated", Pod, Namespace)


def _is_same(before: Pod | Namespace, now: Pod | Namespace) -> bool:
    return bool(now.uid) and before.uid == now.uid


def _with_valid_qos(one: _Annotated, before: _Annotated | None) -> _Annotated:
    """A version of an object, with what held before where its annotations cannot be read."""
    if not one.qos.unreadable or before is None or not _is_same(before, one):
        return one
    return replace(one, qos=one.qos.after(before.qos))


def _pod_ref(pod: Pod) -> ObjectRef:
    return ObjectRef(kind="Pod", namespace=pod.namespace, name=pod.name)


def _networks_gone(pod: Pod) -> Diagnostic:
    text = "the networks of the pod are gone from its annotations while it runs"
    hint = "restore what the network plugin wrote"
    return Diagnostic.error(_pod_ref(pod), Code.INVALID_FIELD, text, path="metadata.annotations", hint=hint)


def _interfaces_kept(pod: Pod) -> Diagnostic:
    text = "its last readable interfaces keep their limits and marks"
    return Diagnostic(severity=Severity.INFO, code=Code.LAST_VALID_VERSION, object=_pod_ref(pod), text=text)
