"""Random match expressions over the whole language, so close to a few packets that they often take them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from netaddr import IPAddress, IPNetwork

from ovnqos import match as m
from ovnqos.match import Constant, ConstantKind, Packet, PacketProtocol

if TYPE_CHECKING:
    from random import Random

ADDRESS_SETS: Final = {
    "v4": frozenset({"10.0.0.2", "172.16.0.0/12"}),
    "one_v4": frozenset({"10.0.0.2"}),
    "v6": frozenset({"fd00::2", "2001:db8::/32"}),
    "host_bits": frozenset({"10.0.0.9/8", "192.0.2.1"}),
    "none": frozenset(),
}
GROUPS: Final = ("here", "beside", "elsewhere", "empty")
_RELATIONS: Final = tuple(m.Relation)
_EQUALITIES: Final = (m.Relation.EQUAL, m.Relation.EQUAL, m.Relation.EQUAL, m.Relation.NOT_EQUAL)
_ADDRESSES: Final = {
    4: ("10.0.0.1", "10.0.0.2", "10.0.0.0/8", "10.0.0.2/31", "0.0.0.0/0", "0.0.0.2/0.0.0.255", "10.0.0.3/30"),
    6: ("fd00::1", "fd00::2", "fd00::/64", "::/0", "2001:db8::9", "::2/::ffff", "fd00::3/127"),
}
_WIDTHS: Final = {"ip4.src": 32, "ip4.dst": 32, "ip6.src": 128, "ip6.dst": 128}
_PORTS: Final = ("80", "443", "0x50", "81", "0x50/0xf0", "80/15", "0", "70000", "10.0.0.80")
_SYMBOLS: Final = (
    "ip",
    "ip4",
    "ip6",
    "tcp",
    "udp",
    "sctp",
    "icmp",
    "icmp4",
    "icmp6",
    "arp",
    "ip.is_frag",
    "ip.later_frag",
)


def expression(random: Random, port: str, depth: int = 3) -> m.Match:
    """An expression for a switch whose port of entry has this name; one in six or so is not one that OVN can parse."""
    kind = random.random()
    if depth and kind < 0.45:
        operands = tuple(expression(random, port, depth - 1) for _ in range(random.randint(2, 3)))
        return m.And(operands) if random.random() < 0.5 else m.Or(operands)
    if depth and kind < 0.6:
        return m.Not(expression(random, port, depth - 1))
    return random.choice((_address, _address, _address, _transport, _transport, _port, _symbol, _other))(random, port)


def random_packet(random: Random) -> Packet:
    """A packet that enters by the port p of a switch with the ports p and q."""
    four = random.random() < 0.5
    protocol = random.choice(list(PacketProtocol))
    return Packet(
        inport="p",
        outport=random.choice(("q", "")),
        source=IPAddress("10.0.0.1" if four else "fd00::1"),
        destination=IPAddress(random.choice(("10.0.0.2", "172.16.0.9") if four else ("fd00::2", "2001:db8::9"))),
        protocol=protocol,
        source_port=None if protocol is PacketProtocol.ICMP else random.choice((80, 1024)),
        destination_port=None if protocol is PacketProtocol.ICMP else random.choice((80, 443)),
        switch_ports=frozenset({"p", "q"}),
    )


def respell(random: Random, match: m.Match) -> m.Match:
    """The same expression in other spellings: of numbers, of addresses, of predicates, of whole fields."""
    match match:
        case m.And() | m.Or():
            return type(match)(tuple(respell(random, operand) for operand in match.operands))
        case m.Not():
            return m.Not(respell(random, match.operand))
        case m.Symbol() if match.name in _SYMBOLS and random.random() < 0.5:
            return m.Comparison(match.name, m.Relation.EQUAL, (Constant(random.choice(("1", "0x1", "0x01/0x1"))),))
        case m.Comparison():
            masks = match.relation in _EQUALITIES
            constants = [_respell_constant(random, one, masks=masks) for one in match.constants]
            random.shuffle(constants)
            return m.Comparison(_respell_field(random, match.field), match.relation, tuple(constants))
    return match


def _respell_field(random: Random, field: str) -> str:
    width = _WIDTHS.get(field, 16 if field.endswith((".src", ".dst")) and not field.startswith("eth") else 0)
    return f"{field}[0..{width - 1}]" if width and random.random() < 0.3 else field


def _respell_constant(random: Random, constant: Constant, *, masks: bool) -> Constant:
    text, slash, mask = constant.text.partition("/")
    if constant.kind is not ConstantKind.NUMBER or random.random() < 0.3:
        return constant
    if slash and mask.isdecimal() and not text.isdecimal():
        return Constant(f"{text}/{IPNetwork(constant.text).netmask}")
    if slash:
        return constant
    number = int(text, 0) if text.isdecimal() or text.startswith("0x") else int(IPAddress(text))
    spellings = [f"0x{number:x}", f"0x{number:04X}"]
    if number < 1 << 64:
        spellings.append(str(number))
    if masks and not text.isdecimal() and not text.startswith("0x"):
        spellings.append(f"{text}/{32 if ':' not in text else 128}")
    return Constant(random.choice(spellings))


def _symbol(random: Random, _port: str) -> m.Match:
    return m.Symbol(random.choice(_SYMBOLS)) if random.random() < 0.9 else random.choice((m.TRUE, m.FALSE))


def _address(random: Random, _port: str) -> m.Match:
    version = random.choice((4, 6))
    field = f"ip{version}.{random.choice(('src', 'dst', 'dst'))}"
    if random.random() < 0.1:
        low = random.randint(0, 8)
        high = random.randint(low, low + 8)
        part = f"{field}[{low}..{high}]"
        return m.Comparison(part, random.choice(_RELATIONS), (Constant(str(random.randint(0, 3))),))
    if random.random() < 0.15:
        return m.Comparison(field, random.choice(_RELATIONS), (_one_address(random, version),))
    constants = tuple(_one_address(random, version) for _ in range(random.randint(1, 3)))
    return m.Comparison(field, random.choice(_EQUALITIES), constants)


def _one_address(random: Random, version: int) -> Constant:
    kind = random.random()
    if kind < 0.3:
        known = random.choice((f"v{version}", f"v{version}", "one_v4", "none", "host_bits"))
        return Constant(known, ConstantKind.ADDRESS_SET)
    if kind < 0.33:
        return Constant("missing", ConstantKind.ADDRESS_SET)
    return Constant(random.choice(_ADDRESSES[version if kind < 0.97 else 10 - version]))


def _transport(random: Random, _port: str) -> m.Match:
    field = f"{random.choice(('tcp', 'tcp', 'udp', 'sctp'))}.{random.choice(('dst', 'dst', 'src'))}"
    if random.random() < 0.3:
        return m.Comparison(field, random.choice(_RELATIONS), (Constant(random.choice(_PORTS)),))
    constants = tuple(Constant(random.choice(_PORTS[:5])) for _ in range(random.randint(1, 3)))
    return m.Comparison(field, random.choice(_EQUALITIES), constants)


def _port(random: Random, port: str) -> m.Match:
    constants = tuple(
        random.choice((Constant(port, ConstantKind.STRING), Constant("stranger", ConstantKind.STRING), _group(random)))
        for _ in range(random.randint(1, 2))
    )
    relation = m.Relation.EQUAL if random.random() < 0.9 else m.Relation.NOT_EQUAL
    return m.Comparison(random.choice(("inport", "inport", "inport", "outport")), relation, constants)


def _group(random: Random) -> Constant:
    return Constant(random.choice(("here", "here", "beside", *GROUPS)), ConstantKind.PORT_GROUP)


def _other(random: Random, port: str) -> m.Match:
    return random.choice(
        (
            m.Comparison("ip.proto", random.choice(_EQUALITIES), (Constant("6"), Constant("17"))),
            m.Comparison("eth.type", m.Relation.EQUAL, (Constant("0x800"),)),
            m.Comparison("tcp", random.choice(_EQUALITIES), (Constant(random.choice("01")),)),
            m.Comparison("icmp4.type", random.choice(_EQUALITIES), (Constant(random.choice(("8", "0"))),)),
            m.Comparison("icmp6.type", random.choice(_EQUALITIES), (Constant(random.choice(("128", "135"))),)),
            m.Symbol("ct.est"),
            m.FunctionCall("is_chassis_resident", port),
            m.Symbol("tcp.dst[4]"),
            m.Symbol("udp.dst"),
        )
    )
