"""`ovnqos explain`, on files, on a real Northbound, and beside a real ovn-trace."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import pytest

from ovnqos.explain.pipeline import PipelineVersion
from tests.functional.support_command import Ended, ovnqos
from tests.functional.support_manifests import attachment, pod, policy, rule, write
from tests.support.ovn_programs import ovn_version
from tests.support.traced_ovn import TracedOvn

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TO_WEB: Final = [{"ipBlock": {"cidr": "203.0.113.0/24"}}]
LIMIT: Final = {"rate": 20_000, "burst": 20_000}
GOLD: Final = policy(
    "gold",
    rule(10, bandwidth=LIMIT, to=[{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["172.16.0.0/12"]}}]),
    rule(46, to=TO_WEB, ports=[{"protocol": "TCP", "port": 443}]),
    rule(20, to=[{"podSelector": {"matchLabels": {"app": "db"}}}]),
    podSelector={"matchLabels": {"app": "web"}},
)
SILVER: Final = policy("silver", rule(1, ports=[{"protocol": "UDP"}]))
PODS: Final = [
    pod("a", "10.0.0.1", labels={"app": "web"}),
    pod("c", "10.0.0.3", labels={"app": "db"}),
    pod("b", "10.0.1.2", labels={"app": "db"}, node="node2"),
]
BLUE: Final = attachment(
    "blue",
    json.dumps(
        {
            "cniVersion": "1.0.0",
            "name": "blue",
            "type": "ovn-k8s-cni-overlay",
            "topology": "layer2",
            "subnets": "10.9.0.0/24,fd09::/64",
            "netAttachDefName": "shop/blue",
        }
    ),
)
DUAL: Final = pod("dual", "10.0.0.7", networks={"shop/blue": ["10.9.0.7", "fd09::7"], "shop/blue/1": ["10.9.0.8"]})
GATEWAY: Final = "0a:00:00:00:00:fe"


@pytest.fixture
def manifests(tmp_path: Path) -> Path:
    """Two policies for pod a, whose peers are on its node and on another."""
    return write(tmp_path / "all.yaml", GOLD, SILVER, *PODS, BLUE, DUAL)


@pytest.fixture(scope="module")
def server() -> Iterator[TracedOvn]:
    """Two node switches with the pods' ports and a router between them."""
    with TracedOvn() as started:
        started.add_switch(
            "node1",
            {
                "shop_a": "0a:00:00:00:00:01 10.0.0.1",
                "shop_c": "0a:00:00:00:00:03 10.0.0.3",
                "shop_dual": "0a:00:00:00:00:07 10.0.0.7",
            },
        )
        started.add_switch("node2", {"shop_b": "0a:00:00:00:00:02 10.0.1.2"})
        started.run([["lr-add", "router"]])
        for number, node in enumerate(("node1", "node2")):
            started.run(
                [
                    ["lrp-add", "router", f"rtos-{node}", GATEWAY, f"10.0.{number}.254/24"],
                    ["lsp-add", node, f"stor-{node}"],
                    ["lsp-set-type", f"stor-{node}", "router"],
                    ["lsp-set-addresses", f"stor-{node}", "router"],
                    ["lsp-set-options", f"stor-{node}", f"router-port=rtos-{node}"],
                ]
            )
        yield started


@pytest.fixture
def ovn(server: TracedOvn, manifests: Path) -> Iterator[TracedOvn]:
    """The same with the rows of the policies; others' rows that a test adds go when it ends."""
    assert ovnqos("apply", "-f", manifests, "--nb", server.central.northbound.remote).code == 0
    server.central.nbctl("--wait=sb", "sync")
    yield server
    server.run([["qos-del", "node1"], ["qos-del", "node2"]])


def explain(manifests: Path, *words: str, pod: str = "shop/a", to: str = "203.0.113.9", form: str = "table") -> Ended:
    return ovnqos("explain", "-f", manifests, "--pod", pod, "--to", to, "-o", form, *words)


def installed() -> PipelineVersion:
    """How the OVN that is installed here looks up rows."""
    return PipelineVersion.of_release(ovn_version())


def places(ovn: TracedOvn) -> list[str]:
    return ["--nb", ovn.central.northbound.remote, "--sb", ovn.central.southbound.remote, "--trace"]


def document(ended: Ended) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(ended.out)
    return found


