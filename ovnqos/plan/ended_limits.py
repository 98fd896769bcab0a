"""Which limits and marks of pods a plan ends: how many may, and which stay since the input lacks their pods.

One is counted for each pod that a row holds for: a row with a port group of 100 pods is 100. A pod whose logical switch
port is gone loses nothing. Evidence is the Northbound: a port that exists has a pod. Where that pod is not in the
input, nothing of it ends.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ovnqos.compile.precedence import RECEIVERS
from ovnqos.compile.rows import object_of
from ovnqos.diagnostics import Code, Diagnostic, ObjectRef, listed
from ovnqos.errors import InvalidRow
from ovnqos.model.owner import JOINED_KEY, NEIGHBOUR_DISCOVERY, NETWORK_KEY, OBJECT_KEY, PORT_KEY, RULE_KEY
from ovnqos.model.workloads import Purpose
from ovnqos.plan.changes import RowDelete, RowInsert, RowUpdate, SetUpdate
from ovnqos.plan.snapshot import SetKind, references_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ovnqos.compile.rows import InputScope
    from ovnqos.plan.changes import Change
    from ovnqos.plan.snapshot import ActualRow, RowContent, Snapshot


_COUNT = re.compile(r"[0-9]{1,9}\Z")
_SHARE = re.compile(r"(?:0?\.[0-9]{1,6}|1\.0{1,6}|0\.[0-9]{1,6})\Z")
_ROUNDING = 1e-6  # 0.29 * 100 is 28.999999999999996
_PERCENT = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,3})?)%\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedLimitsMaximum:
    """At most `count` limits of pods, or at most a `share` (0.0 to 1.0) of them, may end. Exactly one is set.

    With a share, `at_least` may end in any case.
    """

    count: int | None = None
    share: float | None = None
    at_least: int = 0

    @classmethod
    def parse(cls, text: str) -> EndedLimitsMaximum:
        """Read `10` (limits), `30%` or `0.3` (share). Raises InvalidRow for anything else."""
        if _COUNT.match(text):
            return cls(count=int(text))
        percent = _PERCENT.match(text)
        share = float(percent[1]) / 100 if percent else float(text) if _SHARE.match(text) else None
        if share is None or share > 1:
            raise InvalidRow(f"delete limit {text!r}: use a number of limits such as 10, or a share such as 30% or 0.3")
        return cls(share=share)

    @classmethod
    def of(cls, limit: int | float | EndedLimitsMaximum) -> EndedLimitsMaximum:
        """A count from an int, a share from a float. Raises InvalidRow for a negative one, or a share above 1."""
        if isinstance(limit, EndedLimitsMaximum):
            return limit
        if not limit >= 0 or (isinstance(limit, float) and limit > 1):  # not a number is not >= 0 either
            raise InvalidRow(f"delete limit {limit}: use a count of 0 or more, or a share from 0.0 to 1.0")
        return cls(count=limit) if isinstance(limit, int) else cls(share=limit)

    def allows(self, ended: int, total: int) -> bool:
        """Whether `ended` of `total` limits may end."""
        if self.count is not None:
            return ended <= self.count
        return ended <= max(self.at_least, (self.share or 0.0) * total + _ROUNDING)

    def __str__(self) -> str:
        return str(self.count) if self.count is not None else f"{(self.share or 0.0) * 100:g} %"


def count_limits(snapshot: Snapshot) -> int:
    """How many limits and marks of pods the owner's actual rows hold."""
    sets = _members(snapshot)
    held: dict[_Rule, set[str]] = defaultdict(set)
    for row in snapshot.rows:
        held[_rule(row.content, snapshot)] |= _holders(row.content, sets, snapshot)
    return sum(map(len, held.values()))


