"""The daemon: which parts there are, how they are joined, and in which order they start and stop."""

from __future__ import annotations

import gc
import threading
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog

from ovnqos import Compiler, Node, Northbound, OvnQosError, load_topology_map
from ovnqos.controller import TopologyKind, TopologyMap, listed, make_topology, parse_pod
from ovnqos.kubernetes import NETWORK_QOSES, NODES, PODS, RESOURCES, Clock, Reflector, RetryPolicy
from ovnqosd.health import HealthServer, Protection
from ovnqosd.leadership.election import LeaderElector, LeaseTiming
from ovnqosd.leadership.lease import Lease, own_identity, own_namespace
from ovnqosd.loop.inbox import Inbox
from ovnqosd.loop.outcomes import PassOutcome, Trigger
from ovnqosd.loop.reconciler import Reconciler
from ovnqosd.metrics import Metrics
from ovnqosd.rule_metrics import RuleMetrics
from ovnqosd.settings.settings import Mode
from ovnqosd.status.condition import zone_of
from ovnqosd.status.event_writer import EventWriter
from ovnqosd.status.events import event_of_refusal, events_of_condition, events_of_drift, events_of_report
from ovnqosd.status.object_status import ObservedStatus
from ovnqosd.status.status_plan import StatusTiming
from ovnqosd.status.status_writer import StatusWriter

if TYPE_CHECKING:
    from collections.abc import Callable

    from ovnqos import DatabaseUnavailable
    from ovnqos.controller import DatabaseChange
    from ovnqos.kubernetes import Changes, KubernetesClient
    from ovnqosd.settings.settings import Settings

_log = structlog.get_logger()
_FINISH_S: Final = 1.5
"""What a transaction at hand gets to finish in, and then a clean-up, of the 5 s that the daemon takes to end."""
_DRAIN_S: Final = 0.5
CLEAN_UP_S: Final = 15.0
"""What the statuses get on top of that, when they are to be cleaned up; Kubernetes gives a pod 30 s by default."""
_NOT_CLEAN: Final = "clean-up incomplete"


