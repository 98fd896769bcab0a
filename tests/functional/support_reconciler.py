"""The daemon's reconcile loop in a thread on a real Northbound, told of Kubernetes objects by hand."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from ovnqos import Compiler, Northbound, OvnKubernetesTopology
from ovnqos.kubernetes import Changes, Clock, Metadata, ObservedObject, RetryPolicy
from ovnqos.model.policy import PortMatch, Protocol
from ovnqosd.loop.inbox import Inbox
from ovnqosd.loop.reconciler import Reconciler
from tests.support.cluster import pod, policy, rule

if TYPE_CHECKING:
    from collections.abc import Callable

    from ovnqos import Topology
    from ovnqos.sandbox import NorthboundServer
    from ovnqos.sources import KubernetesObject
    from ovnqosd.loop.outcomes import PassOutcome

PATIENCE_S = 10.0
KINDS = frozenset({"NetworkQoS", "Pod"})


class Daemon:
    """A reconciler in a thread, and what it reported."""

    def __init__(
        self,
        remote: str,
        *,
        wrap: Callable[[Northbound], Any] = lambda found: found,
        inbox: Inbox | None = None,
        topology: Topology | None = None,
        **options: Any,
    ) -> None:
        self.outcomes: list[PassOutcome] = []
        self._arrived = threading.Condition()
        self.inbox = inbox or Inbox(Clock())
        self.reconciler = Reconciler(
            compiler=Compiler(topology or OvnKubernetesTopology()),
            inbox=self.inbox,
            connect=lambda on_change: wrap(Northbound.connect(remote, on_change=on_change, timeout_s=2, wait=False)),
            report=self._report,
            clock=Clock(),
            kinds=KINDS,
            policy=RetryPolicy(first_delay=0.05, longest_delay=0.2),
            **options,
        )
        self._thread = threading.Thread(target=self.reconciler.run)
        self._thread.start()

    def _report(self, outcome: PassOutcome) -> None:
        with self._arrived:
            self.outcomes.append(outcome)
            self._arrived.notify_all()

    def tell(self, *objects: KubernetesObject) -> None:
        for one in objects:
            self.inbox.changed(changes_of(one))

    def sync(self, *objects: KubernetesObject) -> None:
        self.tell(*objects)
        for kind in sorted(KINDS):
            self.inbox.synced(kind)
        self.wait(lambda outcome: outcome.trigger == "full" and not outcome.error)

    def wait(self, wanted: Callable[[PassOutcome], bool]) -> PassOutcome:
        found: list[PassOutcome] = []

        def is_there() -> bool:
            found[:] = [one for one in self.outcomes if wanted(one)]
            return bool(found)

        with self._arrived:
            assert self._arrived.wait_for(is_there, PATIENCE_S), f"not among {self.outcomes}"
            return found[-1]

    def forget_outcomes(self) -> None:
        with self._arrived:
            self.outcomes.clear()

    def stop(self) -> None:
        self.inbox.stop()
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()


def changes_of(one: KubernetesObject) -> Changes:
    updated = ObservedObject(metadata=metadata(one), object=one)
    return Changes(kind=type(one).__name__, updated=(updated,))


def metadata(one: Any, generation: int = 1) -> Metadata:
    namespace = getattr(one, "namespace", "")
    return Metadata(
        namespace=namespace, name=one.name, uid=f"uid-{one.name}", generation=generation, resource_version="1"
    )


PODS = (
    pod("web", "10.0.0.1", labels={"app": "web"}),
    pod("db", "10.0.0.2", node="node2", labels={"app": "db"}),
)
POLICY = policy(rule(dscp=20, rate=20_000, ports=(PortMatch(protocol=Protocol.TCP),)))
"""TCP goes to no groups of receivers, so that it has one row."""


def rows_of(northbound: NorthboundServer, switch: str = "node1") -> list[str]:
    return northbound.nbctl("qos-list", switch).splitlines()
