"""Random desired states in OVN's own terms, and random mischief in a database."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ovnqos import AddressSet, DesiredState, Direction, Owner, PortGroup, QosRow
from ovnqos import match as m
from ovnqos.controller import ActualRow, ActualSet
from ovnqos.plan.snapshot import RowContent, SetContent, SetKind
from tests.support.database import ID_KEY, OBJECT_KEY, OWNER_KEY, Database, stored

if TYPE_CHECKING:
    from collections.abc import Iterable
    from random import Random

OWNER = Owner("tester")
SWITCHES = ("s1", "s2", "s3", "later")
PORTS = ("p1", "p2", "p3", "p-later")
OBJECTS = ("NetworkQoS/a/x", "NetworkQoS/a/y", "NetworkQoS/b/z")
THERE = (SWITCHES[:-1], PORTS[:-1])
SETS = ("one", "two", "three", "four")
ADDRESSES = tuple(f"10.0.0.{host}" for host in range(6))


def _subset(random: Random, pool: Iterable[str], low: int = 0) -> frozenset[str]:
    pool = list(pool)
    return frozenset(random.sample(pool, random.randint(low, len(pool))))


def _expression(random: Random, groups: Iterable[str], sets: Iterable[str]) -> m.Match:
    parts: list[m.Match] = [random.choice((m.ip4, m.tcp.dst.isin(80, 443), m.inport("p1", "$no @no")))]
    parts += [m.inport.in_group(name) for name in _subset(random, groups)]
    parts += [m.ip4.dst.in_set(name) for name in _subset(random, sets)]
    return m.And.of(*parts)


def desired_state(random: Random, *, retained: bool = False) -> DesiredState:
    """Rows of few identities and objects, with the sets that they use, and now and then one that they do not.

    A group and a set may have one name: they are of different tables.
    """
    groups, sets = _subset(random, SETS), _subset(random, SETS)
    rows = []
    for identity in _subset(random, (f"id{number}" for number in range(7))):
        limited = random.random() < 0.5
        rows.append(
            QosRow(
                switches=_subset(random, SWITCHES, 1),
                direction=random.choice(list(Direction)),
                priority=random.randint(1, 5),
                match=_expression(random, groups, sets),
                dscp=None if limited and random.random() < 0.3 else random.choice((0, 20)),
                rate_kbps=random.choice((1, 500)) if limited else None,
                burst_kbit=random.choice((None, 7)) if limited else None,
                identity=identity,
                # an identity is always of one object, or of none
                external_ids={} if identity == "id0" else {OBJECT_KEY: OBJECTS[int(identity[2:]) % 3], "note": "x"},
            )
        )
    wanted_rows = [row for row in rows if not retained or row.external_ids.get(OBJECT_KEY) != OBJECTS[0]]
    return DesiredState.of(
        rows=wanted_rows,
        port_groups=[PortGroup(name=name, ports=_subset(random, PORTS)) for name in groups],
        address_sets=[AddressSet(name=name, addresses=_subset(random, ADDRESSES)) for name in sets],
        retained=OBJECTS[:1] if retained else (),
    )


def foreign_row(random: Random, uuid: str) -> ActualRow:
    """A row of somebody else, or one whose owner somebody wiped; it may use our sets' names."""
    return ActualRow(
        uuid=uuid,
        content=RowContent(
            direction="to-lport",
            priority=random.randint(1, 5),
            match=random.choice(("ip4", "ip4.dst == $one", 'outport == "x"')),
            action={"dscp": 9},
            bandwidth={},
            external_ids=random.choice(
                (
                    {},
                    {OWNER_KEY: "other", ID_KEY: "id1", OBJECT_KEY: OBJECTS[0]},
                    {ID_KEY: "id2"},
                    {"k8s.ovn.org/owner-type": "EgressQoS"},
                )
            ),
        ),
        switches=_subset(random, THERE[0], 1),
    )


def foreign_set(uuid: str) -> ActualSet:
    """A set of somebody else."""
    content = SetContent(
        kind=SetKind.ADDRESS_SET, name=f"others_{uuid}", members=frozenset(ADDRESSES[:1]), external_ids={}
    )
    return ActualSet(uuid=uuid, content=content)


def database(random: Random, earlier: DesiredState, *, mischief: bool = True) -> Database:
    """A Northbound that an earlier desired state was applied to, with rows of others and what people did by hand."""
    one = stored(earlier, OWNER, *THERE)
    rows = {**one.rows, **{uuid: foreign_row(random, uuid) for uuid in ("f1", "f2")}}
    found = replace(one, rows=rows, sets={**one.sets, "fs": foreign_set("fs")})
    for number in range(random.randint(1, 5) if mischief else 0):
        found = meddle(random, found, number)
    return found


def meddle(random: Random, found: Database, number: int) -> Database:
    """The same after somebody did something by hand to a row or set of ours; `number` tells new rows apart."""
    rows, sets = dict(found.rows), dict(found.sets)
    ours = sorted(uuid for uuid, row in rows.items() if row.content.external_ids.get(OWNER_KEY) == OWNER.name)
    our_sets = sorted(uuid for uuid, one in sets.items() if one.content.external_ids.get(OWNER_KEY) == OWNER.name)
    what = random.choice(("edit", "edit", "duplicate", "delete", "rebind", "wipe identity", "set", "set", "wipe set"))
    if what in {"set", "wipe set"}:
        if our_sets:
            one = sets[random.choice(our_sets)]
            members = one.content.members ^ {
                random.choice(ADDRESSES if "ADDRESS" in one.content.kind.name else PORTS[:3])
            }
            external_ids = {} if what == "wipe set" else {**one.content.external_ids, "note": "by hand"}
            content = replace(one.content, members=members, external_ids=external_ids)
            sets[one.uuid] = replace(one, content=content)
    elif ours:
        row = rows[random.choice(ours)]
        if what == "edit":
            rows[row.uuid] = replace(row, content=_edited(random, row.content))
        elif what == "duplicate":
            uuid = f"{random.choice('az')}-copy-{number}"
            copy = random.choice((row.content, _edited(random, row.content)))
            rows[uuid] = ActualRow(uuid=uuid, content=copy, switches=_subset(random, THERE[0], 1))
        elif what == "delete":
            del rows[row.uuid]
        elif what == "rebind":
            rows[row.uuid] = replace(row, switches=_subset(random, THERE[0], 1))
        else:
            gone = random.choice(((ID_KEY,), (ID_KEY, OBJECT_KEY)))
            left = {key: value for key, value in row.content.external_ids.items() if key not in gone}
            rows[row.uuid] = replace(row, content=replace(row.content, external_ids=left))
    return replace(found, rows=rows, sets=sets)


def _edited(random: Random, content: RowContent) -> RowContent:
    return random.choice(
        (
            replace(content, direction="from-lport" if content.direction == "to-lport" else "to-lport"),
            replace(content, priority=content.priority + 1),
            replace(content, match="ip6"),
            replace(content, action={"dscp": 63}),
            replace(content, bandwidth={"rate": 3, "burst": 3}),
            replace(content, external_ids={**content.external_ids, "note": "by hand", "more": ""}),
        )
    )
