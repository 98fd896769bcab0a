"""Whether packets get what objects promise: the verdict, beside the packets themselves."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ovnqos import Direction
from ovnqos.diagnostics import Code
from ovnqos.sandbox import read_marks
from ovnqos.southbound.ovn_trace import OvnTrace
from ovnqos.southbound.southbound import Southbound
from ovnqos.verify import ObjectFinding, ObjectReport, ObjectVerdict, verify_objects
from tests.lab.support_cluster import network_qos, rule, udp_ports
from tests.lab.support_matrix import LIMITED, probe
from tests.lab.support_networks import NETWORKS, OTHER_NODE, OWN, SAME_NODE

if TYPE_CHECKING:
    from ovnqos.sandbox import Programs
    from tests.lab.support_cluster import LabCluster
    from tests.lab.support_guide import Guide
    from tests.lab.support_matrix import Matrix

LAYER2 = next(one for one in NETWORKS if one.definition is not None and '"layer2"' in one.definition["spec"]["config"])


def judge(cluster: LabCluster, programs: Programs) -> ObjectReport:
    """The verdict on all objects of the cluster, confirmed by the ovn-trace that belongs to its OVN."""
    central, compiler = cluster.sandbox.central, cluster.compiler
    central.sync()
    cluster.northbound.refresh()
    with (
        Southbound(central.southbound.remote) as southbound,
        OvnTrace(central.southbound.remote, program=programs.command("ovn-trace")) as tracer,
    ):
        snapshot, contents = cluster.northbound.snapshot(), southbound.read()
        return verify_objects(compiler.promises(), compiler.inventory, snapshot, contents, tracer=tracer)


def mark_of(finding: ObjectFinding) -> set[int | None]:
    """The traffic classes that the packet of a finding leaves with."""
    assert finding.example is not None
    return {None if one.dscp is None else one.dscp << 2 for one in finding.example.actual}


def test_the_guide_is_in_force(guide: Guide, programs: Programs) -> None:
    guide.cluster.apply(guide.policy)
    report = judge(guide.cluster, programs)
    assert report.in_force, report
    assert all(one.traced for one in report.findings if one.verdict is ObjectVerdict.IN_FORCE)
    seen = read_marks(guide.cluster.sandbox, probe(guide.pod("pod1"), guide.destination("pod2"), "udp"))
    assert seen.received == {20 << 2}
    assert ObjectVerdict.IN_FORCE in {one.verdict for one in report.findings}


def test_a_foreign_row_that_re_marks_is_found_and_its_mark_is_on_the_wire(guide: Guide, programs: Programs) -> None:
    guide.cluster.apply(guide.policy)
    central, receiver = guide.cluster.sandbox.central, guide.destination("pod2")
    central.nbctl("qos-add", "ovn.stream_ovn-worker", "to-lport", "30000", f"ip4.dst == {receiver.address}", "dscp=30")
    report = judge(guide.cluster, programs)
    seen = read_marks(guide.cluster.sandbox, probe(guide.pod("pod1"), receiver, "udp"))
    central.nbctl("qos-del", "ovn.stream_ovn-worker", "to-lport")
    (found,) = [one for one in report.findings if not one.verdict.is_good]
    assert (found.verdict, mark_of(found)) == (ObjectVerdict.DIFFERS, {30 << 2})
    assert f"to {receiver.address}" in found.reason
    assert seen.received == {30 << 2}


def test_rules_on_every_kind_of_network_are_in_force(matrix: Matrix, programs: Programs) -> None:
    rules = [
        rule(10, rate_kbps=5_000),
        rule(11, {"to": [{"podSelector": {"matchLabels": {"role": "target"}}}]}),
        rule(12, {"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]}}], "ports": udp_ports(80)}),
    ]
    matrix.cluster.apply(network_qos("all", rules, namespace=OWN, pods=LIMITED), expected=Code.NO_POD_ADDRESSES)
    report = judge(matrix.cluster, programs)
    assert report.in_force, [str(one) for one in report.diagnostics()]
    networks = {one.network for one in report.findings if one.verdict is ObjectVerdict.IN_FORCE}
    assert len(networks) == len(NETWORKS)


def test_to_lport_on_a_layer2_network_is_found_and_leaves_the_node_unmarked(matrix: Matrix, programs: Programs) -> None:
    selected = network_qos("flat", [rule(10)], namespace=OWN, pods=LIMITED, networks=[LAYER2.selector])
    desired = matrix.cluster.compile(selected)
    turned = {name: replace(row, direction=Direction.TO_LPORT) for name, row in desired.rows.items()}
    matrix.cluster.apply_desired(replace(desired, rows=turned))
    report = judge(matrix.cluster, programs)
    sender = matrix.sender("sender")
    wire = {
        place: read_marks(matrix.cluster.sandbox, probe(sender, matrix.target(LAYER2, place, 4), "udp"))
        for place in (SAME_NODE, OTHER_NODE)
    }
    (found,) = report.findings
    assert found.verdict is ObjectVerdict.PARTLY
    assert mark_of(found) == {None}
    assert "is looked up on the receiver's chassis" in found.reason
    assert wire[SAME_NODE].received == {10 << 2}
    assert wire[OTHER_NODE].wire == {0}
