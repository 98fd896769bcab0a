"""The source interfaces of a policy by network; and why there is none, each cause a diagnostic of its own.

UserDefinedNetworks and ClusterUserDefinedNetworks are known by the NADs that ovn-kubernetes generates from them, which
have their labels and name them as owner.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from ovnqos.compile.rows import POD_KIND
from ovnqos.compile.selections import PodSelection
from ovnqos.diagnostics import Code, Diagnostic, ObjectRef, Severity, listed
from ovnqos.model.networks import DEFAULT_NETWORK, NetworkSelectionType, takes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ovnqos.compile.compiled import CompileContext, CompiledObject
    from ovnqos.compile.inventory import Inventory
    from ovnqos.compile.selections import SourceMembers
    from ovnqos.compile.topology import Network
    from ovnqos.model.networks import NetworkAttachmentDefinition, NetworkSelector
    from ovnqos.model.policy import NetworkQoS
    from ovnqos.model.workloads import Pod


@dataclass(slots=True, kw_only=True)
class NetworkSources:
    """A policy's source interfaces on one network: their switches by name, and the attachments they came by."""

    network: Network
    switches: set[str] = field(default_factory=set)
    attachments: set[str] = field(default_factory=set)


def find_sources(
    selectors: Sequence[NetworkSelector] | None, members: SourceMembers, inventory: Inventory, compiled: CompiledObject
) -> tuple[NetworkSources, ...]:
    """A selection's interfaces by network, sorted by its name.

    Args:
        selectors: which networks; None: any.
        members: the interfaces.
        inventory: the cluster.
        compiled: gets a diagnostic for each attachment that is skipped.
    """
    topology = inventory.topology
    by_network: dict[str, NetworkSources] = {}
    unknown: set[str] = set()
    contradictory: dict[str, str] = {}
    for attachment, locations in members.locations.items():
        network = inventory.network_of(attachment)
        if network is None:
            unknown.add(attachment)
            continue
        if selectors is not None and not inventory.selects(selectors, attachment):
            continue
        layouts = inventory.layouts(network.name)
        if len(layouts) > 1:
            contradictory[network.name] = " and ".join(sorted(layouts))
        sources = by_network.get(network.key)
        if sources is None:
            sources = by_network[network.key] = NetworkSources(network=network)
        if sources.network.versions != network.versions:  # two attachments of one network: what both carry
            versions = sources.network.versions | network.versions
            sources.network = replace(sources.network, versions=versions)
        sources.switches.update([topology.switch(network, location) for location in locations])
        sources.attachments.add(attachment)
    _warn_of_foreign(selectors or (), inventory, compiled)
    if selectors is None or any(one.type is not NetworkSelectionType.DEFAULT_NETWORK for one in selectors):
        _warn_of_unknown(unknown, inventory, compiled)
    for name, given in sorted(contradictory.items()):
        text = f"network {name}: its NetworkAttachmentDefinitions disagree on the topology ({given})"
        compiled.warn(Code.TOPOLOGIES_DIFFER, text, hint="give all of them one topology")
    return tuple(by_network[key] for key in sorted(by_network))


def _warn_of_foreign(selectors: Sequence[NetworkSelector], inventory: Inventory, compiled: CompiledObject) -> None:
    for index, selector in enumerate(selectors):
        for definition in inventory.not_ovn(selector):
            if not inventory.topology.wires(definition):
                compiled.warn(Code.NOT_OVN, _wired_by(definition), path=f"spec.networkSelectors[{index}]")


def _warn_of_unknown(attachments: set[str], inventory: Inventory, compiled: CompiledObject) -> None:
    for attachment in sorted(attachments):
        definition = inventory.attachment(inventory.topology.definition_key(attachment))
        if definition is not None:
            compiled.warn(Code.NOT_OVN, f"{_wired_by(definition)}; its interfaces are skipped")
        else:
            text = f"network attachment {attachment}: no OVN network is known of this name; its interfaces are skipped"
            compiled.warn(Code.UNKNOWN_NETWORK, text)


def _wired_by(definition: NetworkAttachmentDefinition) -> str:
    plugin = definition.plugin or "unknown"
    return f"network attachment {definition.key}: CNI plugin {plugin} wires it, so OVN can neither mark nor limit"


class NonSource(NamedTuple):
    """A pod that is no source of any policy in this zone, and why not."""

    pod: Pod
    cause: Code

    def differs(self, other: NonSource) -> bool:
        """Whether what is said of policies that select one of them may not be said of the other."""
        return self.cause is not other.cause or self.pod.labels != other.pod.labels


_TEXTS = {
    Code.POD_NOT_WIRED: (
        "selected pods are not wired yet: {}",
        "check that they are scheduled",
    ),
    Code.POD_COMPLETED: ("selected pods are completed or failed: {}", ""),
    Code.POD_ON_HOST_NETWORK: ("selected pods use the host's network, which OVN does not wire: {}", ""),
    Code.POD_UNREADABLE: ("the networks of selected pods cannot be read: {}", "see the diagnostics of the pods"),
    Code.PORT_CLAIMED: ("the ports of selected pods are those of other pods: {}", "see the diagnostics of the pods"),
}


_NETWORK_CAUSES = frozenset({Code.UNKNOWN_NETWORK, Code.NOT_OVN})
"""What the compiler says of the networks of source pods by itself."""


def find_non_source(namespace: str, name: str, inventory: Inventory) -> NonSource | None:
    """A pod that is known and no source in this zone; None for any other."""
    pod = inventory.pod_without_interfaces(namespace, name)
    if pod is not None:
        return NonSource(pod, _cause(pod, inventory))
    record = inventory.record(namespace, name)
    if record is None or inventory.topology.in_zone(record.pod.node):
        return None
    return NonSource(record.pod, Code.POD_IN_OTHER_ZONE)


