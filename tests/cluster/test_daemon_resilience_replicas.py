"""Two replicas of the daemon, the leading one of which freezes: the other takes over, and only one ever writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.cluster.support_daemon import (
    APPLIED,
    Daemon,
    apply,
    eventually,
    guide_policy,
    lease_holder,
    wait_for_full_compile,
    wait_for_rows,
    wait_for_status,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from ovnqos.sandbox import NorthboundServer
    from tests.support.kubernetes.api import KubernetesApi

STOLEN = "lock stolen: the process elected before does not release it"


def test_a_frozen_leader_is_replaced_and_writes_nothing_when_it_wakes(
    start: Callable[..., Daemon], cluster: KubernetesApi, northbound: NorthboundServer, lease: str
) -> None:
    first = start()  # on a unix socket the server never notices that a client is frozen
    apply(cluster, guide_policy())
    wait_for_status(cluster, APPLIED)
    second = start()
    second.wait_for_line("started")
    holder = lease_holder(cluster, lease)
    first.process.freeze()
    wait_for_another_holder(cluster, lease, holder)
    apply(cluster, guide_policy(dscp=30))
    wait_for_rows(northbound, 2, "dscp=30")
    wait_for_status(cluster, APPLIED)
    assert len(second.lines(STOLEN)) == 1
    passes, size = len(first.lines("reconciled")), northbound.file.stat().st_size
    first.process.thaw()  # what it knows of the policy is out of date, and its watches tell it so now
    first.wait_for_line("no longer elected")
    assert northbound.file.stat().st_size == size  # each transaction is appended to the file
    apply(cluster, guide_policy(dscp=40))
    wait_for_rows(northbound, 2, "dscp=40")
    assert len(first.lines("reconciled")) == passes
    assert second.terminate() == 0
    first.wait_for_line("elected", count=2)
    apply(cluster, guide_policy(dscp=50))
    wait_for_rows(northbound, 2, "dscp=50")
    wait_for_full_compile(cluster, northbound.remote)
    assert first.lines(STOLEN) == []
    assert first.terminate() == 0
    assert lease_holder(cluster, lease) == ""


def test_a_second_installation_with_the_same_owner_does_not_take_the_rows_away(
    start: Callable[..., Daemon], cluster: KubernetesApi, northbound: NorthboundServer, lease: str
) -> None:
    first = start()
    apply(cluster, guide_policy())
    wait_for_status(cluster, APPLIED)
    second = start("--lease-name", f"{lease}-of-another")
    second.wait_for_line("Northbound not reconciled; retrying", kind="LockLost")
    apply(cluster, guide_policy(dscp=30))
    wait_for_rows(northbound, 2, "dscp=30")
    assert [line for line in second.lines("reconciled") if line["transactions"]] == []
    assert first.terminate() == 0
    apply(cluster, guide_policy(dscp=40))
    wait_for_rows(northbound, 2, "dscp=40")


@eventually
def wait_for_another_holder(api: KubernetesApi, lease: str, than: str) -> None:
    assert lease_holder(api, lease) not in {"", than}
