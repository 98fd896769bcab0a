"""Entry point: runs a command, turns every error into lines and an exit code."""

from __future__ import annotations

import gc
import io
import os
import sys
from typing import TYPE_CHECKING

import click

from ovnqos.cli import interrupts, output
from ovnqos.cli.commands.apply import apply
from ovnqos.cli.commands.completion import completion
from ovnqos.cli.commands.convert import convert
from ovnqos.cli.commands.demo import demo
from ovnqos.cli.commands.diff import diff
from ovnqos.cli.commands.explain import explain
from ovnqos.cli.commands.list_rows import list_rows
from ovnqos.cli.commands.prune import prune
from ovnqos.cli.commands.render import render
from ovnqos.cli.commands.verify import verify
from ovnqos.cli.exit_codes import EXIT_INTERRUPTED, EXIT_INVALID, exit_code_of
from ovnqos.errors import OvnQosError

if TYPE_CHECKING:
    from collections.abc import Sequence


@click.group(
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Exit codes: 0 done; 1 invalid input, or a refused plan; 2 drift found (diff --exit-code); "
    "3 the database is out of reach.",
)
@click.version_option(package_name="ovnqos")
@click.pass_context
def ovnqos(context: click.Context) -> None:
    """Kubernetes network QoS, made true on the wire of an OVN network."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


for command in (render, diff, apply, explain, verify, list_rows, prune, convert, demo, completion):
    ovnqos.add_command(command)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code. Errors are printed to standard error, a line each."""
    try:
        outcome = ovnqos.main(
            args=None if arguments is None else list(arguments), prog_name="ovnqos", standalone_mode=False, obj=run
        )
        sys.stdout.flush()
    except OvnQosError as error:
        output.error(error)
        return exit_code_of(error)
    except (click.exceptions.Abort, KeyboardInterrupt):
        return EXIT_INTERRUPTED
    except click.ClickException as error:
        output.error(error.format_message())
        return EXIT_INVALID
    except (output.ReaderGone, BrokenPipeError):
        _drop_unwritten()
        return 0
    except OSError as error:
        _drop_unwritten()
        output.error(f"{error.filename}: {error.strerror}" if error.filename else error.strerror or error)
        return EXIT_INVALID
    return outcome if isinstance(outcome, int) else 0


def _drop_unwritten() -> None:
    """If nobody takes our output any more, keep Python from trying, and complaining, once more at exit."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _open_streams() -> None:
    """Give a process that was started with closed streams (`>&-`) harmless ones; print any text on any terminal."""
    sys.stdin = sys.stdin or open(os.devnull)  # noqa: PTH123, SIM115 - they live as long as the process
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: PTH123, SIM115 - same
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: PTH123, SIM115 - same
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def main() -> None:
    """The console script."""
    gc.disable()  # it lives for seconds; walking a large cluster's objects again and again doubles its time (measured)
    _open_streams()
    interrupts.insist()
    sys.exit(run())
