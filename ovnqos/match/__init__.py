"""OVN match expressions as a typed tree: build, print and read them.

Use it as `from ovnqos import match as m`::

    m.inport("vm1") & m.ip4.dst.isin("203.0.113.0/24") & m.tcp.dst.isin(80, 443)

The language is that of ovn-sb(5), table Logical_Flow, column match.
"""

from ovnqos.match.build import (
    chassis_resident,
    icmp4,
    icmp6,
    inport,
    ip,
    ip4,
    ip6,
    outport,
    sctp,
    tcp,
    udp,
)
from ovnqos.match.parse import parse
from ovnqos.match.syntax import (
    FALSE,
    TRUE,
    And,
    Boolean,
    Comparison,
    Constant,
    FunctionCall,
    Match,
    Not,
    Or,
    References,
    Relation,
    Symbol,
    Verbatim,
    references,
)

__all__ = [
    "FALSE",
    "TRUE",
    "And",
    "Boolean",
    "Comparison",
    "Constant",
    "FunctionCall",
    "Match",
    "Not",
    "Or",
    "References",
    "Relation",
    "Symbol",
    "Verbatim",
    "chassis_resident",
    "icmp4",
    "icmp6",
    "inport",
    "ip",
    "ip4",
    "ip6",
    "outport",
    "parse",
    "references",
    "sctp",
    "tcp",
    "udp",
]
