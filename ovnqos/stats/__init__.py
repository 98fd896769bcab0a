"""What each limit and mark did to packets on this chassis: meters and flows of Open vSwitch, back to rows and objects.

`LocalChassis` reads, `rule_statistics` maps; nothing is written.
"""

from ovnqos.errors import ChassisUnavailable
from ovnqos.stats.chassis import Counters, LocalChassis
from ovnqos.stats.rules import MeterState, RuleStatistics, difference, rows_of_pod, rows_without_meter, rule_statistics
from ovnqos.stats.totals import MeteredRule, RuleTotals, Totals

__all__ = [
    "ChassisUnavailable",
    "Counters",
    "LocalChassis",
    "MeterState",
    "MeteredRule",
    "RuleStatistics",
    "RuleTotals",
    "Totals",
    "difference",
    "rows_of_pod",
    "rows_without_meter",
    "rule_statistics",
]
