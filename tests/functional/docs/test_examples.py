"""The examples of the documentation, run as a reader would run them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ovnqos import Owner
from ovnqos.compile.rows import object_of
from tests.functional.support_database import add_row, dump, of_others, owned, wire
from tests.functional.support_manifests import pod, policy, rule, write
from tests.functional.support_states import OTHERS

if TYPE_CHECKING:
    from ovnqos.sandbox import NorthboundServer

EXAMPLES = Path(__file__).parents[3] / "docs" / "examples"
NAMES = {"compile_policies.py", "controller.py", "ovsdbapp_transaction.py", "program_rows.py"}


def run(name: str, *arguments: str | Path, remote: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, EXAMPLES / name, *arguments],
        env={**os.environ, "OVN_NB_DB": remote},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_no_example_is_left_out() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == NAMES


@pytest.mark.parametrize("name", sorted(NAMES))
def test_without_arguments_the_usage_is_printed(name: str) -> None:
    failed = run(name, remote="nonsense")
    assert (failed.returncode, failed.stdout) == (2, "")
    assert failed.stderr.startswith(f"usage: {name}")


@pytest.mark.parametrize("remote", ["nonsense", "unix:/nonexistent", "tcp:127.0.0.1:1"])
@pytest.mark.parametrize("name", ["ovsdbapp_transaction.py", "program_rows.py"])
def test_a_server_that_does_not_answer_is_named_in_a_line(name: str, remote: str) -> None:
    failed = run(name, "lan", "vm1", remote=remote)
    assert (failed.returncode, failed.stdout) == (1, "")
    assert len(failed.stderr.splitlines()) == 1
    assert remote in failed.stderr


@pytest.mark.parametrize("name", ["ovsdbapp_transaction.py", "program_rows.py"])
def test_a_switch_that_does_not_exist_is_no_traceback(name: str, northbound: NorthboundServer) -> None:
    before = dump(northbound)
    done = run(name, "nowhere", "vm1", remote=northbound.remote)
    assert "nowhere" in done.stderr
    assert "Traceback" not in done.stderr
    assert owned(dump(northbound), Owner("example-neutron-agent")) == owned(before, Owner("example-neutron-agent"))


class TestCompilePolicies:
    OWNER = Owner("example-controller")

    def test_an_invalid_object_stops_no_other(self, northbound: NorthboundServer, tmp_path: Path) -> None:
        wire(northbound, ["node1"], ["shop_a"])
        add_row(northbound, ["node1"], **OTHERS[0])
        before = dump(northbound)
        gold = policy("gold", rule(46, bandwidth={"rate": 1000, "burst": 2000}))
        file = write(tmp_path / "all.yaml", gold, policy("lead", rule(64)), pod("a", "10.0.0.1"))

        dry = run("compile_policies.py", file, "--dry-run", remote=northbound.remote)
        assert dry.returncode == 0
        assert "rate=1000 burst=2000 dscp=46" in dry.stdout
        assert dump(northbound) == before

        done = run("compile_policies.py", file, remote=northbound.remote)
        assert done.returncode == 0
        assert "NetworkQoS shop/lead" in done.stderr
        assert "spec.egress[0].dscp" in done.stderr
        found = owned(dump(northbound), self.OWNER)
        assert {object_of(identity) for identity in found["rows"]} == {"NetworkQoS/shop/gold"}
        assert of_others(dump(northbound), self.OWNER) == of_others(before, self.OWNER)

        again = run("compile_policies.py", file, remote=northbound.remote)
        assert (again.returncode, again.stdout) == (0, "no changes\n")

    def test_a_typo_does_not_end_a_limit(self, northbound: NorthboundServer, tmp_path: Path) -> None:
        wire(northbound, ["node1"], ["shop_a"])
        limit = {"rate": 1000, "burst": 2000}
        file = write(tmp_path / "all.yaml", policy("gold", rule(46, bandwidth=limit)), pod("a", "10.0.0.1"))
        assert run("compile_policies.py", file, remote=northbound.remote).returncode == 0
        before = dump(northbound)

        typo = policy("gold", rule(46, bandwidth={**limit, "rate": "1000"}))
        file = write(tmp_path / "all.yaml", typo, pod("a", "10.0.0.1"))
        done = run("compile_policies.py", file, remote=northbound.remote)
        assert (done.returncode, done.stdout) == (0, "no changes\n")
        assert "spec.egress[0].bandwidth.rate" in done.stderr
        assert dump(northbound) == before

    def test_forgotten_pods_end_no_limit_and_are_named(self, northbound: NorthboundServer, tmp_path: Path) -> None:
        wire(northbound, ["node1"], ["shop_a"])
        file = write(tmp_path / "all.yaml", policy("gold", rule(46)), pod("a", "10.0.0.1"))
        assert run("compile_policies.py", file, remote=northbound.remote).returncode == 0
        before = dump(northbound)
        done = run(
            "compile_policies.py", write(tmp_path / "all.yaml", policy("gold", rule(46))), remote=northbound.remote
        )
        assert (done.returncode, done.stdout) == (0, "no changes\n")
        assert "Pod: not in the input" in done.stderr
        assert dump(northbound) == before

    @pytest.mark.parametrize("text", ["kind: NetworkQos\nmetadata: {name: a}\n", "spec: {}\n"])
    def test_an_object_that_may_be_a_policy_and_has_no_name_stops_all(self, tmp_path: Path, text: str) -> None:
        file = tmp_path / "all.yaml"
        file.write_text(text)
        failed = run("compile_policies.py", file, remote="nonsense")
        assert (failed.returncode, failed.stdout) == (1, "")
        assert [line.startswith("object (") for line in failed.stderr.splitlines()] == [True]

    def test_an_error_is_a_line(self, tmp_path: Path) -> None:
        file = write(tmp_path / "all.yaml", policy(), pod("a", "10.0.0.1"))
        failed = run("compile_policies.py", file, remote="nonsense")
        assert (failed.returncode, failed.stdout) == (1, "")
        assert len(failed.stderr.splitlines()) == 1
        assert "nonsense" in failed.stderr


class TestProgramRows:
    OWNER = Owner("example-agent")

    def test_rows_are_made_once(self, northbound: NorthboundServer) -> None:
        wire(northbound, ["lan"], ["vm1", "vm2"])
        first = run("program_rows.py", "lan", "vm1", "vm2", remote=northbound.remote)
        assert (first.returncode, first.stderr) == (0, "")

        found = owned(dump(northbound), self.OWNER)
        assert set(found["rows"]) == {"example/backup", "example/web"}
        assert found["sets"]["example_senders"]["members"] == {"vm1", "vm2"}
        assert found["sets"]["example_backup_v4"]["members"] == {"203.0.113.0/24", "198.51.100.7"}
        listed = northbound.nbctl("qos-list", "lan").splitlines()
        assert [line.split()[:2] for line in listed] == [["from-lport", "2000"], ["from-lport", "1000"]]
        assert listed[0].endswith("rate=50000 dscp=10")
        assert listed[1].endswith("dscp=46")

        before = northbound.file.read_bytes()
        second = run("program_rows.py", "lan", "vm1", "vm2", remote=northbound.remote)
        assert (second.returncode, second.stdout) == (0, "no changes\n")
        assert northbound.file.read_bytes() == before

    def test_a_port_that_is_missing_is_named(self, northbound: NorthboundServer) -> None:
        wire(northbound, ["lan"], ["vm1"])
        done = run("program_rows.py", "lan", "vm1", "vm2", remote=northbound.remote)
        assert done.returncode == 0
        assert "logical switch port vm2 is not in the Northbound" in done.stderr


class TestOvsdbappTransaction:
    OWNER = Owner("example-neutron-agent")

    def test_port_and_row_are_made_together_and_once(self, northbound: NorthboundServer) -> None:
        wire(northbound, ["lan"])
        add_row(northbound, ["lan"], **OTHERS[0])
        before = dump(northbound)
        first = run("ovsdbapp_transaction.py", "lan", "vm1", remote=northbound.remote)
        assert (first.returncode, first.stderr) == (0, "")

        found = dump(northbound)
        assert list(owned(found, self.OWNER)["rows"]) == ["example/vm1"]
        assert [one["name"] for one in found["Logical_Switch_Port"].values()] == ["vm1"]
        assert of_others(found, self.OWNER)["QoS"] == before["QoS"]

        written = northbound.file.read_bytes()
        second = run("ovsdbapp_transaction.py", "lan", "vm1", remote=northbound.remote)
        assert (second.returncode, second.stdout) == (0, "no changes\n")
        assert northbound.file.read_bytes() == written

    def test_a_switch_that_is_missing_leaves_nothing_behind(self, northbound: NorthboundServer) -> None:
        before = dump(northbound)
        failed = run("ovsdbapp_transaction.py", "nowhere", "vm1", remote=northbound.remote)
        assert failed.returncode == 1
        assert "logical switch nowhere is not in the Northbound" in failed.stderr
        assert dump(northbound) == before
