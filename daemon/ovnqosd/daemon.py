"""The daemon: which parts there are, how they are joined, and in which order they start and stop."""

from __future__ import annotations

import gc
import threading
from typing import TYPE_CHECKING, Final

import structlog

from ovnqos import LiveCompilation, Northbound, Owner, TlsFiles, Topology
from ovnqosd.backoff import Clock
from ovnqosd.event_writer import EventWriter
from ovnqosd.health import HealthServer
from ovnqosd.inbox import Inbox
from ovnqosd.leadership import LeaderElector, LeasePace
from ovnqosd.lease import Lease, own_identity, own_namespace
from ovnqosd.metrics import Metrics
from ovnqosd.observed_status import with_status
from ovnqosd.outcomes import PassOutcome, Trigger
from ovnqosd.reconciler import Reconciler
from ovnqosd.reflector import Reflector
from ovnqosd.resources import NETWORK_QOSES, RESOURCES
from ovnqosd.settings import Mode
from ovnqosd.status_writer import StatusWriter

if TYPE_CHECKING:
    from collections.abc import Callable

    from ovnqos import DatabaseChange
    from ovnqosd.changes import Changes
    from ovnqosd.kubernetes_client import KubernetesClient
    from ovnqosd.settings import Settings

_log = structlog.get_logger()
_FINISH_S: Final = 3.0
"""What a transaction at hand gets to finish in, of the 5 s that the daemon takes to end."""
_DRAIN_S: Final = 0.5


class Daemon:
    """All parts of a daemon, from `start` to `stop`."""

    def __init__(self, settings: Settings, client: KubernetesClient, zone: str) -> None:
        """Join the parts; nothing runs yet.

        Args:
            settings: how.
            client: the Kubernetes API.
            zone: the zone's name in statuses.
        """
        self._settings = settings
        self._identity = own_identity()
        self._inbox = Inbox(Clock())
        self._metrics = Metrics()
        self._events = EventWriter(client, settings.node or self._identity)
        self._status = StatusWriter(client, zone, on_condition=self._events.condition_written)
        self._reflectors = [
            Reflector(with_status(one, self._status.observe_object) if one is NETWORK_QOSES else one, client, self)
            for one in RESOURCES
        ]
        self._elector = LeaderElector(
            Lease(client, settings.lease_namespace or own_namespace(), settings.lease_name),
            self._identity,
            on_started=self._elected,
            on_stopped=self._voted_out,
            pace=LeasePace(duration=settings.lease_duration, renew_deadline=settings.lease_renew),
        )
        nodes = None if settings.mode is Mode.CENTRAL or settings.node is None else [settings.node]
        self._reconciler = Reconciler(
            live=LiveCompilation(Topology.ovn_kubernetes(zone_nodes=nodes), Owner(settings.owner)),
            inbox=self._inbox,
            connect=self._connect,
            report=self._report,
            clock=Clock(),
            kinds=frozenset(one.kind for one in RESOURCES),
            full_pass_seconds=settings.full_pass_seconds,
            may_write=self._may_write,
            failed=self._metrics.count_failed_transaction,
        )
        self._loop = threading.Thread(target=self._reconciler.run, name="reconcile", daemon=True)
        self._health = HealthServer(
            settings.metrics_address, self._metrics.registry, alive=self._what_died, ready=self._what_is_missing
        )
        self._metrics.read_queue(lambda: float(self._inbox.depth), lambda: self._inbox.age)
        self._metrics.read_reflectors(self._reflectors)

    def start(self) -> None:
        """Start all parts.

        Raises:
            ListenError: the metrics' address cannot be bound.
        """
        self._health.start()
        self._events.start()
        self._status.start()
        self._loop.start()
        for reflector in self._reflectors:
            reflector.start()
        self._elector.start()

    def stop(self) -> None:
        """Finish the transaction at hand, release the Lease, and end; within 5 s."""
        self._inbox.stop()
        self._loop.join(_FINISH_S)
        if self._settings.cleanup_on_exit and not self._loop.is_alive() and self._may_write():
            self._reconciler.clean_up()
        self._elector.stop()
        self._status.stop(drain_seconds=_DRAIN_S)
        self._events.stop(drain_seconds=_DRAIN_S)
        for reflector in self._reflectors:
            reflector.stop()
        self._health.stop()

    # What the reflectors tell

    def changed(self, changes: Changes) -> None:
        """Hand changes of Kubernetes objects on."""
        if changes.kind == NETWORK_QOSES.kind and changes.removed:
            self._status.forget_objects(changes.removed)
            self._events.forget_objects(changes.removed)
        self._inbox.changed(changes)

    def synced(self, kind: str) -> None:
        """Hand on that a kind is complete."""
        self._inbox.synced(kind)

    # Who writes

    def _may_write(self) -> bool:
        return self._settings.mode is Mode.ZONE or self._elector.is_leader

    def _elected(self) -> None:
        self._metrics.set_leader(True)
        self._status.aggregate(True)
        self._inbox.ask_for_full_pass()

    def _voted_out(self) -> None:
        self._metrics.set_leader(False)
        self._status.aggregate(False)
        if self._settings.mode is Mode.CENTRAL and not self._reconciler.pause(_FINISH_S):
            _log.warning("the reconcile loop has not let go yet; the Northbound's lock keeps a second writer out")

    def _connect(self, on_change: Callable[[DatabaseChange], None]) -> Northbound:
        settings = self._settings
        tls = None
        if settings.private_key and settings.certificate and settings.ca_cert:
            tls = TlsFiles(
                private_key=settings.private_key, certificate=settings.certificate, ca_certificate=settings.ca_cert
            )
        return Northbound.connect(
            settings.nb,
            owner=Owner(settings.owner),
            tls=tls,
            timeout_s=settings.northbound_timeout,
            on_change=on_change,
        )

    # What is told

    def _report(self, outcome: PassOutcome) -> None:
        self._metrics.observe(outcome)
        self._status.take(outcome.policies.values(), outcome.removed)
        self._events.drift_repaired(outcome.drift, self._status.uid_of)
        for drift in outcome.drift:
            _log.warning(
                "drift repaired", drift=drift.kind.value, what=drift.what, object=drift.policy, found=drift.found
            )
        if outcome.transactions or outcome.trigger is Trigger.FULL:
            _log.info(
                "reconciled",
                trigger=outcome.trigger.value,
                seconds=round(outcome.seconds, 4),
                waited_seconds=round(outcome.age_seconds, 4),
                transactions=outcome.transactions,
                waiting=outcome.waiting,
                **outcome.changes,
            )
        if outcome.trigger is Trigger.FULL and not outcome.error:
            gc.collect()
            gc.freeze()  # what is known of the cluster stays: the collector need not walk it at each change

    def _what_died(self) -> list[str]:
        parts = {
            "the reconcile loop": self._loop.is_alive(),
            "the status writer": self._status.is_alive,
            "the event writer": self._events.is_alive,
            "the election": self._elector.is_alive,
            **{f"the reflector of {one.resource.kind}": one.is_alive for one in self._reflectors},
        }
        return [f"{name} has ended" for name, lives in parts.items() if not lives]

    def _what_is_missing(self) -> list[str]:
        missing = [
            f"{one.resource.kind} objects are not known yet{': ' + one.problem if one.problem else ''}"
            for one in self._reflectors
            if not one.has_synced
        ]
        if not missing and self._may_write() and not (self._reconciler.connected and self._reconciler.in_sync):
            missing.append("the Northbound is not in sync")
        return missing
