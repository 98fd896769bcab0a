"""Where OVN's versions differ, or leave open what happens: several rows that one packet matches.

Before 24.09 a row's mark and its meter are looked up in two tables, each on its own; from 24.09 on the row of the
highest priority wins with all that it has, and all that it lacks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovnqos import DesiredState, Direction, QosRow
from ovnqos import match as m
from ovnqos.diagnostics import Code
from ovnqos.sandbox import read_marks
from tests.lab.support_cluster import network_qos
from tests.lab.support_matrix import LIMITED, expected_marks, probe
from tests.lab.support_networks import DEFAULT_NETWORK, OTHER_NODE, OWN
from tests.lab.support_rates import limit, limited_rule, measure_rates, udp_stream
from tests.lab.support_results import TOLERANCE, Cell, MarkResult, RateResult

if TYPE_CHECKING:
    from tests.lab.support_matrix import Matrix
    from tests.lab.support_results import Results

DSCP, OTHER_DSCP = 20, 30
RATE_KBPS, OTHER_RATE_KBPS = 2000, 4000
PORT = 6900
ONE_TABLE = (24, 9)
"""The version of OVN from which on mark and meter are one table."""


def test_a_mark_over_a_rate_lifts_the_limit_where_mark_and_meter_are_one_table(
    matrix: Matrix, results: Results, ovn_version: str
) -> None:
    sender, target = matrix.sender("sender"), matrix.target(DEFAULT_NETWORK, OTHER_NODE, 4)
    attachment = sender.attachment(DEFAULT_NETWORK.key)
    match = m.inport(attachment.port) & m.udp.dst.isin(PORT)
    switches = frozenset([attachment.switch])
    rows = [
        QosRow(switches=switches, direction=Direction.TO_LPORT, priority=200, match=match, dscp=DSCP),
        QosRow(
            switches=switches,
            direction=Direction.TO_LPORT,
            priority=100,
            match=match,
            rate_kbps=RATE_KBPS,
            burst_kbit=RATE_KBPS,
        ),
    ]
    matrix.cluster.apply_desired(DesiredState.of(rows=rows))
    year, month = map(int, ovn_version.split("."))
    limited = (year, month) < ONE_TABLE
    offered_kbps = 3 * RATE_KBPS
    cell = Cell(
        network=DEFAULT_NETWORK.title,
        place=OTHER_NODE,
        version=4,
        scene="a mark-only row over a rate-only row",
        sent="UDP",
        outcome="the rate holds" if limited else "no limit",
    )
    seen = read_marks(matrix.cluster.sandbox, probe(sender, target, "udp", PORT))
    results.check_marks([MarkResult(cell=cell, expected=expected_marks(DSCP, OTHER_NODE), seen=seen)])
    stream = udp_stream(sender, target, port=PORT, offered_kbps=offered_kbps)
    measured = measure_rates(matrix.cluster.sandbox, [stream])[0].bits_per_second
    expected = limit(RATE_KBPS, RATE_KBPS) if limited else offered_kbps * 1000
    results.check_rates([RateResult(cell=cell, expected=expected, seen=measured)])
    results.remarks.append(
        f"a mark-only row over a rate-only row, rate {RATE_KBPS / 1e3:g} Mbit/s, {offered_kbps / 1e3:g} offered: "
        f"{measured / 1e6:.2f} Mbit/s arrive, {'limited' if limited else 'no limit'}"
    )


def test_of_two_policies_of_equal_priority_one_wins(matrix: Matrix, results: Results) -> None:
    marks = {DSCP: "the first", OTHER_DSCP: "the second"}
    rates = {limit(RATE_KBPS): "the first", limit(OTHER_RATE_KBPS): "the second"}
    policies = [
        network_qos(name, [limited_rule(dscp, PORT, rate)], namespace=OWN, pods=LIMITED, priority=10)
        for name, dscp, rate in (("first", DSCP, RATE_KBPS), ("second", OTHER_DSCP, OTHER_RATE_KBPS))
    ]
    matrix.cluster.apply(*policies, expected=Code.CONFLICT)
    sender, target = matrix.sender("sender"), matrix.target(DEFAULT_NETWORK, OTHER_NODE, 4)
    seen = read_marks(matrix.cluster.sandbox, probe(sender, target, "udp", PORT))
    stream = udp_stream(sender, target, port=PORT, offered_kbps=3 * OTHER_RATE_KBPS)
    measured = measure_rates(matrix.cluster.sandbox, [stream])[0].bits_per_second
    marked = [name for dscp, name in marks.items() if seen == expected_marks(dscp, OTHER_NODE)]
    limited = [name for rate, name in rates.items() if abs(measured / rate - 1) <= TOLERANCE]
    assert len(marked) == 1, seen
    assert len(limited) == 1, measured
    results.remarks.append(f"two policies of equal priority: the mark is {marked[0]}'s, the rate {limited[0]}'s")
