"""`ovnqos verify` where a database or a program is out of reach, over TLS, and on a terminal."""

from __future__ import annotations

import os
import pty
import subprocess
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from ovnqos import DesiredState, Northbound, plan_changes
from ovnqos.sandbox import Central, NorthboundServer, Process, Programs, SouthboundServer
from tests.functional.support_command import PROGRAM, ovnqos, ovnqos_program
from tests.functional.support_verify import apply, row, verify, wire_lan

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.support.pki import Pki


@pytest.fixture(scope="module")
def central() -> Iterator[Central]:
    """A Northbound with one row of ours in force."""
    with Central() as running:
        wire_lan(running)
        apply(running, row())
        yield running


def read_terminal(words: list[str], environment: Mapping[str, str]) -> str:
    """What a terminal is sent."""
    ours, theirs = pty.openpty()
    child = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs, env=dict(environment))
    os.close(theirs)
    said = bytearray()
    while True:
        try:
            block = os.read(ours, 4096)
        except OSError:  # the last who had the terminal open has ended
            break
        said += block
        if not block:
            break
    os.close(ours)
    child.wait(timeout=60)
    return said.decode().replace("\r\n", "\n")


class TestOutOfReach:
    @pytest.mark.parametrize("missing", ["--nb", "--sb"])
    def test_a_socket_that_is_not_there(self, central: Central, tmp_path: Path, missing: str) -> None:
        ended = verify(central, missing, f"unix:{tmp_path}/no.sock")
        assert (ended.code, ended.out) == (3, "")
        (error,) = ended.errors
        assert f"unix:{tmp_path}/no.sock: No such file or directory" in error
        assert ("Northbound" if missing == "--nb" else "Southbound") in error

    def test_a_southbound_that_does_not_answer(self, central: Central) -> None:
        central.southbound.freeze()
        try:
            ended = verify(central)
        finally:
            central.southbound.thaw()
        assert (ended.code, ended.out) == (3, "")
        assert central.southbound.remote in ended.errors[0]

    def test_a_northbound_in_the_southbounds_place(self, central: Central) -> None:
        ended = verify(central, "--sb", central.northbound.remote)
        assert ended.code == 3
        assert "has no database OVN_Southbound; it serves: OVN_Northbound" in ended.errors[0]

    def test_a_remote_that_is_none(self, central: Central) -> None:
        ended = verify(central, "--sb", "tcp:127.0.0.1")
        assert ended.code == 1
        assert "tcp:127.0.0.1" in ended.errors[0]

    def test_tls_without_files(self, central: Central) -> None:
        ended = verify(central, "--sb", "ssl:127.0.0.1:1")
        assert ended.code == 1
        assert "private key" in ended.errors[0]

    def test_the_southbound_is_found_as_ovn_sbctl_finds_it(self, central: Central) -> None:
        places = {"OVN_NB_DB": central.northbound.remote, "OVN_SB_DB": central.southbound.remote}
        ended = ovnqos_program("verify", environment=places)
        assert ended.code == 0, ended
        assert "realised" in ended.out


class TestPrograms:
    def test_without_ovn_trace_it_says_what_to_do(self, central: Central, tmp_path: Path) -> None:
        places = ["--nb", central.northbound.remote, "--sb", central.southbound.remote]
        bare = {"PATH": str(tmp_path)}
        ended = ovnqos_program("verify", *places, environment=bare)
        assert ended.code == 1
        (error,) = ended.errors
        assert error == "ovn-trace is not installed; it is in the Debian package ovn-common, or give --no-trace"
        assert ovnqos_program("verify", *places, "--no-trace", environment=bare).code == 0


def test_both_databases_over_tls(tmp_path: Path, pki: Pki) -> None:
    certificate, party = pki.server("ovn"), pki.client("me")
    listen: dict[str, Any] = {"listen": ["pssl:0:127.0.0.1"], "tls_options": certificate.options}
    with ExitStack() as stack:
        northbound = stack.enter_context(NorthboundServer(**listen))
        southbound = stack.enter_context(SouthboundServer(**listen))
        databases = (f"--ovnnb-db={northbound.remote}", f"--ovnsb-db={southbound.remote}")
        words = Programs().command("ovn-northd", *databases, f"--unixctl={tmp_path}/ctl", "-vsyslog:off")
        stack.enter_context(Process(words, name="ovn-northd", log=tmp_path / "northd.log", run_folder=tmp_path))
        northbound.nbctl("ls-add", "lan", "--", "lsp-add", "lan", "a")
        with Northbound.connect(northbound.remote) as client:
            client.apply(plan_changes(DesiredState.of(rows=[row()]), client.snapshot()))
        files = ["-p", str(party.private_key), "-c", str(party.certificate), "-C", str(party.authority)]
        ended = ovnqos_program(
            "verify", "--nb", northbound.remotes[1], "--sb", southbound.remotes[1], *files, "-t", "20"
        )
        assert ended.code == 0, ended
        assert "lan" in ended.out


def test_a_terminal_gets_colour_and_lines_of_its_width(central: Central) -> None:
    apply(central, row(), row(identity="shadowed", priority=1))
    words = [str(PROGRAM), "verify", "--nb", central.northbound.remote, "--sb", central.southbound.remote]
    clean = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "FORCE_COLOR"}}
    shown = read_terminal(words, {**clean, "TERM": "xterm", "COLUMNS": "100"})
    apply(central, row())
    table = shown.split("error: ")[0].splitlines()
    assert "\x1b[32mrealised\x1b[0m" in shown
    assert "\x1b[1;31mshadowed" in shown
    assert max(len(line) for line in table if "\x1b" not in line) <= 100


def test_help_shows_examples() -> None:
    ended = ovnqos("verify", "--help")
    assert ended.code == 0
    assert "ovnqos apply -f manifests/ && ovnqos verify --wait" in ended.out
