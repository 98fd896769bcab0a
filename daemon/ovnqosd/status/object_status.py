"""The status of a NetworkQoS object: what the API server holds of it, and the patches that change it."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Final

import structlog

from ovnqos import OvnQosError
from ovnqos.controller import PolicyCounts, network_qos_document, parse_policy
from ovnqosd.status.condition import (
    CONDITION_PREFIX,
    PENDING,
    READY,
    Condition,
    field_manager,
    read_conditions,
    text_of,
)

if TYPE_CHECKING:
    from ovnqos import NetworkQoS
    from ovnqosd.status.policy_outcome import PolicyOutcome

_log = structlog.get_logger()
SUMMARY_MANAGER: Final = "ovnqosd-aggregator"
"""The field manager of `status.status`, of the condition `Ready` and of the counts, whichever process is elected."""
_LAST_VALID_MAXIMUM: Final = 256_000
"""Bytes, as in the custom resource; etcd takes objects of 1.5 MB."""
_COUNTS: Final = ("pods", "rows", "switches")


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedStatus:
    """An object's status, and which version of which object it is.

    Attributes:
        key: `<namespace>/<name>`.
        uid: the object's.
        generation: the object's.
        resource_version: of the whole object.
        conditions: the conditions of zones in `status.conditions`, by type.
        summary: `status.status`; empty if there is none.
        condition_count: how many conditions there are, of zones and others.
        others: the positions of the others in `status.conditions`; those of zones have the order that they have here.
        ready: the condition `Ready`; None if there is none.
        counts: the counts over all zones; None if there are none.
        zone_counts: the counts of zones, by the type of their condition.
        last_valid: the last valid version of an object that is invalid, as JSON; empty if there is none.
    """

    key: str
    uid: str
    generation: int
    resource_version: str
    conditions: Mapping[str, Condition]
    summary: str
    condition_count: int = 0
    others: tuple[int, ...] = ()
    ready: Condition | None = None
    counts: PolicyCounts | None = None
    zone_counts: Mapping[str, PolicyCounts] = field(default_factory=dict)
    last_valid: str = ""

    def position(self, kind: str) -> int:
        """Return the position of a zone's condition in `status.conditions`."""
        found = list(self.conditions).index(kind)
        for other in self.others:
            found += other <= found
        return found

    def is_older_than(self, other: ObservedStatus) -> bool:
        """Whether it is an earlier version of the same object.

        The two can come out of order: one by the watch, the other as the answer to a write.
        """
        versions = (self.resource_version, other.resource_version)
        return self.uid == other.uid and all(map(str.isdecimal, versions)) and int(versions[0]) < int(versions[1])

    def read_last_valid(self) -> NetworkQoS | None:
        """Parse `last_valid`; None if there is none, or it is of no use."""
        if not self.last_valid:
            return None
        try:
            found = parse_policy(json.loads(self.last_valid))
        except (ValueError, OvnQosError) as error:
            _log.warning("last valid version not readable", object=self.key, error=str(error))
            return None
        return found if found.key == self.key else None


def write_last_valid(policy: NetworkQoS | None) -> str:
    """Write a policy as `ObservedStatus.read_last_valid` reads it; empty without one, or where it is too long."""
    text = json.dumps(network_qos_document(policy), separators=(",", ":")) if policy is not None else ""
    return text if len(text) <= _LAST_VALID_MAXIMUM else ""


def read_status(document: object, own_type: str) -> ObservedStatus | None:
    """Read an object as the API has it; None if it has no name.

    Args:
        document: the object.
        own_type: the type of the condition that is kept whole. Of other zones' conditions the texts are dropped: there
            are as many as objects times zones.
    """
    metadata = _mapping(document, "metadata")
    namespace, name = text_of(metadata, "namespace"), text_of(metadata, "name")
    if not namespace or not name:
        return None
    status = _mapping(document, "status")
    generation = metadata.get("generation")
    conditions = read_conditions(status.get("conditions"))
    summary, ready = text_of(status, "status"), conditions.get(READY)
    if ready is not None and ready.reason == PENDING and not ready.observed_generation:
        ready = None  # the default that the custom resource gives to an object that nothing was written on
    zone_counts = {
        sys.intern(f"{CONDITION_PREFIX}{zone}"): counts
        for zone, counted in _mapping(status, "zones").items()
        if (counts := _counts(counted)) is not None
    }
    return ObservedStatus(
        key=f"{namespace}/{name}",
        uid=text_of(metadata, "uid"),
        generation=generation if isinstance(generation, int) else 0,
        resource_version=text_of(metadata, "resourceVersion"),
        conditions={
            sys.intern(kind): condition if kind == own_type else replace(condition, message="", last_transition_time="")
            for kind, condition in conditions.items()
            if condition.zone
        },
        summary="" if summary == PENDING else summary,
        condition_count=len(conditions),
        others=tuple(number for number, one in enumerate(conditions.values()) if not one.zone),
        ready=ready,
        counts=_counts(status),
        zone_counts=zone_counts,
        last_valid=text_of(status, "lastValid"),
    )


