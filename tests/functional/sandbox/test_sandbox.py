"""The sandbox's databases and northd: each test starts real servers."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ovnqos.sandbox import Central, MissingProgramError, NorthboundServer, Programs, SandboxError
from ovnqos.sandbox.programs import run
from tests.support.ovn_programs import ProgramsOfRoot, trace
from tests.support.raft import RaftCluster

if TYPE_CHECKING:
    from tests.support.pki import Pki


def ends(pid: int, *, within: float = 5) -> bool:
    """Whether a process that may be no child of ours ends in time."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        return bool(poll.poll(within * 1000))
    finally:
        os.close(pidfd)


class TestNorthbound:
    def test_is_empty_and_takes_commands(self) -> None:
        with NorthboundServer() as northbound:
            assert northbound.nbctl("ls-list") == ""
            northbound.nbctl("ls-add", "lan")
            assert "(lan)" in northbound.nbctl("ls-list")

    def test_serves_the_same_data_and_remotes_after_a_restart(self) -> None:
        with NorthboundServer(listen=["ptcp:0:127.0.0.1"]) as northbound:
            northbound.nbctl("ls-add", "lan")
            remotes = northbound.remotes
            northbound.stop()
            assert not northbound.running
            with pytest.raises(SandboxError, match="database connection failed"):
                northbound.nbctl("ls-list", timeout=1)
            northbound.start()
            assert northbound.remotes == remotes
            assert "(lan)" in run(Programs().command("ovn-nbctl", f"--db={remotes[1]}", "ls-list"))

    def test_keeps_what_was_committed_before_a_crash(self) -> None:
        with NorthboundServer() as northbound:
            northbound.nbctl("ls-add", "lan")
            northbound.kill()
            northbound.start()
            assert "(lan)" in northbound.nbctl("ls-list")

    def test_answers_nothing_while_frozen_and_goes_on_when_thawed(self) -> None:
        with NorthboundServer() as northbound:
            northbound.freeze()
            with pytest.raises(SandboxError, match="ovn-nbctl"):
                northbound.nbctl("ls-add", "late", timeout=1)
            assert northbound.running
            northbound.thaw()
            northbound.nbctl("ls-add", "lan")
            assert "(lan)" in northbound.nbctl("ls-list")

    def test_a_frozen_server_can_be_stopped(self) -> None:
        with NorthboundServer() as northbound:
            northbound.freeze()
            northbound.stop()
            assert not northbound.running

    def test_leaves_no_process_and_no_folder(self) -> None:
        with NorthboundServer() as northbound:
            pid, folder = northbound.pid, northbound.folder
            assert folder.is_dir()
        assert ends(pid, within=0)
        assert not folder.exists()

    def test_leaves_a_folder_that_it_was_given(self, tmp_path: Path) -> None:
        with NorthboundServer(folder=tmp_path) as northbound:
            assert northbound.file.parent == tmp_path.resolve()
        assert northbound.file.exists()

    def test_a_start_that_fails_quotes_the_program_and_leaves_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        unassigned = NorthboundServer(listen=["ptcp:0:192.0.2.1"])  # TEST-NET-1, which no machine has
        with pytest.raises(SandboxError, match=r"cannot listen on '192\.0\.2\.1'.*Cannot assign requested address"):
            unassigned.__enter__()
        assert not unassigned.running
        assert list(tmp_path.iterdir()) == []

    def test_a_damaged_file_is_told_in_the_programs_words(self) -> None:
        with NorthboundServer() as northbound:
            northbound.stop()
            northbound.file.write_text("damaged")
            with pytest.raises(SandboxError, match=r"ovsdb-server .* ended before .*unexpected file format"):
                northbound.start()

    def test_tls_needs_a_certificate(self) -> None:
        with pytest.raises(SandboxError, match="needs a certificate"):
            NorthboundServer(listen=["pssl:0:127.0.0.1"])

    def test_a_remote_needs_an_address(self) -> None:
        with pytest.raises(SandboxError, match="<method>:<port>:<address>"):
            NorthboundServer(listen=["ptcp:6641"])

    def test_it_is_not_started_twice(self) -> None:
        with NorthboundServer() as northbound:
            with pytest.raises(SandboxError, match="already runs"):
                northbound.start()
            assert northbound.nbctl("ls-list") == ""

    def test_outlives_the_thread_that_started_it(self) -> None:
        northbound = NorthboundServer()
        thread = threading.Thread(target=northbound.__enter__)
        thread.start()
        thread.join()
        try:
            assert northbound.nbctl("ls-list") == ""
        finally:
            northbound.close()

    def test_does_not_outlive_a_killed_parent(self, tmp_path: Path) -> None:
        script = textwrap.dedent("""
            from ovnqos.sandbox import NorthboundServer
            with NorthboundServer() as northbound:
                print(northbound.pid, flush=True)
                input()
        """)
        with subprocess.Popen(
            [sys.executable, "-c", script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"TMPDIR": str(tmp_path)},
        ) as parent:
            assert parent.stdout is not None
            server = int(parent.stdout.readline())
            assert Path(f"/proc/{server}/comm").read_text().strip() == "ovsdb-server"
            parent.send_signal(signal.SIGKILL)
        assert ends(server)


