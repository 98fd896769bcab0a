"""The policies, compiled and kept up to date: what changed around one costs that one, compiled anew."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, TypeVar

from ovnqos.compile.conflicts import ConflictIndex, policy_of
from ovnqos.compile.live_stages import LiveStages
from ovnqos.compile.native import compile_policy
from ovnqos.compile.network_selection import takes
from ovnqos.compile.selections import PodSelection
from ovnqos.errors import Unsupported

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ovnqos.compile.compiled import CompileContext, CompiledPolicy
    from ovnqos.compile.inventory import PodRecord
    from ovnqos.compile.live_pods import LivePods
    from ovnqos.compile.live_selections import BothSelections
    from ovnqos.compile.port_limits import Place
    from ovnqos.compile.rows import QosRow
    from ovnqos.compile.sets_in_use import SetsInUse
    from ovnqos.errors import InvalidObject
    from ovnqos.model.networks import NetworkAttachmentDefinition, NetworkSelector
    from ovnqos.model.policy import NetworkQoS

_K = TypeVar("_K")


class LivePolicies:
    """The policies by key (`<namespace>/<name>`), what each compiled to, and which are to be compiled anew.

    Attributes:
        invalid: those whose present version is not valid or not supported.
        row_count: how many rows are wanted.
    """

    def __init__(self, context: CompileContext, selections: BothSelections, sets: SetsInUse, pods: LivePods) -> None:
        """No policy is known.

        Args:
            context: what is compiled against.
            selections: those of it, kept up to date.
            sets: where the sets that rows use are entered.
            pods: those whose own limits may join a policy's rule.
        """
        self.invalid: dict[str, InvalidObject] = {}
        self.row_count = 0
        self._context = context
        self._selections = selections
        self._sets = sets
        self._pods = pods
        self._policies: dict[str, NetworkQoS] = {}
        self._compiled: dict[str, CompiledPolicy] = {}
        self._of_sources: dict[PodSelection, set[str]] = defaultdict(set)
        self._per_port: dict[PodSelection, set[str]] = defaultdict(set)  # of those, the ones with a row a source port
        self._by_selector: dict[NetworkSelector, set[str]] = defaultdict(set)
        self._stages = LiveStages()
        self._conflicts = ConflictIndex()
        self._dirty: set[str] = set()
        self._dirty_rows: set[str] = set()
        self._untold: set[str] = set()  # compiled, but `take_compiled` has not told of it

    # What is asked

    @property
    def latest(self) -> Mapping[str, NetworkQoS]:
        """By key, the last valid version of each policy."""
        return self._policies

    @property
    def is_dirty(self) -> bool:
        """Whether there is a policy to be compiled or told of, or a row to be compared."""
        return bool(self._dirty or self._dirty_rows or self._untold)

    def compiled(self, key: str) -> CompiledPolicy | None:
        """What a policy compiled to; None when it did not compile."""
        return self._compiled.get(key)

    def conflicts(self, key: str) -> frozenset[str]:
        """The policies that have a row of equal priority that one packet can match as well."""
        return self._conflicts.rivals(key)

    def row(self, identity: str) -> QosRow | None:
        """The row of an identity, if one is wanted."""
        compiled = self._compiled.get(policy_of(identity))
        return compiled.rows.get(identity) if compiled is not None else None

    def rows(self) -> dict[str, QosRow]:
        """All rows that are wanted, by identity."""
        return {identity: row for compiled in self._compiled.values() for identity, row in compiled.rows.items()}

    def retained(self) -> frozenset[str]:
        """The objects whose present rows stay as they are, since no version of theirs ever compiled."""
        return frozenset(f"NetworkQoS/{key}" for key in self.invalid if key not in self._compiled)

    # What happens

    def put(self, key: str, policy: NetworkQoS | None) -> None:
        """Take in a policy's version, or (None) forget it."""
        self.invalid.pop(key, None)
        if policy is None or self._policies.get(key) != policy:
            self._dirty.add(key)
            self._exchange(key, policy)

    def _exchange(self, key: str, new: NetworkQoS | None) -> None:
        old = self._policies.pop(key, None)
        if new is not None:
            self._policies[key] = new
        self._context.whole_traffic.replace(key, new)
        for policy in (old, new):
            if policy is not None:
                self._pods.touch_joining(policy)

    def touch_rows(self, identities: Iterable[str]) -> None:
        """Have rows compared with the database again, whosever they are."""
        self._dirty_rows.update(identities)

    def touch_places(self, places: Iterable[Place]) -> None:
        """Limits of pods changed: rows of policies there may be in another direction now."""
        self._dirty.update(self._stages.policies_at(places))

    def touch_sources(self, selection: PodSelection) -> None:
        """Something about the networks of these source pods changed."""
        self._dirty |= self._of_sources.get(selection, set())

    def touch_selecting(self, definition: NetworkAttachmentDefinition) -> None:
        """A NAD came, changed or went that only a selector of networks leads to."""
        labels = self._context.inventory.namespace_labels(definition.namespace)
        for selector, policies in self._by_selector.items():
            if takes(selector, definition, labels):
                self._dirty |= policies

    def reshape(self, selection: PodSelection, reshaped: Mapping[str, bool]) -> None:
        """Attachments of source pods got or lost locations; True where an attachment came or went altogether."""
        followers = self._of_sources.get(selection, set())
        if any(reshaped.values()):
            self._dirty |= followers
        elif reshaped:
            self._dirty |= followers - self._without_shared_rows(selection)

    def _without_shared_rows(self, selection: PodSelection) -> set[str]:
        """The policies of which each source port has its own rows: another location changes none of the others'."""
        return {key for key in self._per_port.get(selection, ()) if not self._compiled[key].port_groups}

    def replace_ports(self, selection: PodSelection, old: PodRecord | None, new: PodRecord | None) -> None:
        """Exchange a pod's own rows in the policies of a selection that give each source port its own."""
        if old is not None and new is not None and old.interfaces == new.interfaces:
            return
        changed = [one for record in (old, new) if record is not None for one in record.interfaces]
        for key in self._per_port.get(selection, ()):
            if key in self._dirty:
                continue  # all of its rows will be made anew
            compiled = self._compiled[key]
            ports = self._selections.sources(selection).ports
            before = len(compiled.rows)
            for interface in changed:
                self._dirty_rows.update(compiled.remove_port(interface.port))
            for interface in changed:
                location = ports.get(interface.attachment, {}).get(interface.port)
                if location is not None:  # of the new pod, or of another that carries the same virtual machine
                    added = compiled.add_port(interface.port, interface.attachment, location, self._context)
                    self._dirty_rows.update(added)
                    self._stages.add(key, (switch for one in added for switch in compiled.rows[one].switches))
            self.row_count += len(compiled.rows) - before

    # How they are compiled

    def compile(self, go_on: Callable[[], bool] = lambda: True) -> None:
        """Compile what is dirty, one policy after another as long as `go_on` says so."""
        for key in sorted(self._dirty):
            if not go_on():
                return
            self._dirty.discard(key)
            self._untold.add(key)
            self._compile(key)

    def take_compiled(self) -> frozenset[str]:
        """The keys of the policies that were compiled since this was asked."""
        policies, self._untold = frozenset(self._untold), set()
        return policies

    def take_rows(self) -> set[str]:
        """The identities of the rows that may have changed since this was asked."""
        rows, self._dirty_rows = self._dirty_rows, set()
        return rows

    def check_conflicts(self, policies: frozenset[str]) -> frozenset[str]:
        """Look for rivals of these. Returns the policies whose rivals changed."""
        changed: set[str] = set()
        for key in sorted(filter(self._conflicts.is_contested, policies)):
            known = self._compiled.get(key)
            changed |= self._conflicts.check(key, known.claims if known is not None else (), self._sets.members)
        return frozenset(changed)

    def _compile(self, key: str) -> None:
        policy = self._policies.get(key)
        if policy is None:
            self._replace(key, None)
            return
        try:
            compiled = compile_policy(policy, self._context)
        except Unsupported as fault:
            self.invalid[key] = fault
            known = self._compiled.get(key)
            self._exchange(key, known.policy if known is not None else None)  # its last supported version lives on
            return
        self._replace(key, compiled)

    def _replace(self, key: str, new: CompiledPolicy | None) -> None:
        old = self._compiled.pop(key, None)
        if new is not None:
            self._compiled[key] = new
            self._of_sources[PodSelection.of_sources(new.policy)].add(key)
            if new.port_rows:
                self._per_port[PodSelection.of_sources(new.policy)].add(key)
            for selector in new.policy.network_selectors or ():
                self._by_selector[selector].add(key)
        unfollowed = self._sets.replace(key, old, new)
        old_rows = old.rows if old else {}
        new_rows = new.rows if new else {}
        self.row_count += len(new_rows) - len(old_rows)
        self._conflicts.replace(key, old.claims if old else (), new.claims if new else ())
        self._stages.replace(key, new)
        self._dirty_rows.update(
            identity
            for identity in old_rows.keys() | new_rows.keys()
            if old_rows.get(identity) != new_rows.get(identity)
        )
        if old is not None:
            self._unfile(key, old, new)
        for are_sources, selection in unfollowed:
            self._forget_unused(are_sources, selection)

    def _unfile(self, key: str, old: CompiledPolicy, new: CompiledPolicy | None) -> None:
        """Take a policy out of the places where its former version was filed and its new one is not."""
        kept = (new.policy.network_selectors or ()) if new is not None else ()
        for selector in old.policy.network_selectors or ():
            if selector not in kept:
                _discard(self._by_selector, selector, key)
        selection = PodSelection.of_sources(old.policy)
        moved = new is None or PodSelection.of_sources(new.policy) != selection
        if moved or (new is not None and not new.port_rows):
            _discard(self._per_port, selection, key)
        if moved:
            self._of_sources[selection].discard(key)
            self._forget_unused(True, selection)

    def _forget_unused(self, are_sources: bool, selection: PodSelection) -> None:
        if not are_sources:
            self._selections.of_peers.forget(selection)
        elif not self._of_sources.get(selection):
            self._of_sources.pop(selection, None)
            self._selections.of_sources.forget(selection)


def _discard(index: dict[_K, set[str]], place: _K, key: str) -> None:
    keys = index.get(place)
    if keys is not None:
        keys.discard(key)
        if not keys:
            del index[place]
