"""Verification on real chassis: the guide, every kind of network, a chassis that stands still."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from ovnqos import DesiredState, Northbound, Owner, plan_changes
from ovnqos.cli.main import run
from ovnqos.diagnostics import Code
from ovnqos.southbound.ovn_trace import OvnTrace
from ovnqos.southbound.southbound import NorthboundSequence, Southbound
from ovnqos.verify import Realisation, Report, verify
from tests.lab.support_cluster import LabCluster, network_qos, rule, udp_ports
from tests.lab.support_matrix import LIMITED
from tests.lab.support_networks import NETWORKS, OWN

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ovnqos.sandbox import Process, Programs
    from tests.lab.support_guide import Guide
    from tests.lab.support_matrix import Matrix


def look(cluster: LabCluster, programs: Programs, **options: Any) -> Report:
    """A verification of the cluster's rows with the ovn-trace that belongs to its OVN."""
    central = cluster.sandbox.central
    cluster.northbound.refresh()
    with (
        Southbound(central.southbound.remote) as southbound,
        NorthboundSequence(central.northbound.remote) as sequence,
    ):
        return verify(
            cluster.northbound,
            southbound,
            sequence,
            tracer=lambda: OvnTrace(central.southbound.remote, program=programs.command("ovn-trace")),
            **options,
        )


def verdicts(report: Report) -> dict[str, Realisation]:
    """The verdict of the one row of each switch."""
    return {finding.switch: finding.verdict for finding in report.findings}


@pytest.fixture
def controller(guide: Guide) -> Iterator[Process]:
    """ovn-controller of `ovn-worker2`, which goes on when the test ends."""
    process = guide.cluster.sandbox.nodes["ovn-worker2"]._daemons["ovn-controller"]
    yield process
    process.thaw()
    guide.cluster.sandbox.central.sync()


def test_the_guide_is_realised_right_after_it_was_written(guide: Guide, programs: Programs) -> None:
    guide.cluster.write(guide.policy)
    report = look(guide.cluster, programs, ask=True)
    assert report.realised, report
    assert verdicts(report) == dict.fromkeys(("ovn.stream_ovn-worker", "ovn.stream_ovn-worker2"), Realisation.REALISED)
    assert [one.name for one in report.chassis] == ["ovn-worker", "ovn-worker2"]
    assert report.chassis_behind == ()
    assert all("dscp=20" in one.reason and "rate=20000 burst=100" in one.reason for one in report.findings)
    assert all(one.details == () for one in report.findings)


