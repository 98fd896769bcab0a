"""Every mistake gets one clear line on standard error and the right exit code."""

from __future__ import annotations

import socket
import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ovnqos import Northbound
from ovnqos.sandbox import NorthboundServer, SouthboundServer
from tests.functional.support_command import Ended, ovnqos, ovnqos_program
from tests.functional.support_database import dump, wire
from tests.functional.support_manifests import Document, attachment, pod, policy, rule, write

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.pki import Certificate, Pki

BLOCK = {"cidr": "10.0.0.0/8"}


def to_block(**block: Any) -> Document:
    return rule(to=[{"ipBlock": {**BLOCK, **block}}])


def assert_refused(ended: Ended, code: int, *words: str) -> None:
    """One line of error that has these words, and nothing on standard output."""
    assert ended.code == code, ended
    assert ended.out == ""
    (line,) = ended.errors
    for word in words:
        assert word in line
    assert len(line) < 300


@pytest.fixture
def manifests(tmp_path: Path) -> Path:
    """A policy and its pod."""
    write(tmp_path / "all.yaml", policy(), pod("a", "10.0.0.1"))
    return tmp_path


@pytest.fixture
def wired(northbound: NorthboundServer) -> NorthboundServer:
    """A Northbound with the switch and port of the pods here."""
    wire(northbound, ["node1"], ["shop_a", "shop_b"])
    return northbound


@pytest.fixture(scope="module")
def server_certificate(pki: Pki) -> Certificate:
    return pki.server("nb")


class TestInvalidObjects:
    def test_a_misspelt_field_that_explains_an_error_is_said_once(self, tmp_path: Path) -> None:
        write(tmp_path / "all.yaml", policy(priority=101, prioritty=5), pod("web", "10.0.0.5"))
        found = ovnqos("render", "-f", tmp_path)
        assert found.code == 1
        assert found.err.count("spec.prioritty") == 1
        assert "repeated" not in found.err

    @pytest.mark.parametrize(
        ("document", "path", "words"),
        [
            (
                policy("gold", to_block(cidr="10.0.0.0/33")),
                "spec.egress[0].classifier.to[0].ipBlock.cidr",
                "10.0.0.0/33",
            ),
            (policy("gold", to_block(cidr="ten")), "spec.egress[0].classifier.to[0].ipBlock.cidr", "ten"),
            (
                policy("gold", to_block(**{"except": ["192.168.0.0/16"]})),
                "spec.egress[0].classifier.to[0].ipBlock.except[0]",
                "10.0.0.0/8",
            ),
            (
                policy("gold", to_block(**{"except": ["fd00::/64"]})),
                "spec.egress[0].classifier.to[0].ipBlock.except[0]",
                "fd00::/64",
            ),
            (policy(priority=101), "spec.priority", "100"),
            (policy(priority=-1), "spec.priority", "0"),
            (policy("gold", rule(64)), "spec.egress[0].dscp", "63"),
            (policy("gold", rule(bandwidth={"rate": 0})), "spec.egress[0].bandwidth.rate", "1"),
            (policy("gold", *[rule()] * 21), "spec.egress", "20"),
            (
                policy(podSelector={"matchExpressions": [{"key": "app", "operator": "Is", "values": ["a"]}]}),
                "spec.podSelector.matchExpressions[0].operator",
                "NotIn",
            ),
            (
                policy("gold", rule(ports=[{"protocol": "TCP", "port": 0}])),
                "spec.egress[0].classifier.ports[0].port",
                "65535",
            ),
            (
                policy("gold", rule(ports=[{"protocol": "ICMP", "port": 1}])),
                "spec.egress[0].classifier.ports[0].protocol",
                "SCTP",
            ),
            (attachment("net", "{type: x}"), "spec.config", "JSON"),
            (attachment("net", '{"type": "ovn-k8s-cni-overlay", "name": '), "spec.config", "JSON"),
        ],
        ids=lambda given: given if isinstance(given, str) else "",
    )
    def test_one_fault_is_one_line_with_its_path(
        self, tmp_path: Path, wired: NorthboundServer, document: Document, path: str, words: str
    ) -> None:
        file = write(tmp_path / "bad.yaml", document, pod("a", "10.0.0.1"))
        before = dump(wired)
        for command in (["render"], ["diff", "--nb", wired.remote], ["apply", "--nb", wired.remote]):
            ended = ovnqos(*command, "-f", file)
            name = "shop/net" if document["kind"] != "NetworkQoS" else "shop/gold"
            assert_refused(ended, 1, f"{document['kind']} {name}", "bad.yaml", f": {path}: ", words)
        assert dump(wired) == before

    def test_all_faults_of_all_objects_are_told_at_once(self, tmp_path: Path) -> None:
        write(tmp_path / "1.yaml", policy("gold", rule(64), rule(99), priority=101), policy("lead", rule(-1)))
        write(tmp_path / "2.yaml", policy("tin", rule(64)))
        ended = ovnqos("render", "-f", tmp_path)

        assert ended.code == 1
        assert [line.split(": ")[1] for line in ended.errors] == [
            "spec.priority",
            "spec.egress[0].dscp",
            "spec.egress[1].dscp",
            "spec.egress[0].dscp",
            "spec.egress[0].dscp",
        ]