def ended_limits(changes: Iterable[Change], snapshot: Snapshot) -> Mapping[str, int]:
    """How many limits and marks of pods end, by object (`<kind>/<namespace>/<name>`).

    A destination that leaves an address set counts as its share of the limits that the set's rows hold, rounded up.
    """
    before, after = _members(snapshot), _members(snapshot)
    rows = {row.uuid: row.content for row in snapshot.rows}
    shrinking: dict[str, float] = {}
    for number, change in enumerate(changes):
        if isinstance(change, RowDelete):
            rows.pop(change.uuid, None)
        elif isinstance(change, RowUpdate):
            rows[change.uuid] = change.after
        elif isinstance(change, RowInsert):
            rows[f"new {number}"] = change.content
        else:
            after[change.content.kind, change.content.name] = change.content.members
            identity = snapshot.owner.identity(change.content.external_ids)
            if identity.startswith(RECEIVERS):
                continue  # what goes to other receivers another row of the rule takes
            if isinstance(change, SetUpdate) and change.content.kind is SetKind.ADDRESS_SET:
                shrinking[change.content.name] = _share(change, before, snapshot)
    held: dict[_Rule, set[str]] = defaultdict(set)
    lost: dict[_Rule, float] = defaultdict(float)
    for content in rows.values():
        rule = _rule(content, snapshot)
        held[rule] |= _holders(content, after, snapshot)
        lost[rule] = max([lost[rule], *(shrinking.get(name, 0) for name in references_in(content.match))])
    ended: Counter[str] = Counter()
    held_before: dict[_Rule, set[str]] = defaultdict(set)
    for row in snapshot.rows:
        held_before[_rule(row.content, snapshot)] |= _holders(row.content, before, snapshot)
    for rule, holders in held_before.items():
        staying = len(holders & held[rule])
        ended[rule[0]] += len(holders) - staying + math.ceil(staying * lost[rule])
    return {name: number for name, number in sorted(ended.items()) if number}


_Rule = tuple[str, str]  # object and rule
_Members = dict[tuple[SetKind, str], frozenset[str]]


def _members(snapshot: Snapshot) -> _Members:
    return {key: one.content.members for key, one in snapshot.sets.items()}


def _rule(content: RowContent, snapshot: Snapshot) -> _Rule:
    external_ids = content.external_ids
    return snapshot.owner.object_of(external_ids), external_ids.get(RULE_KEY) or snapshot.owner.identity(external_ids)


def _holders(content: RowContent, sets: _Members, snapshot: Snapshot) -> frozenset[str]:
    """The source ports of a row that exist; of a row that names none, the row itself; none where it limits nothing."""
    if content.external_ids.get(RULE_KEY) == NEIGHBOUR_DISCOVERY:
        return frozenset()
    port = content.external_ids.get(PORT_KEY)
    if port is not None:
        return frozenset([port]) & snapshot.ports.keys()
    references = references_in(content.match)
    groups = [sets[SetKind.PORT_GROUP, name] for name in references if (SetKind.PORT_GROUP, name) in sets]
    if not groups:
        return frozenset([snapshot.owner.identity(content.external_ids)])
    return frozenset().union(*groups) & snapshot.ports.keys()


def _share(change: SetUpdate, before: _Members, snapshot: Snapshot) -> float:
    """The share of an address set's members that leave it, of those whose port exists as far as that is known."""
    known = snapshot.addresses
    members = [
        one for one in before.get((change.content.kind, change.content.name), ()) if known is None or one in known
    ]
    leaving = [one for one in change.remove if known is None or one in known]
    return len(leaving) / len(members) if members else 0.0


_IN_NAMESPACES = " in namespaces "
"""Part of the identity of a set whose pods are selected by a namespaceSelector: see `PodSelection`."""
_ALL = "add all objects of the cluster, or use --allow-incomplete to leave what is missing as it is"


