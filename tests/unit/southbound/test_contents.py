"""Reading a Southbound's answers as RFC 7047 writes them: sets of one without brackets, references, maps."""

from __future__ import annotations

from typing import Any, ClassVar

from netaddr import IPAddress

from ovnqos.explain.pipeline import QOS_STAGES
from ovnqos.southbound.contents import QUERIES, QosFlow, SouthboundContents, SwitchPort, read_contents
from ovnqos.southbound.trace import FlowEffect, Meter

Row = dict[str, Any]

LAN, ROUTER, GROUP, NODE, FAR = (f"0000000{number}-0000-0000-0000-000000000000" for number in range(1, 6))
NB_LAN = "99999999-0000-0000-0000-000000000000"


def uuid(text: str) -> list[str]:
    return ["uuid", text]


def ovsdb_set(*members: Any) -> Any:
    return ["set", list(members)]


def ovsdb_map(**pairs: str) -> list[Any]:
    return ["map", [[key.replace("__", "-"), value] for key, value in pairs.items()]]


def read(**tables: list[Row]) -> SouthboundContents:
    """What is read where these tables have these rows and all others none; flows are by stage."""
    results = []
    for query in QUERIES:
        table = query["table"]
        if table == "Logical_Flow":
            (condition,) = query["where"]
            stage = condition[2][1][0][1]
            results.append({"rows": tables.get(stage, [])})
        else:
            results.append({"rows": tables.get(table, [])})
    return read_contents(results)


def flow(stage: str, **changes: Any) -> Row:
    return {
        "_uuid": uuid("aaaaaaaa-0000-0000-0000-000000000000"),
        "logical_datapath": uuid(LAN),
        "logical_dp_group": ovsdb_set(),
        "table_id": 9,
        "priority": 2000,
        "match": "ip4",
        "actions": "ip.dscp = 10; next;",
        "external_ids": ovsdb_map(stage__name=stage, stage__hint="01234567"),
        **changes,
    }


def port(name: str, **changes: Any) -> Row:
    return {
        "logical_port": name,
        "type": "",
        "mac": ovsdb_set(),
        "datapath": uuid(LAN),
        "chassis": ovsdb_set(),
        "options": ovsdb_map(),
        **changes,
    }


def test_an_empty_southbound_is_read() -> None:
    assert read() == SouthboundContents(
        nb_cfg=0,
        stages=frozenset(),
        flows=(),
        switches={},
        chassis=(),
        address_sets={},
        port_groups={},
    )


def test_each_stage_is_asked_for_by_name() -> None:
    assert tuple(QOS_STAGES) == (
        "ls_in_qos_mark",
        "ls_in_qos_meter",
        "ls_in_qos",
        "ls_out_qos_mark",
        "ls_out_qos_meter",
        "ls_out_qos",
    )
    assert sum(query["table"] == "Logical_Flow" for query in QUERIES) == len(QOS_STAGES)


class TestFlows:
    def test_a_flow_of_one_datapath(self) -> None:
        (found,) = read(ls_in_qos_mark=[flow("ls_in_qos_mark")]).flows
        assert found == QosFlow(
            uuid="aaaaaaaa-0000-0000-0000-000000000000",
            effect=FlowEffect(stage="ls_in_qos_mark", match="ip4", priority=2000, dscp=10, meter=None),
            table=9,
            datapaths=frozenset({LAN}),
            row_hint="01234567",
        )
        assert found.effect.direction == "from-lport"

    def test_a_flow_of_a_group_is_on_all_datapaths_of_the_group(self) -> None:
        groups = [{"_uuid": uuid(GROUP), "datapaths": ovsdb_set(uuid(LAN), uuid(ROUTER))}]
        rows = [flow("ls_out_qos_meter", logical_datapath=ovsdb_set(), logical_dp_group=uuid(GROUP))]
        (found,) = read(ls_out_qos_meter=rows, Logical_DP_Group=groups).flows
        assert found.datapaths == {LAN, ROUTER}
        assert found.effect.direction == "to-lport"

    def test_a_group_of_one_datapath_is_written_without_brackets(self) -> None:
        groups = [{"_uuid": uuid(GROUP), "datapaths": uuid(LAN)}]
        rows = [flow("ls_in_qos", logical_datapath=ovsdb_set(), logical_dp_group=uuid(GROUP))]
        (found,) = read(ls_in_qos=rows, Logical_DP_Group=groups).flows
        assert found.datapaths == {LAN}

    def test_actions_of_either_pipeline_version(self) -> None:
        def effect(actions: str) -> tuple[int | None, Meter | None]:
            (found,) = read(ls_in_qos=[flow("ls_in_qos", actions=actions)]).flows
            return found.effect.dscp, found.effect.meter

        assert effect("set_meter(20000); next;") == (None, Meter(rate_kbps=20000))
        assert effect("set_meter(20000, 2000); next;") == (None, Meter(rate_kbps=20000, burst_kbit=2000))
        assert effect("set_meter(5, 6); ip.dscp = 0; next;") == (0, Meter(rate_kbps=5, burst_kbit=6))
        assert effect("pkt.mark = 3; next;") == (None, None)

    def test_the_flow_that_passes_everything_on_names_the_stage_only(self) -> None:
        plain = flow(
            "ls_in_qos", priority=0, match="1", actions="next;", external_ids=ovsdb_map(stage__name="ls_in_qos")
        )
        contents = read(ls_in_qos=[plain])
        assert contents.flows == ()
        assert contents.stages == {"ls_in_qos"}


