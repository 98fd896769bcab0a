"""The faults: a text of one file and what takes its place, and the test files that must fail then."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutation:
    """One fault.

    Attributes:
        name: the behaviour that it breaks.
        file: from the repository's root.
        old: a text that the file holds once.
        new: what takes its place.
        found_by: the test files of which one at least must fail.
    """

    name: str
    file: str
    old: str
    new: str
    found_by: tuple[str, ...]


MUTATIONS: Final = (
    Mutation(
        name="objects that are missing from a list end their limits, however many",
        file="daemon/ovnqosd/loop/removal_guard.py",
        old="        return is_held\n",
        new="        return False\n",
        found_by=("tests/unit/daemon/loop/test_removal_guard.py",),
    ),
    Mutation(
        name="objects that go with their whole kind end their limits where these are few",
        file="daemon/ovnqosd/loop/removal_guard.py",
        old="        if self._is_new_emptied and number:\n",
        new="        if False:\n",
        found_by=("tests/unit/daemon/loop/test_removal_guard.py",),
    ),
    Mutation(
        name="objects that go with their custom resource count as deleted",
        file="ovnqos/kubernetes/objects.py",
        old='            if "create" in (one.get("verbs") or ()):\n',
        new="            if True:\n",
        found_by=("tests/unit/kubernetes/test_reflector_removals.py",),
    ),
    Mutation(
        name="rules of one object share priorities with a pod's joined limit",
        file="ovnqos/compile/rows.py",
        old="_STEP = 2\n",
        new="_STEP = 1\n",
        found_by=("tests/unit/compile/test_priorities.py",),
    ),
    Mutation(
        name="rows of a layer2 network are in the egress pipeline",
        file="ovnqos/compile/topology.py",
        old="return Direction.TO_LPORT if network.topology is NetworkTopology.LAYER3 else Direction.FROM_LPORT",
        new="return Direction.TO_LPORT",
        found_by=("tests/unit/compile/test_topology.py",),
    ),
    Mutation(
        name="except is ignored",
        file="ovnqos/compile/classifiers.py",
        old="tuple([(one.first, one.last) for one in block.excluded])",
        new="()",
        found_by=("tests/unit/compile/test_classifiers.py", "tests/property/compile/test_packets.py"),
    ),
    Mutation(
        name="a finished pod keeps its addresses and its place in port groups",
        file="ovnqos/model/workloads.py",
        old='not self.host_network and self.phase not in {"Succeeded", "Failed"}',
        new="not self.host_network",
        found_by=("tests/unit/compile/test_inventory.py",),
    ),
    Mutation(
        name="dscp 0 is no mark",
        file="ovnqos/compile/rows.py",
        old='given = {"dscp": self.dscp, "mark": self.mark}',
        new='given = {"dscp": self.dscp or None, "mark": self.mark}',
        found_by=("tests/unit/compile/test_rows.py",),
    ),
    Mutation(
        name="a row that changed since the plan is overwritten",
        file="ovnqos/plan/render_operations.py",
        old='return {**_on(_ROW, uuid, "wait"), **_WAIT, "columns": list(columns), "rows": [_row(content, columns)]}',
        new='return {**_on(_ROW, uuid, "wait"), **_WAIT, "columns": [], "rows": [{}]}',
        found_by=("tests/functional/northbound/test_apply_stale_plans.py",),
    ),
    Mutation(
        name="a transaction does not assert the lock",
        file="ovnqos/ovsdb/client.py",
        old='[{"op": "assert", "lock": name}]',
        new="[]",
        found_by=("tests/functional/ovsdb/test_writer_lock.py", "tests/functional/northbound/test_lock_stealing.py"),
    ),
    Mutation(
        name="an invalid version of a policy removes its rows",
        file="ovnqos/compile/compiler.py",
        old="        if invalid.object.name:\n",
        new="        if invalid.object.name:\n            self.delete(kind, key)\n",
        found_by=("tests/functional/daemon/test_reconciler.py", "tests/property/compile/test_compiler.py"),
    ),
    Mutation(
        name="the status of an earlier generation counts",
        file="daemon/ovnqosd/status/condition.py",
        old="if worst.observed_generation < generation:",
        new="if False:",
        found_by=("tests/unit/daemon/status/test_condition.py",),
    ),
    Mutation(
        name="an outcome of an earlier generation replaces another process' condition",
        file="daemon/ovnqosd/status/status_plan.py",
        old="if own is not None and outcome.generation < own.observed_generation <= known_generation:",
        new="if False:",
        found_by=("tests/unit/daemon/status/test_status_plan.py",),
    ),
    Mutation(
        name="a process that lost the election writes on",
        file="daemon/ovnqosd/loop/northbound_writer.py",
        old="        if not self._may_write():\n            self.close()",
        new="        if False:\n            self.close()",
        found_by=("tests/unit/daemon/loop/test_northbound_writer.py",),
    ),
    Mutation(
        name="leadership outlives the Lease",
        file="daemon/ovnqosd/leadership/election.py",
        old="return self._leading and self._left() > 0",
        new="return self._leading",
        found_by=("tests/unit/daemon/leadership/test_election.py",),
    ),
)