class Daemon:
    """All parts of a daemon, from `start` to `stop`."""

    def __init__(self, settings: Settings, client: KubernetesClient, zone: str) -> None:
        """Join the parts; nothing runs yet.

        Args:
            settings: how.
            client: the Kubernetes API.
            zone: the zone's name in statuses.

        Raises:
            UnreadableInput: the topology map cannot be read.
            InvalidObject: the topology map is not valid.
            InvalidRemote: the remotes, or TLS files, for the counters of limits cannot be used.
        """
        self._settings = settings
        self._identity = own_identity()
        self._inbox = Inbox(Clock())
        self._zones: dict[str, str] = {}  # of each node
        self._outage: DatabaseUnavailable | None = None
        self._metrics = Metrics()
        self._events = EventWriter(client, settings.node or self._identity)
        policy = RetryPolicy(longest_delay=settings.api_retry, absent_interval=settings.absent_crd_seconds)
        self._status = StatusWriter(
            client,
            zone,
            shared=settings.mode is Mode.CENTRAL,
            on_condition=lambda *condition: self._events.record(events_of_condition(*condition)),
            on_refusal=lambda *refusal: self._events.record([event_of_refusal(*refusal)]),
            timing=StatusTiming(unavailable_after=settings.northbound_outage),
            outage=policy,
        )
        if settings.mode is Mode.CENTRAL:
            self._status.set_zones({})  # there is no zone but this one: conditions of a zone mode before go
        topology_map = _topology_map(settings)
        observed = {NETWORK_QOSES: replace(NETWORK_QOSES, parse_status=self._status.parse_status)}
        if topology_map is not None and topology_map.annotations:
            observed[PODS] = replace(PODS, parse=partial(parse_pod, also_keep=topology_map.annotations))
        self._reflectors = [Reflector(observed.get(one, one), client, self, policy=policy) for one in RESOURCES]
        self._elector = LeaderElector(
            Lease(client, settings.lease_namespace or own_namespace(), settings.lease_name),
            self._identity,
            on_started=self._elected,
            on_stopped=self._deposed,
            timing=LeaseTiming.of(duration=settings.lease_duration, renew_deadline=settings.lease_renew),
        )
        nodes = None if settings.mode is Mode.CENTRAL or settings.node is None else [settings.node]
        self._reconciler = Reconciler(
            compiler=Compiler(
                make_topology(settings.topology, topology_map=topology_map, zone_nodes=nodes)[0],
                settings.owner,
                cluster_cidrs=settings.cluster_cidrs,
            ),
            inbox=self._inbox,
            connect=self._connect,
            report=self._report,
            clock=Clock(),
            kinds=frozenset(one.kind for one in RESOURCES),
            full_pass_seconds=settings.full_pass_seconds,
            max_deletes=settings.max_deletes,
            may_write=self._may_write,
            is_elected=lambda: self._elector.is_leader,
            on_failure=self._metrics.count_failed_transaction,
        )
        self._loop = threading.Thread(target=self._reconciler.run, name="reconcile", daemon=True)
        self._health = HealthServer(
            settings.metrics_address,
            self._metrics.registry,
            alive=self._what_died,
            ready=self._what_is_missing,
            role=self._role,
            protection=Protection.of(settings),
        )
        self._metrics.read_queue(lambda: float(self._inbox.depth), lambda: self._inbox.age)
        self._metrics.read_northbound(lambda: self._reconciler.is_northbound_connected if self._may_write() else None)
        self._metrics.read_removals_held(lambda: float(self._reconciler.removals_held))
        self._metrics.read_reflectors(self._reflectors)
        self._rule_metrics = RuleMetrics(settings) if settings.rule_metrics else None
        if self._rule_metrics is not None:
            self._metrics.registry.register(self._rule_metrics)

    def start(self) -> None:
        """Start all parts.

        Raises:
            InvalidRemote: the Northbound's remotes cannot be read, or the TLS files for them not be used.
            ListenError: the metrics' address cannot be bound.
        """
        Northbound.check(self._settings.nb, tls=self._settings.tls)
        self._health.start()
        self._events.start()
        self._status.start()
        self._loop.start()
        for reflector in self._reflectors:
            reflector.start()
        self._elector.start()

    def stop(self) -> None:
        """Finish the transaction at hand, release the Lease, and end; what the Northbound blocks is left."""
        self._inbox.stop()
        self._loop.join(_FINISH_S)
        if self._settings.cleanup_on_exit and self._may_write():
            self._clean_up()
        self._status.stop(drain_seconds=_DRAIN_S)  # before the Lease goes: only the elected writes what is left
        self._events.stop(drain_seconds=_DRAIN_S)
        for reflector in self._reflectors:
            reflector.interrupt()  # all of them before the first is waited for
        self._elector.stop()
        for reflector in self._reflectors:
            reflector.stop()
        self._health.stop()
        if self._rule_metrics is not None:
            self._rule_metrics.stop()

    def _clean_up(self) -> None:
        """Remove the rows, and then the conditions that say that they are in force."""
        done = threading.Event()

        def remove_rows() -> None:
            try:
                self._reconciler.clean_up()
            except OvnQosError as error:
                _log.warning(_NOT_CLEAN, error=str(error))
            else:
                done.set()

        thread = threading.Thread(target=remove_rows, name="clean-up", daemon=True)
        if not self._loop.is_alive():
            thread.start()
            thread.join(_FINISH_S)
        if self._loop.is_alive() or thread.is_alive():
            _log.warning(_NOT_CLEAN, error="no answer from the Northbound")
        elif done.is_set() and not self._status.withdraw(CLEAN_UP_S, stalled_seconds=_FINISH_S):
            _log.warning(_NOT_CLEAN, error="some objects still have this zone's condition")

    # What the reflectors deliver

    def changed(self, changes: Changes) -> None:
        """Pass changes of Kubernetes objects on."""
        for one in changes.updated:
            if isinstance(one.status, ObservedStatus):
                self._status.observe(one.status)
        if changes.deleted:
            self._events.delete(changes.kind, changes.deleted)
            if changes.kind == NETWORK_QOSES.kind:
                self._status.delete(changes.deleted)
        if changes.kind == NODES.kind and self._settings.mode is Mode.ZONE:
            self._update_zones(changes)
        self._inbox.changed(changes)

    def _update_zones(self, changes: Changes) -> None:
        """Follow which zones there are, so that the condition of one that is gone counts no more."""
        before = dict(self._zones)
        for name in changes.deleted:
            self._zones.pop(name, None)
        for updated in changes.updated:
            if isinstance(updated.object, Node):
                self._zones[updated.object.name] = zone_of(updated.object.name, updated.object.annotations)
        if self._zones != before:
            self._status.set_zones(dict(self._zones))

    def synced(self, kind: str) -> None:
        """Pass on that a kind is complete."""
        self._inbox.synced(kind)

    # Who writes

    def _may_write(self) -> bool:
        return self._settings.mode is Mode.ZONE or self._elector.is_leader

    def _elected(self) -> None:
        self._metrics.set_leader(True)
        self._status.aggregate(True)
        if self._settings.mode is Mode.CENTRAL:
            self._reconciler.elected(silent_predecessor=self._elector.took_over)

    def _deposed(self) -> None:
        self._metrics.set_leader(False)
        self._status.aggregate(False)
        if self._settings.mode is Mode.CENTRAL and not self._reconciler.pause(_FINISH_S):
            _log.warning("Northbound not released yet; its lock keeps a second writer out")

    def _connect(self, on_change: Callable[[DatabaseChange], None]) -> Northbound:
        self._outage = None
        return Northbound.connect(
            self._settings.nb,
            owner=self._settings.owner,
            tls=self._settings.tls,
            timeout_s=self._settings.northbound_timeout,
            on_change=on_change,
            wait=False,  # it is not needed before Kubernetes has been listed
            outage_s=self._settings.northbound_outage,
            on_outage=self._note_outage,
        )

    def _note_outage(self, outage: DatabaseUnavailable | None) -> None:
        """Take note that the Northbound is lost, even while nothing is asked of it, or there again."""
        self._outage = outage
        if outage is not None:
            self._inbox.northbound_lost(outage)

    # What is reported

    def _report(self, outcome: PassOutcome) -> None:
        self._metrics.observe(outcome)
        self._status.set_outcomes(outcome.policies.values())
        self._events.record(events_of_drift(outcome.drift, self._status.uid_of))
        self._events.record(event for report in outcome.reports for event in events_of_report(report))
        for report in outcome.reports:
            said = "; ".join(one.message for one in (*report.diagnostics, *report.logged))
            if not said:
                continue
            _log.warning("object diagnostics", kind=report.object.kind, object=report.object.key, diagnostics=said)
        for drift in outcome.drift:
            _log.warning(
                "drift repaired", drift=drift.kind.value, what=drift.what, object=drift.policy, found=drift.found
            )
        if outcome.transactions or (outcome.trigger is Trigger.FULL and not outcome.error):
            _log.info(
                "reconciled",
                trigger=outcome.trigger.value,
                seconds=round(outcome.seconds, 4),
                waited_seconds=round(outcome.age_seconds, 4),
                transactions=outcome.transactions,
                missing=outcome.missing,
                objects=listed(outcome.objects),
                **outcome.changes,
            )
        if outcome.trigger is Trigger.FULL and not outcome.error:
            gc.collect()
            gc.freeze()  # what is known of the cluster stays: the collector need not walk it at each change

    def _what_died(self) -> list[str]:
        parts = {
            "reconcile loop": self._loop.is_alive(),
            "status writer": self._status.is_alive,
            "event writer": self._events.is_alive,
            "leader election": self._elector.is_alive,
            **{f"reflector of {one.resource.kind}": one.is_alive for one in self._reflectors},
        }
        return [f"{name} ended" for name, lives in parts.items() if not lives]

    def _what_is_missing(self) -> list[str]:
        missing = [
            f"{one.resource.kind} objects not listed yet{': ' + one.problem if one.problem else ''}"
            for one in self._reflectors
            if not one.has_synced
        ]
        if not missing and self._may_write():
            if self._outage is not None:
                missing.append(str(self._outage))
            elif not (self._reconciler.connected and self._reconciler.in_sync):
                missing.append("Northbound not in sync")
        return missing

    def _role(self) -> str:
        return "" if self._may_write() else f"standing by; {self._elector.holder or 'no process'} holds the Lease"


def _topology_map(settings: Settings) -> TopologyMap | None:
    if settings.topology.kind is not TopologyKind.STATIC:
        return None
    topology_map = load_topology_map(settings.topology.file)
    for one in topology_map.diagnostics:
        _log.warning("topology map", file=settings.topology.file, diagnostic=one.message)
    return topology_map