class TestTls:
    def test_takes_the_client_it_trusts_and_refuses_a_stranger(self, pki: Pki) -> None:
        command = Programs().command("ovn-nbctl", "--timeout=3")
        with NorthboundServer(listen=["pssl:0:127.0.0.1"], tls_options=pki.server("nb").options) as northbound:
            remote = f"--db={northbound.remotes[1]}"
            assert northbound.remotes[1].startswith("ssl:127.0.0.1:")
            run([*command, remote, *pki.client("controller").options, "ls-add", "lan"])
            assert "(lan)" in northbound.nbctl("ls-list")
            with pytest.raises(SandboxError, match="database connection failed"):
                run([*command, remote, *pki.stranger("stranger").options, "ls-add", "other"])
            assert "(other)" not in northbound.nbctl("ls-list")


class TestRaftCluster:
    def test_a_new_leader_takes_over_from_a_killed_one_and_keeps_the_data(self) -> None:
        with RaftCluster(election_timer=300) as cluster:
            assert len(cluster.remotes) == 3
            first = cluster.leader()
            cluster.members[first].nbctl("ls-add", "lan")
            cluster.kill(first)
            second = cluster.leader()
            assert second != first
            cluster.members[second].nbctl("ls-add", "wan")
            cluster.restart(first)
            cluster.kill(second)
            third = cluster.leader()
            assert third != second
            listed = cluster.members[third].nbctl("ls-list")
            assert "(lan)" in listed
            assert "(wan)" in listed

    def test_a_stopped_leader_hands_over(self) -> None:
        with RaftCluster(election_timer=60_000) as cluster:  # an election by time-out would take a minute
            first = cluster.leader()
            cluster.stop(first)
            assert cluster.leader(timeout=10) != first

    def test_has_no_leader_without_a_majority(self) -> None:
        with RaftCluster(election_timer=200) as cluster:
            first = cluster.leader()
            cluster.kill((first + 1) % 3)
            cluster.kill((first + 2) % 3)
            cluster.members[first].stop()
            with pytest.raises(SandboxError, match="no leader"):
                cluster.leader(timeout=0.5)


class TestCentral:
    def test_northd_translates_the_northbound(self) -> None:
        with Central() as central:
            central.nbctl(
                *("ls-add", "lan", "--", "lsp-add", "lan", "a", "--", "lsp-set-addresses", "a", "02:00:00:00:00:01"),
                *("--", "lsp-add", "lan", "b", "--", "lsp-set-addresses", "b", "02:00:00:00:00:02"),
                *("--", "qos-add", "lan", "to-lport", "10", "ip4", "dscp=20"),
            )
            central.sync()
            assert "lan" in central.sbctl("--bare", "--columns=external_ids", "list", "Datapath_Binding")
            flow = 'inport == "a" && eth.src == 02:00:00:00:00:01 && eth.dst == 02:00:00:00:00:02 && ip4 && ip.ttl == 9'
            traced = trace(central, "lan", flow)
            assert "ip.dscp = 20" in traced
            assert 'output to "b"' in traced

    def test_leaves_no_folder(self) -> None:
        with Central() as central:
            folder, pids = central.folder, (central.northbound.pid, central.southbound.pid)
        assert not folder.exists()
        assert all(ends(pid, within=0) for pid in pids)


class TestPrograms:
    def test_a_missing_program_names_its_debian_package(self, tmp_path: Path) -> None:
        programs = ProgramsOfRoot(tmp_path)  # an empty system: nothing is installed in it
        with pytest.raises(MissingProgramError, match=r"ovn-northd.*apt-get install .*ovn-central"):
            programs.require("ovn-northd")
        with pytest.raises(MissingProgramError, match="openvswitch-switch"), NorthboundServer(programs=programs):
            pass
        with pytest.raises(MissingProgramError, match="ovn-common"):
            programs.schema("OVN_Northbound")

    def test_a_failing_program_is_quoted(self) -> None:
        with pytest.raises(SandboxError, match="unknown command 'nonsense'"), NorthboundServer() as northbound:
            northbound.nbctl("nonsense")

    def test_the_callers_environment_does_not_reach_them(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OVN_NB_DB", "unix:/nonexistent")
        monkeypatch.setenv("OVN_NBCTL_OPTIONS", "--no-such-option")
        with NorthboundServer() as northbound:
            assert northbound.nbctl("ls-list") == ""