class TestUnreadableInput:
    def test_a_file_that_is_not_there(self) -> None:
        assert_refused(ovnqos("render", "-f", "/nowhere/x.yaml"), 1, "/nowhere/x.yaml: no such file")

    def test_an_empty_folder(self, tmp_path: Path) -> None:
        assert_refused(ovnqos("render", "-f", tmp_path), 1, str(tmp_path), "no .yaml")

    def test_a_file_without_permission(self) -> None:
        with tempfile.TemporaryDirectory() as folder:  # pytest's own are closed to other users
            Path(folder).chmod(0o755)
            file = write(Path(folder, "x.yaml"), policy())
            file.chmod(0)
            ended = ovnqos_program("render", "-f", file, unprivileged=True)
        assert_refused(ended, 1, f"{file}: permission denied")

    def test_a_device_that_fails_to_read(self) -> None:
        assert_refused(ovnqos("render", "-f", "/proc/self/mem"), 1, "/proc/self/mem: input/output error")

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            (b"a: [1,", "x.yaml:"),
            (b"\xff\xfe", "not text in UTF-8"),
            (b"- 1\n- 2\n", "not a Kubernetes object"),
            (b"", "no Kubernetes object in it"),
            (b"just words", "not a Kubernetes object"),
        ],
        ids=["yaml", "binary", "sequence", "empty", "text"],
    )
    def test_a_file_that_holds_no_objects(self, tmp_path: Path, content: bytes, words: str) -> None:
        file = tmp_path / "x.yaml"
        file.write_bytes(content)
        assert_refused(ovnqos("render", "-f", file), 1, str(file), words)

    def test_standard_input_that_is_empty(self) -> None:
        assert_refused(ovnqos("render", "-f", "-"), 1, "standard input: no Kubernetes object in it")

    def test_several_paths_are_a_line_each(self, tmp_path: Path) -> None:
        ended = ovnqos("render", "-f", tmp_path / "a", "-f", tmp_path / "b")
        assert ended.code == 1
        assert len(ended.errors) == 2