def line_of(ended: Ended, *words: str) -> str:
    """The one line that has all of these words."""
    (line,) = [line for line in ended.out.splitlines() if all(word in line for word in words)]
    return line


def told_of_databases(ended: Ended) -> list[str]:
    """The warnings that are not of the policies themselves."""
    return [line for line in ended.warnings if not line.startswith("NetworkQoS ")]


GOLD_KEY: Final = "NetworkQoS/shop/gold"
HTTPS: Final = ("--protocol", "tcp", "--port", "443")


class TestFilesAlone:
    def test_each_row_of_the_switch_is_told(self, manifests: Path) -> None:
        ended = explain(manifests, "--ovn", "25.03", *HTTPS)
        assert ended.code == 0
        packet, sender, network, _, *stages = ended.out.splitlines()
        assert packet.split() == ["packet", *["10.0.0.1", "to", "203.0.113.9,", "tcp", "port", "443"]]
        assert sender.split() == ["sent", "by", *["Pod", "shop/a,", "port", "shop_a", "of", "switch", "node1"]]
        assert network.split() == ["network", "default"]
        assert stages[:2] == ["from-lport (enters the switch):", "  no row applies"]
        at = stages.index("to-lport (leaves the switch):")
        assert stages[at + 1] == "  dscp 46 by NetworkQoS/shop/gold rule 1"
        rows = {tuple(line.split()[:2]): line for line in stages[at + 3 :]}
        assert "10.0.0.3" not in rows[GOLD_KEY, "2"].split("not in")[0]
        assert "destinations: pods app=db" in rows[GOLD_KEY, "2"]
        (winner,) = [line.split() for line in stages if line.startswith("*")]
        assert winner == ["*", GOLD_KEY, "1", "10402", "46", "-", "-", "wins", "-"]
        assert rows[GOLD_KEY, "0"].endswith("lower priority than NetworkQoS/shop/gold rule 1")
        assert rows["NetworkQoS/shop/silver", "0"].endswith("the packet is tcp, not udp")

    def test_where_the_releases_differ_both_are_told(self, manifests: Path) -> None:
        ended = explain(manifests, *HTTPS)
        stage = ended.out.partition("to-lport (leaves the switch):\n")[2].splitlines()
        assert stage[:2] == [
            "  OVN up to 24.03: dscp 46 by NetworkQoS/shop/gold rule 1; 20000 kbps (burst 20000 kbit) by "
            "NetworkQoS/shop/gold rule 0",
            "  OVN from 24.09: dscp 46 by NetworkQoS/shop/gold rule 1",
        ]

    def test_rows_of_equal_priority_are_undefined(self, manifests: Path) -> None:
        ended = explain(manifests, "--ovn", "24.09", "--protocol", "udp")
        assert (
            "undefined: dscp 10 and 20000 kbps (burst 20000 kbit) by NetworkQoS/shop/gold rule 0 or dscp 1" in ended.out
        )
        assert len([line for line in ended.out.splitlines() if "conflicts with" in line]) == 2

    def test_what_is_not_said_is_left_open(self, manifests: Path) -> None:
        ended = explain(manifests, "--ovn", "25.03")
        assert "not certain: dscp 46 by NetworkQoS/shop/gold rule 1 or " in ended.out
        assert line_of(ended, "10402", "may win").endswith("only if tcp.dst == 443")

    def test_where_the_releases_agree_one_line_is_enough(self, manifests: Path) -> None:
        ended = explain(manifests, "--protocol", "udp", to="172.16.0.1")
        assert "to-lport (leaves the switch):\n  dscp 1 by NetworkQoS/shop/silver rule 0\n" in ended.out

    def test_a_pod_that_the_policy_does_not_select_is_told_so(self, manifests: Path) -> None:
        ended = explain(manifests, *HTTPS, pod="shop/c")
        assert "not in port group" in line_of(ended, GOLD_KEY, "10402", "no match")

    def test_json_says_the_same(self, manifests: Path) -> None:
        found = document(explain(manifests, "--ovn", "23.03", *HTTPS, form="json"))
        assert found["format"] == "ovnqos.io/explanation/v1"
        assert found["packet"] | {"outport": None} == {
            "pod": "shop/a",
            "network": "default",
            "network_choice": None,
            "switch": "node1",
            "inport": "shop_a",
            "outport": None,
            "source": "10.0.0.1",
            "destination": "203.0.113.9",
            "receiver": None,
            "protocol": "tcp",
            "destination_port": 443,
        }
        assert (found["rows_from"], found["certain"]) == ("files", True)
        (outcome,) = [one for one in found["outcomes"] if one["direction"] == "to-lport"]
        assert outcome["pipeline_version"] == "split"
        assert outcome["effects"] == [{"dscp": 46, "rate": 20_000, "burst": 20_000}]
        assert outcome["mark_by"] != outcome["limit_by"]
        assert {row["verdict"] for row in found["rows"]} == {"wins", "no match"}
        assert "trace" not in found

    def test_a_network_is_chosen_by_name_or_attachment(self, manifests: Path) -> None:
        for name in ("blue", "shop/blue"):
            ended = explain(manifests, "--network", name, "--from", "fd09::7", pod="shop/dual", to="fd09::9")
            assert ended.code == 0, ended.err
            packet, sender, network = (line.split(maxsplit=1)[1] for line in ended.out.splitlines()[:3])
            assert packet == "fd09::7 to fd09::9"
            assert sender.endswith("of switch blue_ovn_layer2_switch")
            assert network == "blue"

    @pytest.mark.parametrize(
        ("to", "network", "choice"),
        [
            ("203.0.113.9", "default", "of blue, default: the destination is on none; it is the default"),
            ("10.9.0.99", "blue", "of blue, default: the destination is on it"),
            ("10.0.0.3", "default", "of blue, default: the destination is on it"),
        ],
    )
    def test_without_a_name_the_network_of_the_destination_is_chosen_and_told(
        self, tmp_path: Path, to: str, network: str, choice: str
    ) -> None:
        sender = pod("dual", "10.0.0.7", networks={"shop/blue": ["10.9.0.7", "fd09::7"]})
        file = write(tmp_path / "all.yaml", GOLD, *PODS, BLUE, sender)
        ended = explain(file, pod="shop/dual", to=to)
        assert f"network    {network} ({choice})" in ended.out.splitlines()
        found = document(explain(file, "-o", "json", pod="shop/dual", to=to))["packet"]
        assert (found["network"], found["network_choice"]) == (network, choice)

    def test_a_pod_can_be_the_destination(self, tmp_path: Path) -> None:
        pods = [
            pod(name, f"10.0.0.{number}", networks={"shop/blue": [f"10.9.0.{number}", f"fd09::{number}"]})
            for name, number in (("one", 11), ("two", 12))
        ]
        file = write(tmp_path / "all.yaml", GOLD, *PODS, BLUE, *pods)
        ended = explain(file, pod="shop/one", to="pod:shop/b")
        assert "packet     10.0.0.11 to 10.0.1.2 (pod shop/b)" in ended.out.splitlines()
        ended = explain(file, "--network", "blue", pod="shop/one", to="pod:shop/two")
        assert "packet     10.9.0.11 to 10.9.0.12 (pod shop/two)" in ended.out.splitlines()
        ended = explain(file, "--from", "fd09::11", "--network", "blue", pod="shop/one", to="pod:shop/two")
        assert "packet     fd09::11 to fd09::12 (pod shop/two)" in ended.out.splitlines()

    def test_a_service_is_explained_to_its_first_backend_and_its_port(self, tmp_path: Path) -> None:
        service = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "db", "namespace": "shop"},
            "spec": {"selector": {"app": "db"}, "ports": [{"port": 80, "targetPort": 443}, {"port": 81}]},
        }
        headless = {**service, "metadata": {"name": "bare", "namespace": "shop"}, "spec": {}}
        file = write(tmp_path / "all.yaml", GOLD, *PODS, service, headless)
        ended = explain(file, "--protocol", "tcp", "--port", "80", to="service:shop/db")
        assert "packet     10.0.0.1 to 10.0.1.2 (pod shop/b), tcp port 443" in ended.out.splitlines()
        assert "Service shop/db: explained to the first of 2 backends: pod shop/b, port 443" in ended.err.splitlines()
        assert explain(file, to="service:shop/bare").errors[0].startswith("Service shop/bare: has no selector")
        assert explain(file).code == 0  # where no Service is asked for, none is read


