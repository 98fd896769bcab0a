"""Compares what is wanted with what the Northbound holds, and has the difference written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovnqos import plan_changes
from ovnqos.controller import upstream_rows
from ovnqosd.loop.drift import find_drift
from ovnqosd.loop.foreign_rows import find_rivals
from ovnqosd.loop.hidden_limits import hidden_by_object

if TYPE_CHECKING:
    from ovnqos import Compiler
    from ovnqos.controller import DatabaseChange, Delta
    from ovnqosd.loop.awaited import Awaited
    from ovnqosd.loop.northbound_writer import NorthboundWriter
    from ovnqosd.loop.pass_record import PassRecord
    from ovnqosd.loop.policy_standing import PolicyStanding
    from ovnqosd.loop.remarks import Remarks


class Comparison:
    """Of everything, or of what changed. What it finds goes to the record, and to those who tell of it."""

    def __init__(
        self,
        live: Compiler,
        writer: NorthboundWriter,
        awaited: Awaited,
        standing: PolicyStanding,
        remarks: Remarks,
    ) -> None:
        self._live = live
        self._writer = writer
        self._awaited = awaited
        self._standing = standing
        self._remarks = remarks

    def prepare(self) -> None:
        """Compiles as much as can be while the Northbound is still being read: not all, which takes more memory."""
        northbound = self._writer.northbound()
        self._live.compile_some(lambda: not northbound.has_contents)

    def of_everything(self, record: PassRecord, *, tells_drift: bool) -> None:
        """Compares everything.

        Args:
            record: of the pass.
            tells_drift: whether everything had been written, so that a difference is somebody else's doing.

        Raises:
            OvnQosError: what `Northbound.refresh` and `NorthboundWriter.apply` raise.
        """
        northbound = self._writer.northbound()
        northbound.refresh()
        delta = self._live.drain_all()
        self._count(delta, record)
        desired, snapshot = delta.desired, northbound.snapshot()
        self._standing.meet_rivals(find_rivals(desired, snapshot))
        record.rival_rows = len(upstream_rows(snapshot))
        plan = plan_changes(desired, snapshot)
        if tells_drift:
            record.drift.extend(find_drift(plan))  # nothing of it came from Kubernetes: events missed it
        record.policies |= self._awaited.clear() | self._awaited.note(plan, ())
        self._writer.apply(plan, record)
        hidden = hidden_by_object(desired, self._live.inventory)  # after what is urgent
        self._standing.meet_hidden(hidden.get("NetworkQoS", {}))
        self._remarks.meet_hidden(hidden.get("Pod", {}))

    def of_changes(self, database: DatabaseChange, record: PassRecord) -> None:
        """Compares what changed: first what Kubernetes asks, so that what is left is what somebody did by hand.

        Raises:
            OvnQosError: what `NorthboundWriter.apply` raises.
        """
        self._compare(self._live.drain(), record, is_drift=False)
        self._awaited.touch(database, self._live)
        self._compare(self._live.drain(), record, is_drift=False)
        self._live.mark_dirty(rows=database.rows, sets=database.sets)
        self._compare(self._live.drain(), record, is_drift=True)

    def _compare(self, delta: Delta, record: PassRecord, *, is_drift: bool) -> None:
        self._count(delta, record)
        if delta.is_empty:
            return
        snapshot = self._writer.northbound().part(delta)
        known = {name for _kind, name in (*snapshot.sets, *snapshot.foreign_sets)}
        absent = [name for name, touched in delta.sets.items() if touched is not None and name not in known]
        if absent:
            self._live.mark_dirty(rows=delta.rows, sets={**delta.sets, **dict.fromkeys(absent)})
            delta = self._live.drain()
        plan = plan_changes(delta.desired, snapshot)
        if is_drift:
            record.drift.extend(find_drift(plan))
        record.policies |= self._awaited.note(plan, delta.rows)
        self._writer.apply(plan, record)

    @staticmethod
    def _count(delta: Delta, record: PassRecord) -> None:
        record.policies |= delta.policies
        record.pods |= delta.pods
