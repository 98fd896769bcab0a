"""`ovnqos verify` against real databases and northd: every way in which a row can fail, made on purpose."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from ovnqos import AddressSet, Direction, PortGroup
from ovnqos import match as m
from ovnqos.explain.pipeline import PipelineVersion
from ovnqos.match import Verbatim
from ovnqos.sandbox import Central
from tests.functional.support_command import ovnqos
from tests.functional.support_manifests import pod, policy, rule, write
from tests.functional.support_verify import apply, bind, findings, register_chassis, row, verdicts, verify, wire_lan
from tests.support.ovn_programs import ovn_version, trace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TO_OUTSIDE = m.inport("a") & m.ip4.dst.isin("203.0.113.0/24")


def is_split() -> bool:
    """Whether the OVN installed here looks up mark and limit apart."""
    return PipelineVersion.of_release(ovn_version()) is PipelineVersion.SPLIT


@pytest.fixture(scope="module")
def running() -> Iterator[Central]:
    """Northbound, Southbound and northd for all tests here."""
    with Central() as central:
        wire_lan(central)
        yield central


@pytest.fixture
def central(running: Central) -> Iterator[Central]:
    """The same, with the switch `lan` and no rows; what the test adds to it is taken off."""
    yield running
    running.northd.thaw()
    apply(running, caught_up=False)
    running.nbctl("qos-del", "lan", "--", "acl-del", "lan", "--", "--all", "destroy", "Address_Set")
    running.nbctl("--all", "destroy", "Port_Group")
    running.sbctl("--all", "destroy", "Chassis_Private", "--", "--all", "destroy", "Chassis")
    running.nbctl("--wait=sb", "sync")


class TestRealised:
    def test_a_row_in_force_says_what_ovn_does_to_a_packet(self, central: Central) -> None:
        apply(central, row(burst_kbit=5_000))
        ended = verify(central)
        assert (ended.code, ended.errors, ended.warnings) == (0, [], []), ended
        header, line = ended.out.splitlines()
        assert header.split() == ["OBJECT", "RULE", "SWITCH", "DIRECTION", "PRIORITY", "VERDICT", "REASON"]
        assert "  lan     from-lport      2000  realised" in line
        assert "realised  a to 203.0.113.1, udp port 9: dscp=10, rate=1000 burst=5000" in line
        assert ended.err == "1 row on 1 switch: 1 realised\n"

    def test_what_keeps_neighbour_discovery_from_limits(self, central: Central) -> None:
        discovery = m.parse("icmp6.type == {135, 136}")
        rule_of_it = {"ovnqos.io/rule": "neighbour-discovery"}
        apply(central, row(priority=32_767, match=discovery, dscp=None, external_ids=rule_of_it))
        ended = verify(central)
        assert (ended.code, ended.errors) == (0, []), ended
        assert [one["verdict"] for one in findings(central)] == ["realised"]

    def test_rows_that_are_alike_on_two_switches_share_flows_and_are_both_found(self, central: Central) -> None:
        wire_lan(central, "second")
        apply(central, row(switches=frozenset({"lan", "second"}), match=m.ip4.dst.isin("203.0.113.0/24")))
        assert [(one["switch"], one["verdict"]) for one in findings(central)] == [
            ("lan", "realised"),
            ("second", "realised"),
        ]
        central.nbctl("ls-del", "second")

    def test_two_equal_rows_of_two_switches_keep_one_hint_and_are_both_found(self, central: Central) -> None:
        wire_lan(central, "second")
        match = m.ip4.dst.isin("203.0.113.0/24")
        apply(
            central,
            row(identity="one", match=match),
            row(identity="two", match=match, switches=frozenset({"second"})),
        )
        flows = central.sbctl("--bare", "--columns=external_ids", "find", "Logical_Flow", "priority=2000")
        assert flows.count("stage-hint") == 2, flows  # one for the mark, one for the meter
        assert verdicts(central) == ["realised", "realised"]
        central.nbctl("ls-del", "second")

    @pytest.mark.parametrize("direction", Direction)
    @pytest.mark.parametrize(
        "match",
        [
            m.inport("a"),
            m.inport("a") & m.ip,
            m.inport("a") & m.ip6.dst.isin("2001:db8:7::/48"),
            m.inport("a") & m.ip4.dst.isin("10.0.0.2") & m.tcp.dst.isin(80, 443),
            m.inport("a") & m.ip4.src.isin("192.0.2.0/24"),
            m.ip4.dst.isin("0.0.0.0/0") & m.sctp,
            m.inport("a") & (m.udp.dst.isin(53) | m.icmp4),
            Verbatim('inport == "a" && ip4.dst != {10.0.0.0/8, 203.0.113.0/24} && tcp.dst > 1023'),
            Verbatim("!(ip4.dst == 203.0.113.0/24) && ip4 && udp.src < 1024"),
            Verbatim("ip4.src == 10.0.0.2 && ip.proto == 17"),
            Verbatim("icmp6.type == {133, 134, 135, 136, 137, 143}"),
            Verbatim('inport == "a" && icmp4.type == 3 && !ip.is_frag'),
        ],
        ids=str,
    )
    def test_a_sample_is_found_for_matches_of_all_kinds(
        self, central: Central, match: m.Match, direction: Direction
    ) -> None:
        apply(central, row(match=match, direction=direction))
        (found,) = findings(central)
        assert found["verdict"] == "realised", found

    def test_a_row_for_what_goes_to_a_port_is_tried_with_a_packet_to_it(self, central: Central) -> None:
        apply(central, row(match=m.outport("b"), direction=Direction.TO_LPORT))
        (found,) = findings(central)
        assert (found["verdict"], found["reason"].split(",")[0]) == ("realised", "a to 10.0.0.2")

    def test_sets_and_groups_are_looked_into(self, central: Central) -> None:
        apply(
            central,
            row(match=m.inport.in_group("pods") & m.ip4.dst.in_set("peers")),
            port_groups=[PortGroup(name="pods", ports=frozenset({"b", "c"}))],
            address_sets=[AddressSet.of("peers", ["198.51.100.7"])],
        )
        (found,) = findings(central)
        assert found["verdict"] == "realised"
        assert found["reason"].startswith("b to 198.51.100.7, udp")

    def test_the_address_set_that_northd_derives_from_a_group_is_there(self, central: Central) -> None:
        group = PortGroup(name="pods", ports=frozenset({"b"}))
        apply(central, row(match=m.inport.in_group("pods") & m.ip4.src.in_set("pods_ip4")), port_groups=[group])
        assert verdicts(central) == ["realised"]

    def test_an_empty_set_beside_another_way_to_match_is_no_fault(self, central: Central) -> None:
        match = m.inport("a") & m.ip4.dst.isin_any(blocks=["203.0.113.9"], address_sets=["nobody"])
        apply(central, row(match=match), address_sets=[AddressSet.of("nobody", [])])
        assert verdicts(central) == ["realised"]

    def test_rows_of_manifests_go_by_object_rule_and_port(self, central: Central, tmp_path: Path) -> None:
        words = ["ls-add", "node1"]
        for number, name in enumerate(("a", "b", "other"), start=1):
            words += ["--", "lsp-add", "node1", f"shop_{name}"]
            words += ["--", "lsp-set-addresses", f"shop_{name}", f"02:00:00:00:01:0{number} 10.0.1.{number}"]
        central.nbctl(*words)
        limited, sender = pod("a", "10.0.1.1"), pod("b", "10.0.1.2")
        limited["metadata"]["annotations"]["kubernetes.io/ingress-bandwidth"] = "10M"
        sender["metadata"]["annotations"]["kubernetes.io/egress-bandwidth"] = "10M"
        gold = policy("gold", rule(10, bandwidth={"rate": 1000}))
        gold["metadata"]["annotations"] = {"ovnqos.io/bandwidth-scope": "pod"}
        write(tmp_path / "all.yaml", gold, limited, sender)
        assert ovnqos("apply", "-f", tmp_path, "--nb", central.northbound.remote).code == 0
        central.nbctl("--wait=sb", "sync")
        ended = verify(central)
        central.nbctl("ls-del", "node1")
        assert ended.code == 0, ended
        found = sorted(line.split(" node1 ")[0].strip() for line in ended.out.splitlines()[1:])
        assert set(found) == {
            "NetworkQoS/shop/gold  0 port shop_a",
            "NetworkQoS/shop/gold  0 port shop_b",
            "Pod/shop/a            ingress",
            "Pod/shop/b            egress",
        }
        # the pod's limit has joined the rule, whose own row for packets to the receiver on this switch is not reached
        joined = [line for line in ended.out.splitlines() if ", by Pod/shop/b rule egress (priority 10401)" in line]
        assert [line.split()[:7] for line in joined] == [
            ["NetworkQoS/shop/gold", "0", "port", "shop_b", "node1", "from-lport", "10400"]
        ]

    def test_without_trace_a_row_needs_its_flows_only(self, central: Central) -> None:
        apply(central, row())
        (found,) = findings(central, "--no-trace")
        assert (found["verdict"], found["reason"], found["sample"]) == ("realised", None, None)

    def test_a_row_that_was_just_written_gets_time(self, central: Central) -> None:
        apply(central, row(), caught_up=False)
        assert verdicts(central, "-t", "10") == ["realised"]

    def test_no_rows_are_no_fault(self, central: Central) -> None:
        ended = verify(central)
        assert (ended.code, ended.out, ended.err) == (0, "", "0 rows on 0 switches: nothing to verify\n")


class TestBroken:
    @pytest.mark.parametrize(
        ("match", "missing"),
        [
            ('inport == "a" && ip4.dst == $nosuch', "address set nosuch"),
            ("inport == @nosuch", "port group nosuch"),
            ("inport == @nosuch && (ip4.dst == $none || udp)", "port group nosuch and no address set none"),
        ],
    )
    def test_a_set_that_is_not_there_is_named(self, central: Central, match: str, missing: str) -> None:
        apply(central, row(match=Verbatim(match)))
        for words in ((), ("--no-trace",)):
            ended = verify(central, *words)
            assert ended.code == 1
            (error,) = ended.errors
            assert f"from-lport 2000 on lan: the Northbound has no {missing}, so OVN ignores the row" in error
            assert "ovnqos apply" in error

    @pytest.mark.parametrize(
        ("match", "said"),
        [
            ("tcp.dst == 70000", "17-bit constant is not compatible with 16-bit field tcp.dst"),
            ('inport == "a" && ip4.dst == {}', "Syntax error"),
            ("ip4 && tcp || udp", "&& and || must be parenthesized"),
            ("ip4 && !(udp || tcp)", "may only be tested positively"),
        ],
    )
    def test_a_match_that_ovn_cannot_read_is_told_with_ovns_reason(
        self, central: Central, match: str, said: str
    ) -> None:
        apply(central, row(match=Verbatim(match)), row(identity="good", priority=1))
        broken, good = findings(central)
        assert (broken["verdict"], good["verdict"]) == ("broken", "realised"), (broken, good)
        assert said in broken["reason"]


class TestIdle:
    def test_an_empty_port_group(self, central: Central) -> None:
        group = PortGroup(name="pods", ports=frozenset())
        apply(central, row(match=m.inport.in_group("pods")), port_groups=[group])
        ended = verify(central)
        assert ended.code == 1
        (error,) = ended.errors
        assert "from-lport 2000 on lan: port group pods is empty" in error
        assert "ovnqos diff" in error

    def test_an_empty_address_set(self, central: Central) -> None:
        match = m.inport("a") & m.ip4.dst.in_set("nobody")
        apply(central, row(match=match), address_sets=[AddressSet.of("nobody", [])])
        (found,) = findings(central, "--no-trace")
        assert found["verdict"] == "idle"
        assert "address set nobody is empty" in found["reason"]

    def test_a_port_group_without_a_port_on_this_switch(self, central: Central) -> None:
        wire_lan(central, "second")
        group = PortGroup(name="pods", ports=frozenset({"second-a"}))
        apply(central, row(switches=frozenset({"lan", "second"}), match=m.inport.in_group("pods")), port_groups=[group])
        here, there = findings(central)
        assert (here["verdict"], there["verdict"]) == ("idle", "realised")
        assert "port group pods has no port on this switch" in here["reason"]
        central.nbctl("ls-del", "second")

    def test_a_group_without_a_port_on_this_switch_spoils_the_other_ways_to_match_too(self, central: Central) -> None:
        """OVN does not know the group there, and ignores the whole match."""
        wire_lan(central, "second")
        group = PortGroup(name="pods", ports=frozenset({"second-a"}))
        match = m.inport.in_group("pods") | m.ip4.dst.isin("203.0.113.0/24")
        apply(central, row(match=match), port_groups=[group])
        assert verdicts(central) == ["idle"]
        packet = 'inport == "a" && ip4.src == 10.0.0.1 && ip4.dst == 203.0.113.1 && ip.ttl == 64'
        assert "ls_in_qos" not in trace(central, "lan", packet, "--detailed")
        central.nbctl("ls-del", "second")

    @pytest.mark.parametrize("match", ['outport == "b"', "ip4.src == 10.0.0.1 && ip6", "tcp && udp"])
    def test_a_row_that_can_match_nothing_is_idle(self, central: Central, match: str) -> None:
        apply(central, row(match=Verbatim(match)))
        assert verdicts(central) == ["idle"]


class TestNorthd:
    def test_northd_that_does_not_run_leaves_a_new_row_without_flows(self, central: Central) -> None:
        central.northd.freeze()
        apply(central, row(), caught_up=False)
        ended = verify(central)
        assert ended.code == 1
        (error,) = ended.errors
        assert "northd has made no logical flow" in error
        assert "check that ovn-northd runs" in error
        central.northd.thaw()
        assert verdicts(central, "-t", "10") == ["realised"]

    def test_a_row_that_northd_has_not_renewed(self, central: Central) -> None:
        apply(central, row(identity="same"))
        central.northd.freeze()
        apply(central, row(identity="same", rate_kbps=2_000), caught_up=False)
        (found,) = findings(central)
        assert found["verdict"] == "absent"
        assert "in ls_in_qos_meter" in found["reason"] or "an earlier version of the row" in found["reason"]

    def test_a_switch_that_northd_has_not_made(self, central: Central) -> None:
        central.northd.freeze()
        central.nbctl("ls-add", "young")
        apply(central, row(switches=frozenset({"young"}), match=m.ip4), caught_up=False)
        (found,) = findings(central)
        assert (found["verdict"], found["reason"]) == ("absent", "the Southbound has no switch young yet")
        central.nbctl("ls-del", "young")

    def test_members_that_northd_has_not_copied(self, central: Central) -> None:
        match = m.inport("a") & m.ip4.dst.in_set("peers")
        apply(central, row(match=match), address_sets=[AddressSet.of("peers", ["198.51.100.7"])])
        central.northd.freeze()
        apply(central, row(match=match), address_sets=[AddressSet.of("peers", ["198.51.100.8"])], caught_up=False)
        (found,) = findings(central, "--no-trace")
        assert found["verdict"] == "absent"
        assert "other members of address set peers" in found["reason"]

    def test_a_number_that_northd_has_not_worked_off(self, central: Central) -> None:
        apply(central, row())
        central.northd.freeze()
        central.nbctl("set", "NB_Global", ".", "nb_cfg=1000000")
        ended = verify(central)
        assert ended.code == 1
        assert "northd has not caught up" in ended.errors[0]


class TestChassis:
    def nb_cfg(self, central: Central) -> int:
        return int(central.nbctl("get", "NB_Global", ".", "nb_cfg"))

    def test_one_that_is_behind_is_named_and_fails_only_its_rows(self, central: Central) -> None:
        apply(central, row(), row(identity="b", match=m.inport("b")))
        now = self.nb_cfg(central)
        register_chassis(central, "quick", nb_cfg=now)
        register_chassis(central, "dead", nb_cfg=now - 1)
        bind(central, "a", "quick")
        bind(central, "b", "dead")
        ended = verify(central)
        assert ended.code == 1
        (error,) = ended.errors
        assert error.startswith("Chassis dead (dead.example.com): not caught up, so 1 row on lan ")
        assert "; on dead.example.com, check " in error
        assert sorted(verdicts(central)) == ["behind", "realised"]

    def test_one_without_a_port_of_ours_is_a_warning(self, central: Central) -> None:
        apply(central, row())
        register_chassis(central, "elsewhere", nb_cfg=self.nb_cfg(central) - 1)
        ended = verify(central)
        assert ended.code == 0
        (warning,) = ended.warnings
        assert warning.startswith("Chassis elsewhere (elsewhere.example.com): not caught up, but no row")

    def test_those_of_other_zones_and_those_that_are_gone_do_not_count(self, central: Central) -> None:
        apply(central, row())
        register_chassis(central, "remote", nb_cfg=0, other_config="{is-remote=true}")
        central.sbctl("create", "Chassis_Private", "name=gone", "nb_cfg=0")
        bind(central, "a", "remote")
        ended = verify(central)
        assert (ended.code, ended.warnings) == (0, [])

    def test_wait_asks_once_and_waits_no_longer_than_it_may(self, central: Central) -> None:
        apply(central, row())
        now = self.nb_cfg(central)
        register_chassis(central, "dead", nb_cfg=now)
        bind(central, "a", "dead")
        assert verify(central).code == 0
        ended = verify(central, "--wait")
        assert self.nb_cfg(central) == now + 1
        assert ended.code == 1
        assert ended.errors[0].startswith("Chassis dead (dead.example.com): not caught up")
        document = json.loads(verify(central, "-o", "json").out)
        assert (document["nb_cfg"], document["northd"]) == (now + 1, {"nb_cfg": now + 1, "caught_up": True})
        assert document["chassis"] == [
            {"name": "dead", "hostname": "dead.example.com", "nb_cfg": now, "caught_up": False}
        ]

    def test_what_apply_wrote_is_not_realised_while_a_chassis_stands_still(
        self, central: Central, tmp_path: Path
    ) -> None:
        central.nbctl("ls-add", "node1", "--", "lsp-add", "node1", "shop_a", "--", "lsp-add", "node1", "shop_b")
        central.nbctl("lsp-set-addresses", "shop_b", "02:00:00:00:01:02 10.0.1.2")
        central.nbctl("--wait=sb", "sync")
        register_chassis(central, "frozen", nb_cfg=self.nb_cfg(central))
        bind(central, "shop_a", "frozen")
        write(tmp_path / "all.yaml", policy(), pod("a", "10.0.1.1"))
        place = ("-f", tmp_path, "--nb", central.northbound.remote)
        before = self.nb_cfg(central)
        assert ovnqos("apply", *place).code == 0
        assert self.nb_cfg(central) == before + 1
        ended = verify(central, "-t", "5")
        assert (ended.code, [error.partition(":")[0] for error in ended.errors]) == (
            1,
            ["Chassis frozen (frozen.example.com)"],
        )
        assert ovnqos("apply", *place).code == 0
        assert self.nb_cfg(central) == before + 1  # nothing was written
        central.nbctl("ls-del", "node1")


class TestShadowed:
    def test_a_row_that_one_above_takes_whole(self, central: Central) -> None:
        apply(central, row(), row(identity="above", priority=3_000, match=m.ip4, dscp=1))
        above, shadowed = findings(central)
        assert (above["verdict"], shadowed["verdict"]) == ("realised", "shadowed")
        assert shadowed["reason"].startswith(f"shadowed by row {above['uuid'][:8]} (priority 3000): no sample packet")
        assert verify(central).code == 1

    def test_a_row_that_several_above_take_whole_between_them(self, central: Central) -> None:
        halves = [m.ip4.dst.isin("203.0.113.0/25"), m.ip4.dst.isin("203.0.113.128/25")]
        apply(central, row(), *(row(identity=str(half), priority=3_000, match=half, dscp=1) for half in halves))
        shadowed = findings(central)[-1]
        assert shadowed["verdict"] == "shadowed"
        assert shadowed["reason"].count("(priority 3000)") == 2

    def test_a_row_that_is_shadowed_in_part_is_realised_with_a_detail(self, central: Central) -> None:
        rows = [
            row(match=m.inport("a")),
            row(identity="v4", priority=3_000, match=m.ip4.dst.isin("0.0.0.0/1"), dscp=1),
            row(identity="v4-rest", priority=3_001, match=m.ip4.dst.isin("128.0.0.0/1") & m.udp, dscp=1),
        ]
        apply(central, *rows)
        found = findings(central)[-1]
        assert found["verdict"] == "realised"
        assert any(detail.startswith("partly shadowed by row ") for detail in found["details"])
        assert verify(central).code == 0

    def test_one_address_that_rows_above_leave_is_found(self, central: Central) -> None:
        above = [
            m.ip4.dst.isin("203.0.113.0/26"),
            m.ip4.dst.isin("203.0.113.128/25"),
            m.ip4.dst.isin("203.0.113.65/32"),
        ]
        above += [m.ip4.dst.isin("203.0.113.66/31", "203.0.113.68/30", "203.0.113.72/29", "203.0.113.80/28")]
        above += [m.ip4.dst.isin("203.0.113.96/27")]
        apply(central, row(), *(row(identity=str(one), priority=3_000, match=one, dscp=1) for one in above))
        found = findings(central)[-1]
        assert found["verdict"] == "realised"
        assert "a to 203.0.113.64," in found["reason"]

    def test_a_mark_above_does_not_shadow_a_limit_where_ovn_looks_them_up_apart(self, central: Central) -> None:
        limit = row(dscp=None)
        apply(central, limit, row(identity="mark", priority=3_000, match=m.ip4, rate_kbps=None))
        assert verdicts(central) == ["realised", "realised"]

    def test_where_only_the_mark_is_shadowed_the_limit_still_holds(self, central: Central) -> None:
        """Where OVN looks them up apart; from OVN 24.09 on the row above takes both."""
        apply(central, row(), row(identity="mark", priority=3_000, match=m.ip4, dscp=1, rate_kbps=None))
        found = findings(central)[-1]
        assert (found["verdict"], found["good"]) == ("partly" if is_split() else "shadowed", False)
        assert ("mark: shadowed by row " in found["reason"]) is is_split()
        assert verify(central).code == 1

    @pytest.mark.parametrize(("version", "words"), [(4, "ip4"), (6, "ip6")])
    def test_a_foreign_row_that_takes_one_whole_ip_version(self, central: Central, version: int, words: str) -> None:
        apply(central, row(match=m.inport("a") & m.ip))
        central.nbctl("--wait=sb", "qos-add", "lan", "from-lport", "30000", words, "dscp=1", "rate=5")
        (found,) = findings(central)
        assert (found["verdict"], found["good"]) == ("partly", False)
        assert f"IPv{version}: shadowed by row " in found["reason"]

    def test_a_version_that_no_port_of_the_switch_has_does_not_count(self, central: Central) -> None:
        central.nbctl("ls-add", "v4", "--", "lsp-add", "v4", "v4-a", "--", "lsp-add", "v4", "v4-b")
        central.nbctl("lsp-set-addresses", "v4-a", "02:00:00:00:02:01 10.2.0.1")
        central.nbctl("lsp-set-addresses", "v4-b", "02:00:00:00:02:02 10.2.0.2")
        apply(central, row(switches=frozenset({"v4"}), match=m.inport("v4-a") & m.ip))
        central.nbctl("--wait=sb", "qos-add", "v4", "from-lport", "30000", "ip6", "dscp=1", "rate=5")
        assert verdicts(central) == ["realised"]
        central.nbctl("ls-del", "v4")

    def test_a_row_of_another_owner_that_shadows_ours_is_named_so(self, central: Central) -> None:
        apply(central, row())
        central.nbctl("qos-add", "lan", "from-lport", "30000", "ip4", "dscp=1", "rate=7")
        central.nbctl("--wait=sb", "sync")
        (found,) = findings(central)
        assert found["verdict"] == "shadowed"
        assert "of another owner (priority 30000)" in found["reason"]


class TestTie:
    def test_two_rows_of_equal_priority_that_one_packet_matches(self, central: Central) -> None:
        apply(central, row(), row(identity="other", match=m.ip4.dst.isin("203.0.113.7"), dscp=1))
        for words in ((), ("--no-trace",)):
            found = findings(central, *words)
            assert [one["verdict"] for one in found] == ["undefined", "undefined"]
            assert all("to 203.0.113.7, " in one["reason"] for one in found), found
        assert verify(central).code == 1

    @pytest.mark.parametrize("match", ["ip4", 'inport == "a" && ip4.dst == 203.0.113.0/24'])
    def test_a_foreign_row_of_equal_priority_is_named(self, central: Central, match: str) -> None:
        apply(central, row())
        create = ["create", "QoS", "direction=from-lport", "priority=2000", f"match={json.dumps(match)}"]
        bind_it = ["add", "Logical_Switch", "lan", "qos_rules", "@row"]
        central.nbctl("--id=@row", *create, "action:dscp=1", "bandwidth:rate=7", "--", *bind_it)
        central.nbctl("--wait=sb", "sync")
        (found,) = findings(central)
        assert found["verdict"] == "undefined"
        assert "of another owner (priority 2000)" in found["reason"]

    def test_equal_priority_and_one_effect_is_no_tie(self, central: Central) -> None:
        mark = row(rate_kbps=None)
        apply(central, mark, row(rate_kbps=None, identity="other", match=m.ip4.dst.isin("203.0.113.7")))
        assert verdicts(central) == ["realised", "realised"]

    def test_equal_priority_below_a_row_that_takes_the_packets_is_no_tie(self, central: Central) -> None:
        low = [row(), row(identity="other", match=m.ip4.dst.isin("203.0.113.7"), dscp=1)]
        apply(central, *low, row(identity="above", priority=3_000, match=m.ip4.dst.isin("203.0.113.7"), dscp=2))
        assert verdicts(central)[:2].count("undefined") == 0


class TestLeaving:
    def test_a_mark_that_a_later_row_replaces(self, central: Central) -> None:
        first = row(identity="first", rate_kbps=None)
        apply(central, first, row(identity="second", direction=Direction.TO_LPORT, dscp=20, rate_kbps=None))
        marked, later = findings(central)
        assert (marked["verdict"], marked["good"], later["verdict"]) == ("re-marked", False, "realised")
        assert f"dscp=20 by row {later['uuid'][:8]} (priority 2000)" in marked["reason"]

    def test_a_foreign_row_that_re_marks_later_leaves_the_limit(self, central: Central) -> None:
        apply(central, row())
        central.nbctl("--wait=sb", "qos-add", "lan", "to-lport", "1000", "ip4", "dscp=30")
        (found,) = findings(central)
        assert found["verdict"] == "partly"
        assert "mark: re-marked" in found["reason"]
        assert "of another owner (priority 1000)" in found["reason"]

    def test_a_later_row_that_re_marks_some_packets_is_a_detail(self, central: Central) -> None:
        apply(central, row(rate_kbps=None))
        central.nbctl("--wait=sb", "qos-add", "lan", "to-lport", "1000", "ip4.dst == 203.0.113.1", "dscp=30")
        (found,) = findings(central)
        assert found["verdict"] == "realised"
        assert any(detail.startswith("partly re-marked by row ") for detail in found["details"])


class TestUnproven:
    def test_an_acl_that_drops_every_sample_proves_nothing(self, central: Central) -> None:
        apply(central, row())
        central.nbctl("--wait=sb", "acl-add", "lan", "from-lport", "1000", "ip4", "drop")
        ended = verify(central)
        assert ended.code == 0
        assert "unproven  the packet ends before the row, in ls_in_acl" in ended.out

    def test_a_match_that_cannot_be_sampled_proves_nothing(self, central: Central) -> None:
        apply(central, row(match=Verbatim("tcp.dst < 80 /* web */")))
        (found,) = findings(central)
        assert (found["verdict"], found["good"]) == ("unproven", True)


class TestOthers:
    def test_rows_of_others_are_neither_judged_nor_touched(self, central: Central) -> None:
        central.nbctl("qos-add", "lan", "to-lport", "1", "ip4.dst == $nosuch", "dscp=1")
        apply(central, row())
        before = central.northbound.file.read_bytes()
        south = central.sbctl("--bare", "list", "Logical_Flow")
        ended = verify(central)
        assert (ended.code, len(ended.out.splitlines())) == (0, 2)
        assert central.northbound.file.read_bytes() == before
        assert central.sbctl("--bare", "list", "Logical_Flow") == south

    def test_another_owner_sees_its_own_rows_only(self, central: Central) -> None:
        apply(central, row())
        assert findings(central, "--owner", "somebody") == []