def test_rows_on_every_kind_of_network_are_realised(matrix: Matrix, programs: Programs) -> None:
    rules = [
        rule(10, rate_kbps=5_000),
        rule(11, {"to": [{"podSelector": {"matchLabels": {"role": "target"}}}]}),
        rule(12, {"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]}}], "ports": udp_ports(80)}),
        rule(13, {"to": [{"ipBlock": {"cidr": "::/0"}}], "ports": [{"protocol": "TCP", "port": 80}]}),
    ]
    matrix.cluster.apply(network_qos("all", rules, namespace=OWN, pods=LIMITED), expected=Code.NO_POD_ADDRESSES)
    report = look(matrix.cluster, programs, ask=True, patience_s=60)
    # where OVN knows no addresses of pods, the rule that selects pods matches nothing
    idle = {(one.switch, one.name.rule) for one in report.findings if one.verdict is Realisation.IDLE}
    assert idle == {("flat.bare_ovn_layer2_switch", "1"), ("physical.bare_ovn_localnet_switch", "1")}
    others = [one for one in report.findings if (one.switch, one.name.rule) not in idle]
    assert {one.verdict for one in others} == {Realisation.REALISED}, others
    assert {one.row.content.direction for one in others} == {"from-lport", "to-lport"}
    assert len({one.switch for one in others}) > len(NETWORKS)


def test_a_chassis_that_stands_still_is_named_and_fails_its_own_rows(
    guide: Guide, programs: Programs, controller: Process
) -> None:
    guide.cluster.apply(guide.policy)
    controller.freeze()
    report = look(guide.cluster, programs, ask=True, patience_s=2)
    assert verdicts(report) == {
        "ovn.stream_ovn-worker": Realisation.REALISED,
        "ovn.stream_ovn-worker2": Realisation.BEHIND,
    }
    assert [one.name for one in report.chassis_behind] == ["ovn-worker2"]
    again = look(guide.cluster, programs, patience_s=0.5)
    assert verdicts(again) == verdicts(report)
    controller.thaw()
    assert look(guide.cluster, programs, patience_s=30).realised


@pytest.mark.one_ovn
def test_rows_that_apply_wrote_are_not_realised_while_ovn_controller_is_stopped(
    guide: Guide, owner: Owner, controller: Process, tmp_path: Path
) -> None:
    central = guide.cluster.sandbox.central
    (tmp_path / "guide.yaml").write_text(yaml.safe_dump_all(documents(guide)))
    place = ["--owner", owner.name, "--nb", central.northbound.remote]
    controller.freeze()
    assert run(["apply", "-f", str(tmp_path), *place]) == 0
    assert run(["verify", *place, "--sb", central.southbound.remote, "-t", "3"]) == 1
    controller.thaw()
    assert run(["verify", *place, "--sb", central.southbound.remote, "-t", "30"]) == 0


def test_northd_that_stands_still_is_told(guide: Guide, programs: Programs) -> None:
    northd = guide.cluster.sandbox.central.northd
    northd.freeze()
    try:
        guide.cluster.write(guide.policy)
        report = look(guide.cluster, programs, ask=True, patience_s=1)
    finally:
        northd.thaw()
    assert set(verdicts(report).values()) == {Realisation.ABSENT}
    assert look(guide.cluster, programs, patience_s=30).realised


def test_a_row_above_hides_the_guides_on_one_node_only(guide: Guide, programs: Programs) -> None:
    guide.cluster.apply(guide.policy)
    central = guide.cluster.sandbox.central
    central.nbctl("qos-add", "ovn.stream_ovn-worker", "to-lport", "30000", "ip4", "rate=1000", "dscp=1")
    central.nbctl("qos-add", "ovn.stream_ovn-worker2", "to-lport", "30000", "ip4.dst == 8.8.8.8", "rate=1000", "dscp=1")
    central.sync()
    report = look(guide.cluster, programs)
    central.nbctl("qos-del", "ovn.stream_ovn-worker", "to-lport", "30000", "ip4")
    central.nbctl("qos-del", "ovn.stream_ovn-worker2", "to-lport", "30000", "ip4.dst == 8.8.8.8")
    shadowed, partly = (one for one in report.findings if one.row.content.direction == "to-lport")
    assert (shadowed.verdict, partly.verdict) == (Realisation.SHADOWED, Realisation.REALISED)
    assert "of another owner (priority 30000)" in shadowed.reason
    assert "of another owner (priority 30000)" in partly.details[0]


@pytest.fixture
def owner(guide: Guide) -> Iterator[Owner]:
    """Somebody other than the owner whose lock the guide's cluster holds; the rows go when the test ends."""
    somebody = Owner("verified")
    yield somebody
    with Northbound.connect(guide.cluster.sandbox.central.northbound.remote, owner=somebody) as northbound:
        northbound.apply(plan_changes(DesiredState.of(), northbound.snapshot()))


@pytest.mark.one_ovn
def test_the_commands_apply_and_verify_end_with_0_on_the_guide(
    guide: Guide, owner: Owner, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    central = guide.cluster.sandbox.central
    (tmp_path / "guide.yaml").write_text(yaml.safe_dump_all(documents(guide)))
    place = ["--owner", owner.name, "--nb", central.northbound.remote]
    assert run(["apply", "-f", str(tmp_path), *place]) == 0
    place += ["--sb", central.southbound.remote]
    assert run(["verify", *place]) == 0
    capsys.readouterr()
    assert run(["verify", *place, "--wait", "-o", "json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert {one["verdict"] for one in report["rows"]} == {"realised"}
    assert [one["caught_up"] for one in report["chassis"]] == [True, True]


def documents(guide: Guide) -> Iterator[dict[str, Any]]:
    """The guide's manifests, and its pods as the API server shows them."""
    yield guide.policy
    yield yaml.safe_load((files("ovnqos.cli") / "demo" / "nad.yaml").read_text())
    for name, limited in (("pod0", False), ("pod1", True), ("pod2", True)):
        pod = guide.pod(name)
        labels = {"nqos-app": "bw-limited"} if limited else {}
        annotations = {"k8s.ovn.org/pod-networks": pod.annotation}
        metadata = {"name": name, "namespace": "default", "labels": labels, "annotations": annotations}
        yield {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"nodeName": pod.node}}
