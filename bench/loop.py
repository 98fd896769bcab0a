"""The daemon's reconcile loop in a thread, told of objects as by a reflector, without a Kubernetes API."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from ovnqos import Compiler, Northbound, OvnKubernetesTopology
from ovnqos.kubernetes import Changes, Clock, Metadata, ObservedObject
from ovnqosd.loop.inbox import Inbox
from ovnqosd.loop.reconciler import Reconciler

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.measures import Objects
    from ovnqos.controller import DatabaseChange
    from ovnqosd.loop.outcomes import PassOutcome

_TIMEOUT_S = 300.0


class Loop:
    """A reconcile loop; `after` waits for the pass that something causes."""

    def __init__(self, remote: str, objects: Objects, *, full_pass_seconds: float = 300.0) -> None:
        self._outcomes: list[PassOutcome] = []
        self._arrived = threading.Condition()
        self.inbox = Inbox(Clock())
        self._reconciler = Reconciler(
            compiler=Compiler(OvnKubernetesTopology(zone_nodes=objects.zone_nodes)),
            inbox=self.inbox,
            connect=self._connect,
            report=self._report,
            clock=Clock(),
            kinds=frozenset({"Pod"}),
            full_pass_seconds=full_pass_seconds,
        )
        self._remote = remote
        self._northbound: Northbound | None = None
        self._thread = threading.Thread(target=self._reconciler.run)

    def _connect(self, on_change: Callable[[DatabaseChange], None]) -> Northbound:
        self._northbound = Northbound.connect(self._remote, on_change=on_change, timeout_s=_TIMEOUT_S, wait=False)
        return self._northbound

    def read_ahead(self) -> None:
        """Start as where Kubernetes is still being listed; returns when the Northbound has been read."""
        self._thread.start()
        while self._northbound is None or not self._northbound.has_contents:
            time.sleep(0.01)

    def _report(self, outcome: PassOutcome) -> None:
        with self._arrived:
            self._outcomes.append(outcome)
            self._arrived.notify()

    def start(self, objects: Objects) -> float:
        """Tell all objects; returns the seconds until everything is in the database."""
        lists = [told(*listed) for listed in (objects.namespaces, objects.pods, objects.policies) if listed]

        def tell() -> None:
            if not self._thread.is_alive():
                self._thread.start()
            for changes in lists:
                self.inbox.changed(changes)
            self.inbox.synced("Pod")

        return self.after(tell)

    def after(self, act: Callable[[], object], *, written: bool = False) -> float:
        """Do something; returns the seconds until a pass is done that changed the database, or compared all of it.

        Args:
            act: what to do.
            written: only a change counts.
        """
        with self._arrived:
            self._outcomes.clear()
        start = time.perf_counter()
        act()
        with self._arrived:
            if not self._arrived.wait_for(lambda: self._is_done(written=written), _TIMEOUT_S):
                raise RuntimeError(f"no pass came of it: {self._outcomes}")
        return time.perf_counter() - start

    def _is_done(self, *, written: bool) -> bool:
        if any(one.error for one in self._outcomes):
            raise RuntimeError(self._outcomes[-1].error)
        return any(one.transactions or (one.trigger == "full" and not written) for one in self._outcomes)

    def stop(self) -> None:
        """End the loop."""
        self.inbox.stop()
        self._thread.join()


def told(*objects: Any) -> Changes:
    """Objects of one kind as a reflector tells of them."""
    return Changes(
        kind=type(objects[0]).__name__,
        updated=tuple(ObservedObject(metadata=_metadata(one), object=one) for one in objects),
    )


def _metadata(one: Any) -> Metadata:
    namespace = getattr(one, "namespace", "")
    return Metadata(namespace=namespace, name=one.name, uid="", generation=1, resource_version="1")
