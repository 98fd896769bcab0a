"""OVN match expressions as a typed tree: build, print and parse them, and hold them against packets.

Use it as `from ovnqos import match as m`::

    m.inport("vm1") & m.ip4.dst.isin("203.0.113.0/24") & m.tcp.dst.isin(80, 443)

The language is that of ovn-sb(5), table Logical_Flow, column match.
"""

from ovnqos.match.build import (
    chassis_resident,
    eth,
    icmp4,
    icmp6,
    inport,
    ip,
    ip4,
    ip6,
    is_fragment,
    outport,
    sctp,
    tcp,
    udp,
)
from ovnqos.match.evaluate import evaluate
from ovnqos.match.named_sets import NamedSets
from ovnqos.match.packet import Packet, PacketProtocol
from ovnqos.match.parse import MatchText, parse, read_match
from ovnqos.match.syntax import (
    FALSE,
    TRUE,
    And,
    Boolean,
    Comparison,
    Constant,
    ConstantKind,
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
from ovnqos.match.terms import can_overlap
from ovnqos.match.verdict import Truth, Verdict

__all__ = [
    "FALSE",
    "TRUE",
    "And",
    "Boolean",
    "Comparison",
    "Constant",
    "ConstantKind",
    "FunctionCall",
    "Match",
    "MatchText",
    "NamedSets",
    "Not",
    "Or",
    "Packet",
    "PacketProtocol",
    "References",
    "Relation",
    "Symbol",
    "Truth",
    "Verbatim",
    "Verdict",
    "can_overlap",
    "chassis_resident",
    "eth",
    "evaluate",
    "icmp4",
    "icmp6",
    "inport",
    "ip",
    "ip4",
    "ip6",
    "is_fragment",
    "outport",
    "parse",
    "read_match",
    "references",
    "sctp",
    "tcp",
    "udp",
]