class ScopeComparison:
    """Holds the actual rows and members of one snapshot against the scope of the input.

    Attributes:
        kept: objects (`<kind>/<namespace>/<name>`) that are not in the input and whose rows stay.
    """

    def __init__(self, scope: InputScope, snapshot: Snapshot, *, prune: bool = False) -> None:
        """Of this input and this database; `prune`: policies that are not in the input are gone."""
        self.kept: set[str] = set()
        self._scope = scope
        self._snapshot = snapshot
        self._prune = prune
        self._ports: set[str] = set()  # that exist, and whose pod is missing
        self._nodes: set[str] = set()  # of which the input does not say that they are of the zone, and ports exist
        self._definitions: set[str] = set()  # NetworkAttachmentDefinitions that are missing
        self._unlabelled = False
        self._pruned: set[str] = set()
        self._stale: set[str] = set()  # objects that stay since nothing is known of addresses in their sets
        self._marked: set[str] = set()  # pods whose DSCP row cannot be compiled
        self._objects: set[str] = set()  # whose rows or members stay because of that
        # Whether it has the ports of all pods, so that an address without a port belongs to no pod any more; where each
        # node has a Northbound of its own it has not.
        self._is_central = scope.all_nodes and scope.ports <= snapshot.ports.keys()

    def keeps_row(self, row: ActualRow) -> bool:
        """Whether an actual row stays although it is not desired."""
        external_ids = row.content.external_ids
        of_object = self._snapshot.owner.object_of(external_ids)
        if not of_object:
            return False
        if not self._scope.may_change(of_object, object_of(external_ids.get(JOINED_KEY, ""))):
            return True
        if of_object not in self._scope.objects:
            if not self._prunes(of_object):
                self.kept.add(of_object)
                return True
            if not of_object.startswith("Pod/"):
                self._pruned.add(of_object)
                return False
        sources = self._sources(row)
        unknown = [one for one in sources if not self._is_known_port(one)]
        if unknown:
            self._note_ports(unknown)
            self._objects.add(of_object)
            return True
        if external_ids.get(RULE_KEY) == Purpose.DSCP and not self._scope.cluster_cidrs:
            self._marked.add(of_object)
            return True
        if sources and any(
            self.missing_members(kind, name) for name in references_in(row.content.match) for kind in SetKind
        ):
            self._stale.add(of_object)
            return True
        if sources and of_object.startswith("Pod/") and of_object.split("/")[1] in self._scope.missing_namespaces:
            self._unlabelled = True  # its limit may be the namespace's
            return True
        return False

    def keeps_row_as_it_is(self, row: ActualRow, *, match: str, unbinds: bool) -> bool:
        """Whether a desired change of an actual row would end what a missing pod has by it.

        Args:
            row: the row.
            match: what it would match.
            unbinds: whether it would leave a switch.
        """
        joined = row.content.external_ids.get(JOINED_KEY)
        policy = object_of(joined or "")
        if joined is not None and policy not in self._scope.objects and not self._prunes(policy):
            self.kept.add(policy)
            return True
        used = references_in(row.content.match)
        dropped = used - references_in(match)
        if unbinds:  # it is on switches with limited receivers
            dropped |= {name for name in used if self._set_identity(name).startswith(RECEIVERS)}
        is_of_port = PORT_KEY in row.content.external_ids
        unknown = (
            {one for one in self._sources(row) if not self._is_known_port(one)} if unbinds or is_of_port else set()
        )
        members = {name: self.missing_members(kind, name) for name in dropped for kind in SetKind}
        if not unknown and not any(members.values()):
            return False
        self._note_ports(unknown)
        if not unknown:
            self._stale.add(self._snapshot.owner.object_of(row.content.external_ids))
        self._objects.add(self._snapshot.owner.object_of(row.content.external_ids))
        return True

    def _set_identity(self, name: str) -> str:
        actual = self._snapshot.sets.get((SetKind.ADDRESS_SET, name))
        return self._snapshot.owner.identity(actual.content.external_ids) if actual is not None else ""

    def missing_members(self, kind: SetKind, name: str, *, desired: frozenset[str] = frozenset()) -> frozenset[str]:
        """The actual members of a set that are not desired, and that stay: the input does not have their pods."""
        actual = self._snapshot.sets.get((kind, name))
        if actual is None:
            return frozenset()
        extra = actual.content.members - desired
        if kind is SetKind.PORT_GROUP:
            found = frozenset(one for one in extra if not self._is_known_port(one))
            self._note_ports(found)
            return found
        if OBJECT_KEY in actual.content.external_ids:
            return frozenset()  # CIDRs that only the policy decides
        network = actual.content.external_ids.get(NETWORK_KEY, "")
        identity = self._snapshot.owner.identity(actual.content.external_ids)
        by_labels = _IN_NAMESPACES in identity and name not in self._scope.unlabelled_sets
        return frozenset(one for one in extra if not self._may_leave(network, one, by_labels=by_labels))

    def diagnostics(self) -> Iterator[Diagnostic]:
        """What is missing from the input, as errors."""
        scope = self._scope
        if self._ports:
            named = (
                scope.ports
                or scope.ports_elsewhere
                or scope.finished_ports
                or scope.undeclared_ports
                or scope.unlabelled_ports
            )
            fits = bool(named) or not scope.pods
            text = "not in the input, but their logical switch ports exist"
            if not fits:
                text = f"no pod of the input has a port by topology {scope.topology}, but logical switch ports exist"
            text += f": {listed(self._ports)}{self._limited()}"
            yield _incomplete("Pod", text, hint=_ALL if fits else "check --topology; all pods have to be in the input")
        elif scope.policies and not scope.pods and self._snapshot.ports:
            yield _incomplete("Pod", "there is no pod in the input")
        if self._nodes:
            text = f"pods of nodes that are not of the zone have ports in this Northbound: {listed(self._nodes)}"
            text += self._limited()
            yield _incomplete("Node", text, hint="name all nodes of the zone (--zone-node), and check --nb")
        if self._pruned and not scope.policies:
            is_invalid = any(one.startswith("NetworkQoS/") for one in scope.objects)
            what = "no NetworkQoS of the input is valid" if is_invalid else "there is no NetworkQoS in the input"
            text = f"{what}, and {listed(self._pruned)} would be removed"
            yield _incomplete("NetworkQoS", text, hint="use --allow-incomplete if all of them are deleted")
        if self._stale and not self._ports:
            text = f"{listed(self._stale)} cannot change: sets have addresses that no pod of the input has"
            yield _incomplete("Pod", text, hint="use --prune if these pods are gone")
        if self._marked:
            text = f"DSCP rows exist of {listed(self._marked)}, and the cluster's CIDRs are unknown"
            yield _incomplete("Pod", text, hint="set them (--cluster-cidr)")
        if scope.missing_namespaces and (self._unlabelled or scope.selects_namespaces):
            yield _incomplete(
                "Namespace",
                f"not in the input, but its labels or annotations decide: {listed(scope.missing_namespaces)}",
            )
        if self._definitions:
            yield _incomplete(
                "NetworkAttachmentDefinition",
                f"not in the input, but pods are attached by it: {listed(self._definitions)}",
            )
        if scope.ports and self._snapshot.ports and not scope.ports & self._snapshot.ports.keys():
            yield _incomplete(
                "Pod",
                f"the Northbound has no port of any pod in the input, such as {listed(scope.ports)}",
                hint="check --topology, --zone-node and --nb",
            )

    def _limited(self) -> str:
        return f"; they stay limited by {listed(self._objects)}" if self._objects else ""

    def _sources(self, row: ActualRow) -> frozenset[str]:
        """The source ports of a row that exist."""
        port = row.content.external_ids.get(PORT_KEY)
        if port is not None:
            return frozenset([port]) & self._snapshot.ports.keys()
        groups = (self._snapshot.sets.get((SetKind.PORT_GROUP, name)) for name in references_in(row.content.match))
        return frozenset().union(*(group.content.members for group in groups if group is not None))

    def _note_ports(self, ports: Iterable[str]) -> None:
        """Ports that exist and are not known: what is missing from the input is their pod, its NAD or a Namespace."""
        for port in ports:
            if port in self._scope.ports_elsewhere:
                self._nodes.add(self._scope.ports_elsewhere[port])
            elif port in self._scope.undeclared_ports:
                self._definitions.add(self._scope.undeclared_ports[port])
            elif port in self._scope.unlabelled_ports:
                self._unlabelled = True
            else:
                self._ports.add(port)

    def _prunes(self, of_object: str) -> bool:
        """Whether an object is gone since it is not in the input."""
        return self._prune and of_object.partition("/")[0] not in self._scope.unread

    def _is_known_port(self, port: str) -> bool:
        return port in self._scope.ports or port in self._scope.finished_ports

    def _may_leave(self, network: str, address: str, *, by_labels: bool) -> bool:
        """Whether an address leaves a set of a network: the input shows it, or no port has the address any more.

        `by_labels`: the set's pods are selected by labels of their namespaces.
        """
        scope, holders = self._scope, self._snapshot.addresses
        unknown = [one for one in (holders or {}).get(address, ()) if not self._is_known_port(one)]
        if unknown:
            self._note_ports(unknown)
            return False
        if by_labels and address in scope.unlabelled_addresses(network):
            self._unlabelled = True
            return False
        if address in scope.addresses(network) or self._prunes("Pod"):
            return True
        return holders is not None and (address in holders or self._is_central)


def _incomplete(kind: str, text: str, hint: str = _ALL) -> Diagnostic:
    return Diagnostic.error(ObjectRef(kind=kind), Code.INCOMPLETE_INPUT, text, hint=hint)
