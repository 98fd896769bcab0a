"""A controller of your own: keeps the cluster's NetworkQoS objects, and a row of its own, true in the Northbound.

    [KUBECONFIG=FILE] [OVN_NB_DB=REMOTE] python controller.py SWITCH

The row of its own limits what SWITCH sends to 203.0.113.0/24.
"""

import argparse
import contextlib
import queue
import sys
from dataclasses import replace

from ovnqos import (
    Compiler,
    DesiredState,
    Direction,
    Northbound,
    OvnKubernetesTopology,
    OvnQosError,
    Owner,
    QosRow,
    plan_changes,
)
from ovnqos import match as m
from ovnqos.controller import EndedLimitsMaximum
from ovnqos.kubernetes import RESOURCES, Backoff, Changes, Reflector, RetryPolicy, connect

OWNER = Owner("example-controller")  # its rows, and only its rows, are compared and changed
LIMIT = EndedLimitsMaximum(share=0.3, at_least=10)  # of pods' limits; a pass that would end more writes nothing
FULL_PASS_S = 300.0  # everything is compared so often, whether or not there are events


class Events(queue.SimpleQueue[Changes | str | None]):
    """What happens, in one queue. Reflectors and the Northbound call from threads of their own."""

    def changed(self, event: Changes | str) -> None:
        self.put(event)

    synced = changed  # with the name of a kind, when all its objects have been delivered


def with_own_row(compiled: DesiredState, switch: str) -> DesiredState:
    row = QosRow(
        switches=frozenset({switch}),
        direction=Direction.FROM_LPORT,
        priority=20_000,  # above all rows of NetworkQoS objects
        match=m.ip4.dst.isin("203.0.113.0/24"),
        rate_kbps=50_000,
    )
    # without a scope it is complete: what else this owner has in the Northbound is to go
    return replace(compiled, rows={**compiled.rows, row.identity: row}, scope=None)


def run(northbound: Northbound, compiler: Compiler, events: Events, switch: str) -> None:
    waiting = {resource.kind for resource in RESOURCES}
    backoff, patience = Backoff(RetryPolicy()), FULL_PASS_S

    def take(event: Changes | str | None) -> None:
        if isinstance(event, Changes):
            for one in event.updated:
                compiler.apply(one.object)  # an invalid version, too: the last valid one stays in force
            for key in event.deleted:
                compiler.delete(event.kind, key)
        elif event is not None:
            waiting.discard(event)

    while True:
        with contextlib.suppress(queue.Empty):
            take(events.get(timeout=patience))
            while True:
                take(events.get_nowait())  # what happened meanwhile is one pass
        if waiting:
            continue  # an object that has not been read yet is not an object that is gone
        try:
            plan = plan_changes(with_own_row(compiler.desired(), switch), northbound.snapshot())
            plan.check(LIMIT)
            northbound.apply(plan)
        except OvnQosError as error:
            patience = backoff.next()
            print(f"{error}; trying again in {patience:.1f} s", flush=True)
            continue
        backoff.reset()
        patience = FULL_PASS_S
        # what is missing is a switch or a port: when it is made, the Northbound says so
        print(*plan.missing, plan.summary(), sep="\n", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Keep NetworkQoS objects and a row of its own true.")
    parser.add_argument("switch", metavar="SWITCH")
    options = parser.parse_args()
    try:
        client, events = connect(user_agent="example-controller"), Events()
        with Northbound.connect(owner=OWNER, on_change=lambda _change: events.put(None)) as northbound:
            for resource in RESOURCES:
                Reflector(resource, client, events).start()
            run(northbound, Compiler(OvnKubernetesTopology(), owner=OWNER), events, options.switch)
    except KeyboardInterrupt:
        sys.exit(130)
    except OvnQosError as error:
        sys.exit(str(error))