class TestSwitches:
    DATAPATH: ClassVar[Row] = {
        "_uuid": uuid(LAN),
        "tunnel_key": 7,
        "external_ids": ovsdb_map(logical__switch=NB_LAN, name="lan"),
    }

    def test_switches_go_by_their_uuid_in_the_northbound_and_routers_are_left_out(self) -> None:
        router = {"_uuid": uuid(ROUTER), "tunnel_key": 8, "external_ids": ovsdb_map(logical__router=NB_LAN)}
        switches = read(Datapath_Binding=[router, self.DATAPATH]).switches
        assert {name: one.uuid for name, one in switches.items()} == {NB_LAN: LAN}

    def test_a_southbound_with_columns_of_its_own_for_the_switch(self) -> None:
        new = {"_uuid": uuid(LAN), "tunnel_key": 7, "external_ids": ovsdb_map(), "type": "logical-switch"}
        assert read(Datapath_Binding=[{**new, "nb_uuid": uuid(NB_LAN)}]).switches.keys() == {NB_LAN}
        assert read(Datapath_Binding=[{**new, "type": "logical-router", "nb_uuid": uuid(NB_LAN)}]).switches == {}

    def test_ports_have_the_addresses_that_ovn_knows(self) -> None:
        chassis = [{"_uuid": uuid(NODE), "name": "n1", "hostname": "h1", "other_config": ovsdb_map()}]
        ports = [
            port("pod", mac="0a:58:0a:f4:00:03 10.244.0.3 fd10::3", chassis=uuid(NODE)),
            port("dynamic", mac=ovsdb_set("dynamic", "unknown")),
            port("to-router", type="patch", mac="router", options=ovsdb_map(peer="from-switch")),
            port("from-switch", datapath=uuid(ROUTER), mac="0a:58:0a:f4:00:01 10.244.0.1/24"),
        ]
        switches = read(Datapath_Binding=[self.DATAPATH], Port_Binding=ports, Chassis=chassis).switches
        assert switches[NB_LAN].ports == {
            "pod": SwitchPort(
                name="pod",
                mac="0a:58:0a:f4:00:03",
                addresses=(IPAddress("10.244.0.3"), IPAddress("fd10::3")),
                chassis="n1",
            ),
            "dynamic": SwitchPort(name="dynamic"),
            "to-router": SwitchPort(name="to-router", kind="patch", mac="0a:58:0a:f4:00:01"),
        }


def test_chassis_of_this_zone_that_are_still_there() -> None:
    def chassis(name: str, **other_config: str) -> Row:
        return {"_uuid": uuid(NODE), "name": name, "hostname": f"{name}.h", "other_config": ovsdb_map(**other_config)}

    private = [{"name": name, "nb_cfg": number} for number, name in enumerate(("b", "a", "far", "gone"))]
    found = read(Chassis=[chassis("a"), chassis("b"), chassis("far", is__remote="true")], Chassis_Private=private)
    assert [(one.name, one.hostname, one.nb_cfg) for one in found.chassis] == [("a", "a.h", 1), ("b", "b.h", 0)]


def test_the_parts_of_a_port_group_are_joined_under_its_own_name() -> None:
    rows = [{"name": "3_pods", "ports": "a"}, {"name": "12_pods", "ports": ovsdb_set("b", "c")}]
    rows += [{"name": "3_4_x", "ports": ovsdb_set()}]
    sets = [{"name": "peers", "addresses": "10.0.0.1"}, {"name": "none", "addresses": ovsdb_set()}]
    contents = read(Port_Group=rows, Address_Set=sets, SB_Global=[{"nb_cfg": 5}])
    assert contents.port_groups == {"pods": {"a", "b", "c"}, "4_x": frozenset()}
    assert contents.address_sets == {"peers": {"10.0.0.1"}, "none": frozenset()}
    assert contents.nb_cfg == 5