def _counts(document: object) -> PolicyCounts | None:
    found = {name: document.get(name) for name in _COUNTS} if isinstance(document, Mapping) else {}
    whole = {name: number for name, number in found.items() if isinstance(number, int)}
    return PolicyCounts(**whole) if len(whole) == len(_COUNTS) else None


def _mapping(document: object, key: str) -> Mapping[str, object]:
    value = document.get(key) if isinstance(document, Mapping) else None
    return value if isinstance(value, Mapping) else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusPatch:
    """One server-side apply on an object's status, or one merge patch if `replaces`.

    Attributes:
        key: `<namespace>/<name>`.
        uid: the object's; empty if it is not known.
        manager: the field manager.
        type: the type of the condition that it writes or removes.
        condition: the condition to write; None to remove it.
        summary: `status.status`, if it is for that; empty removes it.
        counts: the counts to write with the condition, the zone's or all zones'; None: the API has no field for them.
        last_valid: `status.lastValid`, likewise as `summary`.
        previous: the condition that `condition` replaces.
        outcome: what `condition` renders.
        replaces: the resourceVersion of the object whose last condition is to be removed. Kubernetes 1.20 makes null of
            a list whose last item is not applied any more, and its own validation then refuses that (measured).
        position: where in `status.conditions` the condition is that is to be removed although another field manager
            has it, so that no longer applying it does not: ovn-kubernetes' own controller wrote it.
    """

    key: str
    uid: str
    manager: str
    type: str
    condition: Condition | None = None
    summary: str = ""
    counts: PolicyCounts | None = None
    last_valid: str = ""
    previous: Condition | None = None
    outcome: PolicyOutcome | None = None
    replaces: str = ""
    position: int | None = None

    def operations(self) -> list[dict[str, object]]:
        """Return the JSON Patch that removes the condition at its position."""
        path = f"/status/conditions/{self.position}"
        return [{"op": "test", "path": f"{path}/type", "value": self.type}, {"op": "remove", "path": path}]

    def status(self) -> dict[str, object]:
        """Return all of the status that the field manager owns; what it wrote before and is not in it goes."""
        zone = self.type.removeprefix(CONDITION_PREFIX)
        if self.condition is None:
            if not self.replaces:
                return {}
            of_all = {"status": None, "lastValid": None, **dict.fromkeys(_COUNTS)}
            gone = of_all if self.type == READY else {"zones": {zone: None}}
            return {"conditions": None, **gone}
        document: dict[str, object] = {"conditions": [self.condition.as_document()]}
        counts = asdict(self.counts) if self.counts is not None else {}
        if self.type == READY:
            last_valid = {"lastValid": self.last_valid} if self.last_valid else {}
            return {**document, "status": self.summary, **counts, **last_valid}
        return {**document, "zones": {zone: counts}} if counts else document

    def is_summary_of(self, observed: ObservedStatus) -> bool:
        """Whether an object has this summary and condition, whatever its counts are."""
        mine = (self.condition, self.summary, self.last_valid)
        return mine == (observed.ready, observed.summary, observed.last_valid)

    def repeats(self, other: StatusPatch) -> bool:
        """Whether it writes what the other one wrote."""
        written = (other.type, other.condition, other.summary, other.counts, other.last_valid)
        return (self.type, self.condition, self.summary, self.counts, self.last_valid) == written


def retraction(observed: ObservedStatus, kind: str, *, is_foreign: bool = False) -> StatusPatch:
    """Make the patch that removes the condition of this type, and what stands beside it.

    Args:
        observed: the object's status.
        kind: the condition's type.
        is_foreign: whether another field manager has the condition, so that it is removed by its position.
    """
    return StatusPatch(
        key=observed.key,
        uid=observed.uid,
        manager=SUMMARY_MANAGER if kind == READY else field_manager(kind),
        type=kind,
        replaces=observed.resource_version if observed.condition_count == 1 and not is_foreign else "",
        position=observed.position(kind) if is_foreign else None,
    )
