"""Which policies and pods to compile anew after a change around them, and compiling them into the desired table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovnqos.compile.classifiers import receiver_set
from ovnqos.compile.compiled import PeerAddresses, PolicyCounts
from ovnqos.compile.network_qos import compile_policy, rows_maximum, too_many_members
from ovnqos.compile.overlaps import RIVALS_MAXIMUM, Conflicts
from ovnqos.compile.pod_qos import compile_pod, describe_pod_row
from ovnqos.compile.precedence import PortClaims, has_catch_all_rule
from ovnqos.compile.rows import POD_KIND, POLICY_KIND
from ovnqos.compile.selections import PodSelection
from ovnqos.compile.source_selection import why_kept, why_no_limit, why_nothing_is_selected
from ovnqos.diagnostics import Code, Diagnostic, ObjectRef, listed
from ovnqos.errors import InvalidObject
from ovnqos.model.networks import takes
from ovnqos.model.owner import PORT_KEY, RULE_KEY
from ovnqos.model.policy import MEMBERS_MAXIMUM
from ovnqos.model.workloads import Purpose

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ovnqos.compile.compiled import CompileContext, CompiledObject
    from ovnqos.compile.desired_table import DesiredTable
    from ovnqos.compile.network_qos import CompiledPolicy
    from ovnqos.compile.precedence import LimitedReceiver
    from ovnqos.compile.selections import Exchange, Selection, SourceMembers
    from ovnqos.model.networks import NetworkAttachmentDefinition
    from ovnqos.model.policy import NetworkQoS
    from ovnqos.model.workloads import Pod


class PolicyCompiler:
    """Compiles policies, by key (`<namespace>/<name>`), into the desired table.

    Attributes:
        latest: the last valid version of each policy.
        failed: an error for each policy that could not be compiled; what it compiled to before stays.
        changed: the policies that were compiled, or whose diagnostics may have changed, since this was cleared.
        recounted: those with other counts likewise.
    """

    def __init__(self, context: CompileContext, desired: DesiredTable) -> None:
        """Start with no policy.

        Args:
            context: what is compiled against.
            desired: where compiled policies are kept.
        """
        self.latest: dict[str, NetworkQoS] = {}
        self.failed: dict[str, Diagnostic] = {}
        self.changed: set[str] = set()
        self.recounted: set[str] = set()
        self._context = context
        self._desired = desired
        self._conflicts = Conflicts()
        self._dirty: set[str] = set()
        self._unchecked: set[str] = set()  # for conflicts, as `Conflicts` names policies
        self._oversize: dict[str, NetworkQoS] = {}  # the versions whose destinations have too many addresses
        self._without_network: set[str] = set()  # source pods they have, but on no network that they take
        self._sources: dict[str, tuple[Selection[SourceMembers], ...]] = {}  # selections that have it in `policies`

    # Queries

    @property
    def is_dirty(self) -> bool:
        """Whether there is a policy to be compiled."""
        return bool(self._dirty)

    def conflicts(self, key: str) -> frozenset[str]:
        """The policies that have a row of equal priority that one packet can match as well."""
        return frozenset(one.removeprefix(_PREFIX) for one in self._conflicts.of(f"{_PREFIX}{key}"))

    def diagnostics(self, key: str) -> Iterator[Diagnostic]:
        """What is to be said of a policy's last valid version."""
        compiled = self._desired.policy(key)
        if key in self.latest:
            yield from self.latest[key].diagnostics
        if key in self.failed:
            yield self.failed[key]
        elif compiled is not None:
            yield from compiled.diagnostics
            if not compiled.attachments:
                yield from why_nothing_is_selected(compiled.policy, compiled, self._context)
            else:
                yield from why_kept(compiled.policy, compiled.object, self._context.inventory)
        if self._conflicts.is_unchecked(f"{_PREFIX}{key}"):
            text = f"over {RIVALS_MAXIMUM} objects of the namespace have this priority: conflicts are not looked for"
            hint = "use several priorities"
            yield Diagnostic.warning(_ref(key), Code.CONFLICTS_UNCHECKED, text, path="spec.priority", hint=hint)
        if conflicts := self.conflicts(key):
            text = f"conflicts with {listed(conflicts)}: equal priority and overlapping matches"
            yield Diagnostic.warning(_ref(key), Code.CONFLICT, text, path="spec.priority", hint="change one priority")

    def counts(self, key: str) -> PolicyCounts:
        """How far a policy's last valid version reaches, at the cost of a look at the combinations of networks."""
        compiled = self._desired.policy(key)
        if compiled is None:
            return PolicyCounts()
        members = self._context.sources.members(PodSelection.of_sources(compiled.policy))
        pods = members.pods_with(compiled.attachments)
        return PolicyCounts(pods=pods, rows=len(compiled.rows), switches=len(compiled.switches))

    def source_nodes(self, key: str) -> frozenset[str]:
        """The nodes of all zones with source pods of a policy, at the cost of a walk over these pods."""
        policy, inventory = self.latest.get(key), self._context.inventory
        if policy is None:
            return frozenset()
        taken: dict[str, bool] = {}

        def takes_attachment(attachment: str) -> bool:
            if attachment not in taken:
                selectors = policy.network_selectors
                is_selected = selectors is None or inventory.selects(selectors, attachment)
                taken[attachment] = is_selected and inventory.network_of(attachment) is not None
            return taken[attachment]

        return frozenset(
            record.pod.node
            for record in inventory.pods(policy.pod_selector, policy.namespace)
            if any(takes_attachment(interface.attachment) for interface in record.interfaces)
        )

    # Changes

    def put(self, key: str, new: NetworkQoS | None) -> NetworkQoS | None:
        """Set a policy's last valid version, or (None) remove it. Returns the one before."""
        old = self.latest.pop(key, None)
        if new is not None:
            self.latest[key] = new
            if old is not None and old.diagnostics != new.diagnostics:
                self.changed.add(key)
        if old != new or new is None:
            self._dirty.add(key)
            self._context.catch_all.replace(key, new)
        return old

    def mark_dirty(self, keys: Iterable[str]) -> None:
        """Have policies compiled anew."""
        self._dirty.update(keys)

    def mark_selecting(self, definition: NetworkAttachmentDefinition) -> None:
        """Have the policies compiled anew that select a NAD by a selector of networks."""
        labels = self._context.inventory.namespace_labels(definition.namespace)
        self._dirty.update(
            key
            for key, policy in self.latest.items()
            if key not in self._dirty and any(takes(one, definition, labels) for one in policy.network_selectors or ())
        )

    def mark_non_source(self, pod: Pod) -> None:
        """A pod that is no source came or went: have the policies looked at again that select it, and no source."""
        for selection in self._context.sources.without_members(pod):
            self.changed |= selection.policies

    def mark_without_network(self) -> None:
        """Networks came or went: have the policies looked at again whose source pods are on none that they take."""
        self.changed |= self._without_network

    def replace_sources(self, exchange: Exchange[SourceMembers]) -> None:
        """A source pod was exchanged in a selection: mark what depends on it, and exchange the pod's own rows."""
        policies = exchange.selection.policies
        if any(exchange.attachments.values()):  # came or went altogether
            self._dirty |= policies
            return
        if exchange.attachments or exchange.old is None or exchange.new is None:
            self.recounted |= policies
        for key in policies - self._dirty:
            compiled = self._desired.policy(key)
            if compiled is None or key in self.failed or (exchange.attachments and _has_shared_rows(compiled)):
                self._dirty.add(key)
            elif compiled.port_rows:
                try:
                    self._replace_ports(key, compiled, exchange)
                except Exception:
                    self._dirty.add(key)

    def _replace_ports(self, key: str, compiled: CompiledPolicy, exchange: Exchange[SourceMembers]) -> None:
        interfaces = [one for record in (exchange.old, exchange.new) if record is not None for one in record.interfaces]
        if any(
            one.has_row_for_receivers(interface, self._context)
            for interface in interfaces
            for one in compiled.port_rows
        ):
            self._dirty.add(key)  # whether the policy uses the set of the receivers depends on all of its ports
            return
        for interface in interfaces:
            for one in compiled.port_rows:
                if (identity := one.identity(interface.port)) in compiled.rows:
                    self._desired.replace_row(compiled, identity, None)
        if len(compiled.rows) + len(interfaces) * len(compiled.port_rows) > rows_maximum(compiled):
            self._dirty.add(key)  # the bound is compiling's to hold
            return
        if exchange.attachments:
            compiled.find_switches(exchange.selection.members, self._context.inventory)
        ports = exchange.selection.members.ports
        for interface in interfaces:
            location = ports.get(interface.attachment, {}).get(interface.port)
            if location is None:
                continue  # of the old pod; else of the new one, or of another that carries the same virtual machine
            for row in compiled.rows_of_port(interface.port, interface.attachment, location, self._context):
                self._desired.replace_row(compiled, row.identity, row)
                self._context.receivers.add_switches(key, row.switches)

    # Compiling

    def compile(self, go_on: Callable[[], bool] = lambda: True) -> None:
        """Compile what is dirty, one policy after another as long as `go_on` says so."""
        for key in sorted(self._dirty):
            if not go_on():
                return
            self._dirty.discard(key)
            self.changed.add(key)
            self._compile(key)
        if not self._dirty:
            self._dirty = set()  # one that was large is slow to walk even when it is empty: 90 µs after 5,000

    def check_conflicts(self) -> None:
        """Look for conflicts of what was compiled, or has other members, since the last time."""
        objects, self._unchecked = self._unchecked | self._desired.take_users_of_changed_sets(), set()
        if objects:
            changed = self._conflicts.check(objects, self._desired.members)
            self.changed.update(one.removeprefix(_PREFIX) for one in changed)

    def check_members(self) -> None:
        """Have policies compiled anew whose destinations may have come to too many addresses, or to fewer again.

        That is not for each event of a pod to find out: where many selectors take a pod it would cost all of them. Of
        those that have too many one is compiled at a time, the one that waits longest, since each may take 0.1 s.
        """
        if (first := next(iter(self._oversize), None)) is not None:
            del self._oversize[first]
            self._dirty.add(first)
        for key in self.latest:
            compiled = self._desired.policy(key)
            if compiled is not None and self._is_oversize(compiled):
                self._dirty.add(key)

    def _is_oversize(self, compiled: CompiledPolicy) -> bool:
        sets = [one.members for one in compiled.sets.values() if isinstance(one.members, PeerAddresses)]
        if len(sets) * self._context.inventory.addresses <= MEMBERS_MAXIMUM:
            return False
        count = 0
        for one in sets:
            count += one.count(self._context)
            if count > MEMBERS_MAXIMUM:
                return True
        return False

    def _check_members(self, compiled: CompiledPolicy) -> None:
        """Raise InvalidObject where the sets of a policy would have more addresses than they may have.

        What is in force of it stays as it is, without the pods that come, if that has too many by now.
        """
        if not self._is_oversize(compiled):
            return
        key, name = compiled.policy.key, f"{_PREFIX}{compiled.policy.key}"
        self._oversize[key] = compiled.policy
        before = self._desired.policy(key)
        if before is not None and self._is_oversize(before):
            self._desired.replace(name, None)
            self._unchecked |= self._conflicts.replace(name, ())
            self._context.receivers.replace_policy(key, set())
        for one in compiled.sets.values():
            if isinstance(one.members, PeerAddresses):
                self._context.peers.release(self._context.peers.get(one.members.selection))
        raise InvalidObject(compiled.object, [too_many_members(compiled.object)])

    def _compile(self, key: str) -> None:
        policy = self.latest.get(key)
        if policy is not None and self._oversize.get(key) is policy:
            return
        self._oversize.pop(key, None)
        sources = self._sources.pop(key, ())
        self.failed.pop(key, None)
        compiled = None
        if policy is not None:
            now = self._context.sources.get(PodSelection.of_sources(policy))
            now.policies.add(key)
            self._sources[key] = (now,)
            try:
                compiled = compile_policy(policy, self._context)
                self._check_members(compiled)
            except Exception as error:
                text = f"cannot be compiled: {type(error).__name__}: {error}; its present rows stay"
                failed = Diagnostic.error(_ref(key), Code.COMPILE_FAILED, text)
                self.failed[key] = error.diagnostics[0] if isinstance(error, InvalidObject) else failed
                self._sources[key] = (now, *(one for one in sources if one is not now))
                return
        name = f"{_PREFIX}{key}"
        self._desired.replace(name, compiled)
        for selection in sources:
            if selection not in self._sources.get(key, ()):
                selection.policies.discard(key)
                self._context.sources.release(selection)
        if compiled is not None and not compiled.attachments and self._sources[key][0].members.locations:
            self._without_network.add(key)
        else:
            self._without_network.discard(key)
        self._unchecked |= self._conflicts.replace(name, compiled.claims if compiled is not None else ())
        self._context.receivers.replace_policy(key, compiled.switches_of_receivers if compiled is not None else set())
        self._unchecked.add(name)