class TestBadInput:
    @pytest.mark.parametrize(
        ("words", "told"),
        [
            (("--pod", "shop/nobody"), "pod shop/nobody: not found"),
            (("--pod", "nobody"), "pod 'nobody': not a pod's key"),
            (("--network", "red"), "pod shop/a: not on network red; its networks: default"),
            (("--to", "example.com"), "'example.com': must be an IP address"),
            (("--to", "10.0.0.0/8"), "'10.0.0.0/8': must be an IP address"),
            (("--to", "pod:shop/"), "'pod:shop/': must be pod:NAMESPACE/NAME"),
            (("--to", "service:shop/nobody"), "Service shop/nobody: not in the input"),
            (("--to", "pod:shop/nobody"), "destination pod shop/nobody: not found"),
            (("--to", "fd00::1"), "the pod has no IPv6 address on network default"),
            (("--port", "80"), "port 80: needs a protocol that has ports"),
            (("--protocol", "icmp", "--port", "80"), "port 80: needs a protocol that has ports"),
            (("--protocol", "tcp", "--port", "65536"), "65536 is not in the range"),
            (("--protocol", "http"), "'http' is not one of"),
            (("--from", "10.0.0.99"), "10.0.0.99: not an address of the pod on network default; it has 10.0.0.1"),
            (("--from", "fd00::1"), "not of one IP version"),
            (("--zone-node", "node2"), "shop/a: on node node1, which is not of this zone"),
            (("--ovn", "latest"), "'latest' is no release of OVN; write it as year and month, e.g. 23.03"),
            (("--trace",), "--trace needs --sb"),
            (("--pod", "shop/dual", "--network", "blue"), "shop/dual: several interfaces match"),
        ],
    )
    def test_it_is_one_line(self, manifests: Path, words: tuple[str, ...], told: str) -> None:
        ended = explain(manifests, *words)
        assert (ended.code, ended.out) == (1, "")
        (line,) = ended.errors
        assert told in line

    @pytest.mark.parametrize("option", ["--nb", "--sb"])
    def test_a_database_that_is_not_there(self, manifests: Path, option: str) -> None:
        ended = explain(manifests, option, "unix:/nowhere/db.sock", "-t", "0.5")
        assert (ended.code, ended.out) == (3, "")
        assert len(ended.errors) == 1