def _cause(pod: Pod, inventory: Inventory) -> Code:
    """Why a pod has no interface of its own."""
    if pod.host_network:
        return Code.POD_ON_HOST_NETWORK
    if not pod.has_own_addresses:
        return Code.POD_COMPLETED
    problem = inventory.problems.get(pod.key)
    if problem is None:
        return Code.POD_NOT_WIRED
    is_claim = all(one.code is Code.PORT_CLAIMED for one in problem.diagnostics)
    return Code.PORT_CLAIMED if is_claim else Code.POD_UNREADABLE


def why_no_limit(key: str, inventory: Inventory) -> Iterator[Diagnostic]:
    """Say why the limits and mark of a pod of this zone's nodes have no row, where it has no interface of its own."""
    namespace, _, name = key.partition("/")
    found = find_non_source(namespace, name, inventory)
    if found is None or found.cause in {Code.POD_COMPLETED, Code.POD_IN_OTHER_ZONE}:
        return
    pod = found.pod
    if not inventory.topology.in_zone(pod.node):
        return
    yield from pod.qos.diagnostics
    if pod.qos.sets_nothing:
        return
    ref = ObjectRef(kind=POD_KIND, namespace=namespace, name=name)
    if found.cause is Code.POD_ON_HOST_NETWORK:
        text = "the annotations have no effect: OVN does not wire pods on the host's network"
        yield Diagnostic.warning(ref, found.cause, text, path="spec.hostNetwork")
    elif found.cause is Code.POD_NOT_WIRED:
        yield Diagnostic.warning(ref, found.cause, "not wired yet, so the annotations have no effect")


def why_nothing_is_selected(
    policy: NetworkQoS, compiled: CompiledObject, context: CompileContext
) -> Iterator[Diagnostic]:
    """Say why a policy has no source interface in this zone, at the cost of a look at the pods of its namespace.

    Nothing is said where its parser or compiler said why: it has no rules, or a network of the pods is unknown.
    """
    if not policy.rules:
        return
    if not context.sources.members(PodSelection.of_sources(policy)).locations:
        yield from _why_no_pod(policy, compiled.object, context.inventory)
    elif policy.network_selectors is not None:
        yield from _why_no_network(policy, compiled, context.inventory)


def _why_no_pod(policy: NetworkQoS, ref: ObjectRef, inventory: Inventory) -> Iterator[Diagnostic]:
    namespace, selector = policy.namespace, policy.pod_selector
    is_elsewhere = next(inventory.pods(selector, namespace), None) is not None
    by_cause: dict[Code, list[str]] = defaultdict(list)
    for pod in inventory.pods_without_interfaces(namespace):
        if selector.matches(pod.labels):
            by_cause[_cause(pod, inventory)].append(pod.name)
    if is_elsewhere:
        text = "selected pods are on nodes of other zones only"
        yield Diagnostic(severity=Severity.INFO, code=Code.POD_IN_OTHER_ZONE, object=ref, text=text)
    for code, (text, hint) in _TEXTS.items():
        if code in by_cause:
            yield Diagnostic.warning(ref, code, text.format(listed(by_cause[code])), path="spec.podSelector", hint=hint)
    if is_elsewhere or by_cause:
        return
    if inventory.has_pods(namespace):
        text, hint = f"matches no pod of namespace {namespace}", "check the labels of the pods"
        yield Diagnostic.warning(ref, Code.NO_POD_MATCHES, text, path="spec.podSelector", hint=hint)
    else:
        yield Diagnostic.warning(ref, Code.NO_POD_MATCHES, f"no pod in namespace {namespace}")


def why_kept(policy: NetworkQoS, ref: ObjectRef, inventory: Inventory) -> Iterator[Diagnostic]:
    """Say which source pods have interfaces that cannot be read any more, so that those before hold."""
    names = [
        pod.name
        for pod in inventory.unreadable_pods(policy.namespace)
        if policy.pod_selector.matches(pod.labels) and inventory.topology.in_zone(pod.node)
    ]
    if names:
        text = f"the networks of selected pods cannot be read any more: {listed(names)}; those read last stay in force"
        hint = "see the diagnostics of the pods"
        yield Diagnostic.warning(ref, Code.POD_UNREADABLE, text, path="spec.podSelector", hint=hint)


def _why_no_network(policy: NetworkQoS, compiled: CompiledObject, inventory: Inventory) -> Iterator[Diagnostic]:
    path, selectors = "spec.networkSelectors", policy.network_selectors or ()
    names = [
        one.key
        for one in inventory.attachments()
        if inventory.topology.wires(one)
        and any(takes(selector, one, inventory.namespace_labels(one.namespace)) for selector in selectors)
    ]
    if any(one.type is NetworkSelectionType.DEFAULT_NETWORK for one in selectors):
        names.append(DEFAULT_NETWORK)
    if names:
        text, hint = f"no selected pod is attached to {listed(names)}", "attach pods, or select others"
        yield Diagnostic.warning(compiled.object, Code.NETWORK_NOT_ATTACHED, text, path=path, hint=hint)
    elif all(one.code not in _NETWORK_CAUSES for one in compiled.diagnostics):
        text, hint = "matches no NetworkAttachmentDefinition", "check its labels and those of its namespace"
        yield Diagnostic.warning(compiled.object, Code.NO_NETWORK_MATCHES, text, path=path, hint=hint)
