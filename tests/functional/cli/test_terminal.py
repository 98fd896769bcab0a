"""The command between terminals, pipes and shells."""

from __future__ import annotations

import os
import pty
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ovnqos.cli.main import ovnqos as command_group
from tests.functional.support_command import PROGRAM, ovnqos, ovnqos_program
from tests.functional.support_database import add_row, marks, wire
from tests.functional.support_manifests import PODS, pod, policy, rule, write
from tests.functional.support_states import OTHERS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ovnqos.sandbox import NorthboundServer


ESCAPE = "\x1b["


@pytest.fixture
def server(northbound: NorthboundServer) -> NorthboundServer:
    """A Northbound with the pods' switches and ports, and a row of somebody else."""
    wire(northbound, ["node1", "node2"], ["shop_a", "shop_b"])
    add_row(northbound, ["node1"], **OTHERS[0])
    return northbound


class TestTerminal:
    @pytest.fixture
    def manifests(self, tmp_path: Path) -> Path:
        write(tmp_path / "all.yaml", policy("gold", rule(46)), policy("lead", rule(64)), *PODS)
        return tmp_path

    def on_terminal(
        self,
        *words: str | Path,
        environment: Mapping[str, str] | None = None,
        answer: str | None = None,
        code: int = 1,
    ) -> str:
        """What a terminal is sent when it is both standard output and standard error.

        With an answer it is standard input too, where that is typed when the command asks.
        """
        ours, theirs = pty.openpty()
        clean = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "FORCE_COLOR"}}
        child = subprocess.Popen(
            [PROGRAM, *map(str, words)],
            stdin=subprocess.DEVNULL if answer is None else theirs,
            stdout=theirs,
            stderr=theirs,
            env={**clean, "TERM": "xterm", "COLUMNS": "60", **(environment or {})},
        )
        os.close(theirs)
        said = bytearray()
        while True:
            try:
                block = os.read(ours, 4096)
            except OSError:  # the last who had the terminal open has ended
                break
            if not block:
                break
            said += block
            if answer is not None and b"[y/N]" in said:
                os.write(ours, f"{answer}\n".encode())
                answer = None
        os.close(ours)
        assert child.wait(timeout=60) == code
        return said.decode().replace("\r\n", "\n")

    def test_colour_is_for_terminals(self, manifests: Path) -> None:
        words = ["render", "-o", "diff", "--keep-going", "-f", str(manifests)]
        shown = self.on_terminal(*words)
        piped = ovnqos_program(*words)

        assert ESCAPE not in piped.out + piped.err
        assert f"{ESCAPE}32m+" in shown
        assert f"{ESCAPE}1;31merror: " in shown
        plain = re.sub(r"\x1b\[[0-9;]*m", "", shown)
        assert all(line in plain.splitlines() for line in piped.out.splitlines())

    @pytest.mark.parametrize(
        ("options", "answer", "applies"),
        [([], "n", False), ([], "", False), ([], "y", True), (["--yes"], "n", True)],
        ids=["no", "no answer", "yes", "not asked"],
    )
    def test_apply_asks_before_a_limit_ends(
        self, server: NorthboundServer, tmp_path: Path, options: list[str], answer: str, applies: bool
    ) -> None:
        write(tmp_path / "all.yaml", policy("gold"), policy("lead"), *PODS)
        assert ovnqos("apply", "-f", tmp_path, "--nb", server.remote).code == 0
        write(tmp_path / "all.yaml", policy("gold"), *PODS)
        words = ["apply", "--prune", "--max-deletes", "100%", "-f", str(tmp_path), "--nb", server.remote, *options]
        shown = self.on_terminal(*words, answer=answer, code=0 if applies else 1)
        assert ("[y/N]" in shown) is not bool(options)
        assert "NetworkQoS/shop/lead" in shown.partition("[y/N]")[0]
        assert len(marks(server)) == (1 if applies else 2)

    def test_no_color_is_heeded(self, manifests: Path) -> None:
        assert "32m" not in self.on_terminal("render", "--keep-going", "-f", manifests, environment={"NO_COLOR": "1"})

    @pytest.mark.parametrize("form", ["diff", "nbctl", "json"])
    def test_a_reader_that_has_seen_enough_is_no_error(self, tmp_path: Path, form: str) -> None:
        write(tmp_path / "all.yaml", *(policy(f"p{n}", *[rule()] * 20, priority=n % 100) for n in range(60)), *PODS)
        script = '{ "$0" render -f "$1" -o "$2" 2>"$1/err"; echo $? >&2; } | head -1'
        done = subprocess.run(
            ["sh", "-c", script, PROGRAM, tmp_path, form],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert done.stdout
        assert done.stderr == "0\n"
        said = [line for line in (tmp_path / "err").read_text().splitlines() if "to do: " not in line]
        assert said == []

    @pytest.mark.parametrize("count", [1, 60], ids=["found at the end", "found on the way"])
    def test_a_reader_that_was_gone_before_is_no_error(self, tmp_path: Path, count: int) -> None:
        write(tmp_path / "all.yaml", *(policy(f"p{n}", *[rule()] * 20, priority=n) for n in range(count)), *PODS)
        reading, writing = os.pipe()
        os.close(reading)
        with os.fdopen(writing) as stdout:
            done = subprocess.run(
                [PROGRAM, "render", "-f", tmp_path], stdout=stdout, stderr=subprocess.PIPE, text=True, check=True
            )
        assert all(line.startswith("to do: ") for line in done.stderr.splitlines())

    def test_a_full_disk_is_one_line(self, tmp_path: Path) -> None:
        write(tmp_path / "all.yaml", policy("gold"), *PODS)
        with Path("/dev/full").open("w") as full:
            done = subprocess.run(
                [PROGRAM, "render", "-f", tmp_path], stdout=full, stderr=subprocess.PIPE, text=True, check=False
            )
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        assert "error: " in done.stderr
        assert "No space left on device" in done.stderr

    def test_closed_streams_are_no_error(self, tmp_path: Path, server: NorthboundServer) -> None:
        write(tmp_path / "all.yaml", policy("gold"), *PODS)
        script = '"$0" apply -f "$1" --nb "$2" >&- 2>&- <&-'
        subprocess.run(["sh", "-c", script, PROGRAM, tmp_path, server.remote], check=True, timeout=60)
        assert marks(server) == {"NetworkQoS/shop/gold/0/default": 20}
        done = subprocess.run(
            ["sh", "-c", '"$0" render -f - <&-', PROGRAM], capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 1
        assert done.stderr == "error: standard input: no Kubernetes object in it\n"

    def test_a_terminal_that_cannot_show_a_character_is_no_error(self, tmp_path: Path) -> None:
        many = [pod(f"p{number}", f"10.0.0.{number}") for number in range(1, 40)]
        write(tmp_path / "all.yaml", policy("gold"), *many)
        ended = ovnqos_program("render", "-o", "diff", "-f", tmp_path, environment={"PYTHONIOENCODING": "ascii"})
        assert ended.code == 0
        assert "\\u2026 and 19 more" in ended.out


class TestHelp:
    @pytest.mark.parametrize("command", sorted(command_group.commands))
    def test_every_command_shows_an_example_that_names_it(self, command: str) -> None:
        ended = ovnqos(command, "--help")
        assert ended.code == 0
        _, examples = ended.out.split("Examples:\n")
        assert re.search(rf"\bovnqos {command}\b", examples)

    def test_all_commands_are_listed_and_the_exit_codes_told(self) -> None:
        text = ovnqos("--help").out
        assert all(f"\n  {command} " in text for command in command_group.commands)
        assert "Exit codes:" in text
        assert ovnqos("-h").out == text

    def test_the_version(self) -> None:
        assert re.fullmatch(r"ovnqos, version \d+\.\d+\.\d+\n", ovnqos("--version").out)


class TestCompletion:
    @pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
    def test_a_shell_gets_a_script_that_asks_for_completions(self, shell: str) -> None:
        ended = ovnqos("completion", shell)
        assert (ended.code, ended.err) == (0, "")
        assert f"_OVNQOS_COMPLETE={shell}_complete" in ended.out
        if shell == "bash":
            subprocess.run(["bash", "-n"], input=ended.out, text=True, check=True)

    def test_bash_completes_commands_and_options(self) -> None:
        script = ovnqos("completion", "bash").out
        ask = f"""{script}
            COMP_WORDS=(ovnqos "$@"); COMP_CWORD=$#
            _ovnqos_completion ovnqos; printf '%s\\n' "${{COMPREPLY[@]}}"
        """

        def completed(*words: str) -> set[str]:
            done = subprocess.run(
                ["bash", "-c", ask, "bash", *words],
                capture_output=True,
                text=True,
                check=True,
                timeout=60,
                env={**os.environ, "PATH": f"{PROGRAM.parent}:{os.environ['PATH']}"},
            )
            return set(done.stdout.split())

        assert completed("di") == {"diff"}
        assert completed("") == set(command_group.commands)
        assert {"--max-deletes", "--nb", "--keep-going"} <= completed("apply", "--")
        assert completed("diff", "--output", "n") == {"nbctl"}