class TestOnOvn:
    @pytest.mark.parametrize(
        ("to", "words", "outport"),
        [
            ("203.0.113.9", HTTPS, "stor-node1"),
            ("203.0.113.9", ("--protocol", "icmp"), "stor-node1"),
            ("10.0.0.3", HTTPS, "shop_c"),
            ("10.0.1.2", ("--protocol", "udp", "--port", "53"), "stor-node1"),
            ("172.16.0.1", ("--protocol", "sctp", "--port", "80"), "stor-node1"),
            ("203.0.113.9", (), "stor-node1"),
        ],
    )
    def test_ovn_trace_agrees(
        self, ovn: TracedOvn, manifests: Path, to: str, words: tuple[str, ...], outport: str
    ) -> None:
        ended = explain(manifests, *places(ovn), *words, to=to)
        assert ended.code == 0, ended
        assert line_of(ended, "ovn-trace") == "ovn-trace  agrees"
        assert (ended.errors, told_of_databases(ended)) == ([], [])
        found = document(explain(manifests, *places(ovn), *words, to=to, form="json"))
        assert found["packet"]["outport"] == outport
        assert found["trace"] == {"agrees": True, "leaves_switch": True, "differences": []}
        assert {one["pipeline_version"] for one in found["outcomes"]} == {installed()}, (
            "the Southbound's stages tell it"
        )

    def test_rows_of_others_are_explained_too(self, ovn: TracedOvn, manifests: Path) -> None:
        ovn.add_row("node1", "to-lport", 20_001, "tcp.dst < 80 /* web */", "action:dscp=8")
        ovn.add_row("node1", "from-lport", 5, "ip4.src == $nobody", "action:dscp=9")
        ovn.add_row(
            "node1",
            "from-lport",
            6,
            'inport == "shop_a"',
            "bandwidth:rate=9",
            'external_ids:"k8s.ovn.org/owner-type"=EgressQoS',
            'external_ids:"k8s.ovn.org/name"=shop',
        )
        ovn.central.nbctl("--wait=sb", "sync")
        ended = explain(manifests, *places(ovn), *HTTPS)
        assert ended.code == 0, ended
        assert "from-lport (enters the switch):\n  9 kbps by EgressQoS shop (row " in ended.out
        assert line_of(ended, "20001", "may win").endswith("ovnqos cannot read its match")
        assert "there is no address set nobody" in line_of(ended, "  5  ", "no match")
        assert line_of(ended, "ovn-trace") == "ovn-trace  agrees"

    def test_the_members_of_a_set_that_northd_makes_are_known_with_the_southbound(
        self, ovn: TracedOvn, manifests: Path
    ) -> None:
        ovn.central.nbctl("pg-add", "databases", "shop_c")
        ovn.add_row("node1", "to-lport", 21_000, "ip4.dst == $databases_ip4", "action:dscp=7")
        ovn.central.nbctl("--wait=sb", "sync")
        asked = explain(manifests, *places(ovn), *HTTPS, to="10.0.0.3")
        unasked = explain(manifests, "--nb", ovn.central.northbound.remote, *HTTPS, to="10.0.0.3")
        ovn.central.nbctl("pg-del", "databases")
        assert line_of(asked, "21000", "wins")
        assert line_of(asked, "ovn-trace") == "ovn-trace  agrees"
        assert line_of(unasked, "21000", "may win").endswith("the members of address set databases_ip4 are not known")

    def test_a_northbound_that_is_not_as_the_files_say_is_told(self, ovn: TracedOvn, manifests: Path) -> None:
        uuid = ovn.central.nbctl("--bare", "--columns=_uuid", "find", "QoS", "priority=10402").split()[0]
        ovn.central.nbctl("--wait=sb", "set", "QoS", uuid, "action:dscp=33")
        ended = explain(manifests, *places(ovn), *HTTPS)
        assert ended.code == 0
        (warning,) = told_of_databases(ended)
        assert "differs from the files: 1 row of switch node1" in warning
        assert "dscp 33 by NetworkQoS/shop/gold rule 1" in ended.out

    def test_rows_in_the_northbound_that_ovn_does_not_have_yet_differ(self, ovn: TracedOvn, manifests: Path) -> None:
        ovn.central.northd.freeze()
        try:
            uuid = ovn.central.nbctl("--bare", "--columns=_uuid", "find", "QoS", "priority=10402").split()[0]
            ovn.central.nbctl("set", "QoS", uuid, "action:dscp=33")
            ended = explain(manifests, *places(ovn), *HTTPS)
            as_json = document(explain(manifests, *places(ovn), *HTTPS, form="json"))
        finally:
            ovn.central.northd.thaw()
        assert ended.code == 2
        assert line_of(ended, "ovn-trace  differs: to-lport: OVN applies dscp 46", "explained: dscp 33")
        assert as_json["trace"]["agrees"] is False
        assert len(as_json["trace"]["differences"]) == 1

    def test_a_release_that_is_not_the_southbounds_is_warned_of(self, ovn: TracedOvn, manifests: Path) -> None:
        here, other = installed(), next(one for one in PipelineVersion if one is not installed())
        release = {PipelineVersion.SPLIT: "23.03", PipelineVersion.JOINED: "25.03"}[other]
        ended = explain(manifests, "--sb", ovn.central.southbound.remote, "--ovn", release, *HTTPS)
        (warning,) = told_of_databases(ended)
        assert warning.startswith("--ovn ")
        assert all(one.releases in warning for one in (other, here))

    def test_a_packet_that_an_acl_drops_is_compared_as_far_as_it_comes(self, ovn: TracedOvn, manifests: Path) -> None:
        ovn.central.nbctl("--wait=sb", "acl-add", "node1", "from-lport", "100", "tcp.dst == 22", "drop")
        ended = explain(manifests, *places(ovn), "--protocol", "tcp", "--port", "22")
        ovn.central.nbctl("acl-del", "node1")
        assert ended.code == 0
        assert line_of(ended, "ovn-trace").endswith("agrees; the packet does not leave the switch")

    def test_a_port_that_the_southbound_does_not_have(self, ovn: TracedOvn, manifests: Path) -> None:
        words = ("--network", "blue", "--from", "10.9.0.7")
        ended = explain(manifests, *places(ovn), *words, pod="shop/dual", to="10.9.0.9")
        assert (ended.code, ended.out) == (1, "")
        assert "port shop.blue_shop_dual is not in the Southbound" in ended.errors[0]
        without_trace = explain(manifests, *places(ovn)[:-1], *words, pod="shop/dual", to="10.9.0.9")
        assert without_trace.code == 0
        assert any("has no switch blue_ovn_layer2_switch" in line for line in without_trace.warnings)