_PREFIX = f"{POLICY_KIND}/"


def _has_shared_rows(compiled: CompiledPolicy) -> bool:
    """Whether a policy has rows for several ports; of others another location changes no other port's rows."""
    return any(one.is_port_group and one.is_written for one in compiled.sets.values())


def _ref(key: str) -> ObjectRef:
    namespace, _, name = key.partition("/")
    return ObjectRef(kind=POLICY_KIND, namespace=namespace, name=name)


class PodCompiler:
    """Compiles the pods of this zone that have limits, a mark, or something wrong with them, into the desired table.

    Attributes:
        failed: an error for each pod that could not be compiled; what it compiled to before stays.
        changed: the pods that were compiled, or whose diagnostics may have changed, since this was cleared.
        unreadable: identities of rows whose annotation cannot be read, and no valid version of it is known.
        unwired: the keys of pods of this zone whose interfaces cannot be read, likewise.
    """

    def __init__(self, context: CompileContext, desired: DesiredTable) -> None:
        """Start with no pod.

        Args:
            context: what is compiled against.
            desired: where compiled pods are kept.
        """
        self.failed: dict[str, Diagnostic] = {}
        self.changed: set[str] = set()
        self.unreadable: set[str] = set()
        self.unwired: set[str] = set()
        self._context = context
        self._desired = desired
        self._compiled: dict[str, LimitedReceiver | None] = {}  # by key, with the interface that has an ingress limit
        self._dirty: set[str] = set()
        self._claims = PortClaims()

    @property
    def is_dirty(self) -> bool:
        """Whether there is a pod to be compiled."""
        return bool(self._dirty)

    def diagnostics(self, key: str) -> Iterator[Diagnostic]:
        """What is to be said of a pod (`<namespace>/<name>`)."""
        compiled = self._desired.get(f"{POD_KIND}/{key}")
        if key in self.failed:
            yield self.failed[key]
        elif compiled is not None:
            yield from compiled.diagnostics
        else:
            yield from why_no_limit(key, self._context.inventory)

    def effect(self, key: str) -> str:
        """What a pod's rows do, in one line; empty without rows."""
        compiled = self._desired.get(f"{POD_KIND}/{key}")
        return "; ".join(map(describe_pod_row, compiled.rows.values())) if compiled is not None else ""

    def mark_pod(self, key: str) -> None:
        """Have a pod compiled anew, that was added, changed or removed."""
        self._dirty.add(key)

    def check_wiring(self, key: str) -> None:
        """Look whether a pod that was added, changed or removed belongs into `unwired`."""
        inventory = self._context.inventory
        self.unwired.discard(key)
        if key in inventory.problems:
            pod = inventory.pod_without_interfaces(*key.split("/"))
            if pod is not None and inventory.topology.in_zone(pod.node):
                self.unwired.add(key)

    def mark_namespace(self, name: str) -> None:
        """Have the pods of a namespace compiled anew, whose defaults changed."""
        self._dirty.update(record.pod.key for record in self._context.inventory.pods_in(name))

    def mark_selected(self, policy: NetworkQoS) -> None:
        """Have the pods compiled anew whose limits may join a rule of this policy, or leave it."""
        inventory = self._context.inventory
        if inventory.may_limit(policy.namespace) and has_catch_all_rule(policy):
            selected = inventory.pods(policy.pod_selector, policy.namespace)
            self._dirty.update(record.pod.key for record in selected if inventory.is_limited(record))

    def mark_attachment(self, attachment: str) -> None:
        """Have the pods of an attachment compiled anew: the network behind it is another."""
        record = self._context.inventory.record
        for key in (self._compiled.keys() | self.failed.keys()) - self._dirty:
            found = record(*key.split("/"))
            if found is not None and any(one.attachment == attachment for one in found.interfaces):
                self._dirty.add(key)

    def compile(self) -> set[str]:
        """Compile what is dirty. Returns the policies that have more rows now, or fewer."""
        changed: set[str] = set()
        while self._dirty:  # a pod may have others compiled anew that claim the same port
            keys, self._dirty = self._dirty, set()
            for key in keys:
                changed |= self._compile(key)
        return changed

    def _compile(self, key: str) -> set[str]:
        inventory, name = self._context.inventory, f"{POD_KIND}/{key}"
        record = inventory.record(*key.split("/"))
        old, new = self._desired.get(name), None
        had_failed = self.failed.pop(key, None) is not None
        if self.unreadable:
            self.unreadable.difference_update(f"{name}/{one}" for one in Purpose)
        if record is not None and inventory.is_limited(record) and inventory.topology.in_zone(record.pod.node):
            try:
                new = compile_pod(record, self._context)
            except Exception as error:
                ref = ObjectRef(kind=POD_KIND, namespace=record.pod.namespace, name=record.pod.name)
                text = f"cannot be compiled: {type(error).__name__}: {error}; its present rows stay"
                self.failed[key] = Diagnostic.error(ref, Code.COMPILE_FAILED, text)
                self.changed.add(key)
                return set()
            self.unreadable.update(f"{name}/{one}" for one in new.unreadable)
        self._dirty |= self._claims.replace(key, new.rows.values() if new is not None else ())
        if old is None and new is None:
            if had_failed:
                self.changed.add(key)
            return set()
        if new is not None:
            self._drop_claimed(key, new)
        self.changed.add(key)
        self._desired.replace(name, new)
        before, after = self._compiled.pop(key, None), new.receiver if new is not None else None
        if new is not None:
            self._compiled[key] = after
        return self._replace_receiver(before, after) if before != after else set()

    def _drop_claimed(self, key: str, compiled: CompiledObject) -> None:
        """Take the rows away for which the port has another pod's."""
        for identity, row in list(compiled.rows.items()):
            holder = self._claims.holder(row)
            if holder == key:
                continue
            del compiled.rows[identity]
            purpose, port = row.external_ids[RULE_KEY], row.external_ids[PORT_KEY]
            text = (
                f"port {port} is also that of Pod {holder}, whose {purpose} row applies: the stricter limit of the two"
            )
            compiled.warn(
                Code.PORT_CLAIMED, text, path=purpose, hint="give both pods the same annotations, or remove one"
            )

    def _replace_receiver(self, old: LimitedReceiver | None, new: LimitedReceiver | None) -> set[str]:
        changed = self._context.receivers.replace(old, new)
        for one in filter(None, (old, new)):
            for kind, address in one.addresses:
                self._desired.change_set(receiver_set(one.network, kind, self._context.owner).name, [address])
        return changed
