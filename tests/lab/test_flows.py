"""What a policy costs on the chassis: OpenFlow flows."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from tests.support.lab_sandbox import ofctl

if TYPE_CHECKING:
    from ovnqos.sandbox import Sandbox, SandboxNode
    from tests.lab.support_guide import Guide
    from tests.lab.support_results import Results

FLOWS_MAXIMUM = 70
"""OpenFlow flows a chassis for the guide's rule, in each table that looks it up: before OVN 24.09 two, mark and meter.

They are the CIDRs of its ipBlock less its exceptions: 55.
"""


def test_the_guides_rule_costs_few_flows_and_leaves_none(guide: Guide, results: Results) -> None:
    sandbox = guide.cluster.sandbox
    before = {name: _flows(sandbox, node) for name, node in sandbox.nodes.items()}
    guide.cluster.apply(guide.policy)
    cookies = _cookies_of_rows(sandbox)
    for name, node in sandbox.nodes.items():
        added = _flows(sandbox, node) - before[name]
        by_table = sorted(added.values())
        results.remarks.append(f"OpenFlow flows of the guide's rule on {name}: {added.total()}, by table {by_table}")
        assert set(added) == cookies
        assert max(by_table) <= FLOWS_MAXIMUM
    guide.cluster.withdraw()
    assert {name: _flows(sandbox, node) for name, node in sandbox.nodes.items()} == before


def _flows(sandbox: Sandbox, node: SandboxNode) -> Counter[str]:
    """How many flows a node's integration bridge holds for each logical flow, by cookie: its UUID's first 8 digits.

    Other flows, of learned MAC addresses for example, come and go by themselves.
    """
    logical = {uuid[:8] for uuid in sandbox.central.sbctl("--bare", "--columns=_uuid", "list", "Logical_Flow").split()}
    cookies = (
        line.partition(",")[0].strip().removeprefix("cookie=0x").zfill(8)
        for line in ofctl(node, "dump-flows", "--no-stats").splitlines()
    )
    return Counter(cookie for cookie in cookies if cookie in logical)


def _cookies_of_rows(sandbox: Sandbox) -> set[str]:
    """The cookies of all QoS rows' logical flows: one a row, or two where mark and meter have tables of their own."""
    central = sandbox.central
    return {
        flow[:8]
        for row in central.nbctl("--bare", "--columns=_uuid", "list", "QoS").split()
        for flow in central.sbctl(
            "--bare", "--columns=_uuid", "find", "Logical_Flow", f"external_ids:stage-hint={row[:8]}"
        ).split()
    }