class TestDatabaseOutOfReach:
    @pytest.fixture(params=["diff", "apply", "list"])
    def command(self, request: pytest.FixtureRequest, manifests: Path) -> list[str]:
        name = str(request.param)
        return [name, "-t", "0.5"] if name == "list" else [name, "-t", "0.5", "-f", str(manifests)]

    def test_a_socket_that_is_not_there(self, command: list[str], tmp_path: Path) -> None:
        assert_refused(ovnqos(*command, "--nb", f"unix:{tmp_path}/no.sock"), 3, f"unix:{tmp_path}/no.sock")

    def test_a_socket_that_nobody_serves(self, command: list[str], tmp_path: Path) -> None:
        with closing(socket.socket(socket.AF_UNIX)) as bound:
            bound.bind(str(tmp_path / "dead.sock"))
            assert_refused(ovnqos(*command, "--nb", f"unix:{tmp_path}/dead.sock"), 3, f"unix:{tmp_path}/dead.sock")

    def test_a_port_that_is_closed(self, command: list[str]) -> None:
        with closing(socket.socket()) as bound:
            bound.bind(("127.0.0.1", 0))
            remote = f"tcp:127.0.0.1:{bound.getsockname()[1]}"
            assert_refused(ovnqos(*command, "--nb", remote), 3, remote, "Connection refused")

    def test_a_server_that_says_nothing(self, command: list[str], tmp_path: Path) -> None:
        with closing(socket.socket(socket.AF_UNIX)) as silent:
            silent.bind(str(tmp_path / "silent.sock"))
            silent.listen()
            assert_refused(ovnqos(*command, "--nb", f"unix:{tmp_path}/silent.sock"), 3, "silent.sock", "answer")

    def test_a_frozen_server(self, command: list[str], northbound: NorthboundServer) -> None:
        northbound.freeze()
        try:
            assert_refused(ovnqos(*command, "--nb", northbound.remote), 3, northbound.remote)
        finally:
            northbound.thaw()

    def test_a_database_that_is_not_a_northbound(self, command: list[str]) -> None:
        with SouthboundServer() as southbound:
            assert_refused(ovnqos(*command, "--nb", southbound.remote), 3, "OVN_Northbound")

    def test_a_remote_that_is_none(self, command: list[str]) -> None:
        assert_refused(ovnqos(*command, "--nb", "tcp:127.0.0.1"), 1, "tcp:127.0.0.1", "port")
        assert_refused(ovnqos(*command, "--nb", "/run/nb.sock"), 1, "/run/nb.sock", "unix:/path")

    def test_tls_without_files(self, command: list[str]) -> None:
        assert_refused(ovnqos(*command, "--nb", "ssl:127.0.0.1:1"), 1, "private key", "certificate")

    def test_all_of_several_remotes_are_tried(self, command: list[str], tmp_path: Path) -> None:
        ended = ovnqos(*command, "--nb", f"unix:{tmp_path}/one.sock,unix:{tmp_path}/two.sock")
        assert_refused(ended, 3, "one.sock", "two.sock")


class TestLock:
    def test_a_lock_held_by_another_is_one_line(self, manifests: Path, wired: NorthboundServer) -> None:
        before = wired.file.read_bytes()
        with Northbound.connect(wired.remote) as rival:
            rival.lock()
            ended = ovnqos("apply", "-f", manifests, "--nb", wired.remote)
            assert_refused(ended, 3, "another client, which OVSDB does not name", "ovnqos_ovnqos")
            assert wired.file.read_bytes() == before

            assert ovnqos("diff", "-f", manifests, "--nb", wired.remote).code == 0
            assert ovnqos("apply", "--dry-run", "-f", manifests, "--nb", wired.remote).code == 0


