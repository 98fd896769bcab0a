"""The rows of single pods, kept up to date: a pod or namespace that changes costs its own rows."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ovnqos.compile.pod_qos import POD_KIND, compile_pod
from ovnqos.compile.whole_traffic import has_whole_rule

if TYPE_CHECKING:
    from ovnqos.compile.compiled import CompileContext, CompiledObject
    from ovnqos.compile.port_limits import Place
    from ovnqos.compile.rows import QosRow
    from ovnqos.compile.sets_in_use import SetsInUse
    from ovnqos.model.policy import NetworkQoS


@dataclass(slots=True)
class PodChanges:
    """What came of compiling pods anew.

    Attributes:
        pods: the keys of those that have or had anything to say.
        rows: the identities of rows that may have changed.
        flipped: where rows of policies may be in another direction now.
    """

    pods: set[str] = field(default_factory=set)
    rows: set[str] = field(default_factory=set)
    flipped: set[Place] = field(default_factory=set)


class LivePods:
    """The pods of this zone that have limits, a mark, or something wrong said of them."""

    def __init__(self, context: CompileContext, sets: SetsInUse) -> None:
        """No pod is known.

        Args:
            context: what is compiled against.
            sets: where the sets that pods' rows use are entered.
        """
        self._context = context
        self._sets = sets
        self._compiled: dict[str, CompiledObject] = {}  # by key
        self._of_attachment: dict[str, set[str]] = defaultdict(set)
        self._attachments: dict[str, frozenset[str]] = {}  # of the compiled ones
        self._dirty: set[str] = set()
        self._row_count = 0

    def touch_pod(self, key: str) -> None:
        """A pod came, changed or went."""
        self._dirty.add(key)

    def touch_namespace(self, name: str) -> None:
        """A namespace's defaults changed: its pods are compiled anew."""
        self._dirty.update(record.pod.key for record in self._context.inventory.pods_in(name))

    def touch_joining(self, policy: NetworkQoS) -> None:
        """A version of a policy came or went: limits of pods may join one of its rules, or leave it."""
        inventory = self._context.inventory
        if inventory.may_limit(policy.namespace) and has_whole_rule(policy):
            selected = inventory.pods(policy.pod_selector, policy.namespace)
            self._dirty.update(record.pod.key for record in selected if inventory.is_limited(record))

    def touch_attachment(self, attachment: str) -> None:
        """The network behind an attachment is another: its pods are compiled anew."""
        self._dirty.update(self._of_attachment.get(attachment, ()))

    @property
    def is_dirty(self) -> bool:
        """Whether there is a pod to be compiled."""
        return bool(self._dirty)

    @property
    def row_count(self) -> int:
        """How many rows are wanted."""
        return self._row_count

    def compile(self, changes: PodChanges) -> None:
        """Compile what is dirty, and add what came of it."""
        keys, self._dirty = frozenset(self._dirty), set()
        for key in keys:
            self._replace(key, changes)

    def row(self, identity: str) -> QosRow | None:
        """The row of an identity, if one is wanted."""
        key, _, _purpose = identity.removeprefix(f"{POD_KIND}/").rpartition("/")
        compiled = self._compiled.get(key)
        return compiled.rows.get(identity) if compiled is not None else None

    def rows(self) -> dict[str, QosRow]:
        """All rows that are wanted, by identity."""
        return {identity: row for compiled in self._compiled.values() for identity, row in compiled.rows.items()}

    def notes(self, key: str) -> tuple[str, ...]:
        """What is to be said of a pod."""
        compiled = self._compiled.get(key)
        return tuple(compiled.notes) if compiled is not None else ()

    def _replace(self, key: str, changes: PodChanges) -> None:
        """Compile a pod anew; adds what changed."""
        inventory = self._context.inventory
        namespace, _, name = key.partition("/")
        record = inventory.record(namespace, name)
        new = None
        if record is not None and inventory.is_limited(record) and inventory.topology.in_zone(record.pod.node):
            new = compile_pod(record, self._context)
        old = self._compiled.pop(key, None)
        if old is None and new is None:
            return
        if new is not None:
            self._compiled[key] = new
        attachments = frozenset(one.attachment for one in record.interfaces) if record and new else frozenset()
        self._file(key, attachments)
        self._sets.replace(f"{POD_KIND}/{key}", old, new)
        old_rows, new_rows = old.rows if old else {}, new.rows if new else {}
        self._row_count += len(new_rows) - len(old_rows)
        changes.pods.add(key)
        changes.rows.update(one for one in old_rows.keys() | new_rows.keys() if old_rows.get(one) != new_rows.get(one))
        changes.flipped |= self._context.port_limits.replace(old_rows.values(), new_rows.values())

    def _file(self, key: str, attachments: frozenset[str]) -> None:
        for attachment in self._attachments.pop(key, frozenset()) - attachments:
            self._of_attachment[attachment].discard(key)
            if not self._of_attachment[attachment]:
                del self._of_attachment[attachment]
        if attachments:
            self._attachments[key] = attachments
            for attachment in attachments:
                self._of_attachment[attachment].add(key)