class TestUsage:
    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (["apply", "-f", "x", "--owner", "a b"], "'--owner': 'a b'"),
            (["apply", "-f", "x", "--owner", ""], "'--owner': ''"),
            (["list", "--owner", "x" * 64], "'--owner': 'xxx"),
            (["diff", "-f", "x", "--owner", "-"], "'--owner': '-'"),
            (["apply", "-f", "x", "--max-deletes", "many"], "'--max-deletes': 'many'"),
            (["apply", "-f", "x", "--max-deletes", "101%"], "'--max-deletes': '101%'"),
            (["apply", "-f", "x", "--max-deletes", "-1"], "'--max-deletes': '-1'"),
            (["apply", "-f", "x", "--max-deletes", "1.5"], "'--max-deletes': '1.5'"),
            (["list", "-p", "key.pem"], "give --certificate and --ca-cert too"),
            (["apply", "-f", "x", "-p", "a", "-c", "b"], "give --ca-cert too"),
            (["apply", "--nope"], "--nope"),
            (["apply"], "/nonexistent/kubeconfig: no such file; give manifests (-f PATH) or a cluster"),
            (["apply", "--kubeconfig", "/nowhere"], "/nowhere: no such file"),
            (["apply", "-f", "x", "--context", "prod"], "leave them out, or -f"),
            (["diff", "-f", "x", "-l", "a=b,"], "'-l' / '--selector': 'a=b,'"),
            (["render", "-f", "-", "--policy", "gold"], "--policy gold: give NAMESPACE/NAME, or -n NAMESPACE"),
            (["frobnicate"], "frobnicate"),
            (["diff", "-f", "x", "-o", "yaml"], "yaml"),
            (["diff", "-f", "x", "-t", "0"], "--timeout"),
            (["diff", "-f", "x", "-t", "nan"], "--timeout"),
            (["list", "-t", "inf"], "--timeout"),
            (["demo", "--seconds", "nan"], "--seconds"),
            (["completion", "tcsh"], "tcsh"),
        ],
        ids=lambda given: " ".join(given)[:40] if isinstance(given, list) else "",
    )
    def test_a_wrong_command_line_is_one_line(self, words: list[str], said: str) -> None:
        assert_refused(ovnqos(*words), 1, said)

    def test_tls_files_that_are_not_there_are_named(self, wired: NorthboundServer, tmp_path: Path) -> None:
        files = [word for option in ("-p", "-c", "-C") for word in (option, f"{tmp_path}/none{option}.pem")]
        assert_refused(ovnqos("list", "--nb", "ssl:127.0.0.1:1", *files), 1, "none-p.pem", "No such file")

    def test_no_command_shows_the_help(self) -> None:
        ended = ovnqos()
        assert ended.code == 0
        assert ended.out.startswith("Usage: ovnqos")
        assert ended.err == ""


class TestTls:
    @pytest.fixture
    def server(self, server_certificate: Certificate) -> Iterator[NorthboundServer]:
        with NorthboundServer(listen=["pssl:0:127.0.0.1"], tls_options=server_certificate.options) as server:
            yield server

    def options(self, party: Any) -> list[str]:
        return ["-p", str(party.private_key), "-c", str(party.certificate), "-C", str(party.authority)]

    def test_apply_and_diff_over_tls(self, pki: Pki, server: NorthboundServer, manifests: Path) -> None:
        wire(server, ["node1"], ["shop_a"])
        place = ["--nb", server.remotes[1], *self.options(pki.client("me"))]

        applied = ovnqos_program("apply", "-f", manifests, *place)
        assert (applied.code, applied.errors) == (0, []), applied
        assert ovnqos_program("diff", "--exit-code", "-f", manifests, *place).code == 0
        assert len(dump(server)["QoS"]) == 1

    def test_a_certificate_that_the_server_does_not_trust(self, pki: Pki, server: NorthboundServer) -> None:
        ended = ovnqos_program("list", "--nb", server.remotes[1], *self.options(pki.stranger("eve")), "-t", "2")
        assert_refused(ended, 3, server.remotes[1], "certificate")


def test_the_installed_program_ends_in_order_too(tmp_path: Path) -> None:
    """What the tests above see in this process, the process of a user shows as well."""
    write(tmp_path / "bad.yaml", policy(priority=101))
    assert_refused(ovnqos_program("render", "-f", tmp_path), 1, "spec.priority")
    assert_refused(ovnqos_program("list", "--nb", f"unix:{tmp_path}/no.sock", "-t", "0.5"), 3, "no.sock")
    assert_refused(ovnqos_program("apply", "--nope"), 1, "--nope")
