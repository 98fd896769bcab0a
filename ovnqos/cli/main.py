"""Entry point: runs a command, turns every error into lines and an exit code."""

from __future__ import annotations

import gc
import io
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, Final

import click
from click.shell_completion import ShellComplete, get_completion_class

from ovnqos.cli import output
from ovnqos.cli.commands.apply import apply
from ovnqos.cli.commands.convert import convert
from ovnqos.cli.commands.demo import demo
from ovnqos.cli.commands.diff import diff
from ovnqos.cli.commands.explain import explain
from ovnqos.cli.commands.list_rows import list_rows
from ovnqos.cli.commands.render import render
from ovnqos.cli.commands.stats import stats
from ovnqos.cli.commands.verify import verify
from ovnqos.diagnostics import printable
from ovnqos.errors import (
    DatabaseUnavailable,
    InvalidObject,
    LockLost,
    OutcomeUnknown,
    OvnQosError,
    SchemaMismatch,
    StalePlan,
    TransactionRefused,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from sys import UnraisableHookArgs

_NO_SPACE, _NO_FILES = 2, 4  # cobra's ShellCompDirective, which kubectl reads
_OF_THE_DATABASE: Final = (
    DatabaseUnavailable,
    LockLost,
    OutcomeUnknown,
    SchemaMismatch,
    StalePlan,
    TransactionRefused,
)
_AGAIN_S: Final = 0.01


@click.group(
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Exit codes: 0 done; 1 invalid input, or a refused plan; 2 differences found (diff --exit-code); "
    "3 the database is unreachable.",
)
@click.version_option(package_name="ovnqos")
@click.pass_context
def ovnqos(context: click.Context) -> None:
    """Kubernetes network QoS on OVN: marks and rate limits from NetworkQoS objects and pod annotations."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@ovnqos.command()
@click.argument("shell", type=click.Choice(["bash", "fish", "zsh"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script that completes this command in a shell.

    \b
    Examples:
      ovnqos completion bash > /etc/bash_completion.d/ovnqos
      ovnqos completion zsh > "${fpath[1]}/_ovnqos"
    """  # noqa: D301 - \b keeps click from filling the lines
    kind = get_completion_class(shell)
    assert kind is not None
    output.result(kind(context.find_root().command, {}, "ovnqos", "_OVNQOS_COMPLETE").source())


_COLOUR: Final = click.Option(
    ["--color"],
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
    expose_value=False,
    callback=lambda _context, _parameter, when: output.colour(when),
    help="When to colour the output.  [default: on terminals, unless NO_COLOR is set; with FORCE_COLOR always]",
)
for command in (render, diff, apply, explain, verify, list_rows, stats, convert, demo):
    command.params.append(_COLOUR)
    ovnqos.add_command(command)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code. Errors are printed to standard error, a line each."""
    with output.reports():
        try:
            outcome = ovnqos.main(
                args=None if arguments is None else list(arguments), prog_name=_name(), standalone_mode=False, obj=run
            )
            sys.stdout.flush()
        except InvalidObject as error:
            output.diagnostics(error.diagnostics)
            return output.EXIT_INVALID
        except OvnQosError as error:
            output.error(error)
            return output.EXIT_UNREACHABLE if isinstance(error, _OF_THE_DATABASE) else output.EXIT_INVALID
        except (click.exceptions.Abort, KeyboardInterrupt):
            return output.EXIT_INTERRUPTED
        except click.ClickException as error:
            output.error(error.format_message())
            return output.EXIT_INVALID
        except (output.ReaderGone, BrokenPipeError):
            _drop_unwritten()
            return 0
        except OSError as error:
            _drop_unwritten()
            output.error(f"{error.filename}: {error.strerror}" if error.filename else error.strerror or error)
            return output.EXIT_INVALID
        return outcome if isinstance(outcome, int) else 0


def _name() -> str:
    """How the user called this program: kubectl runs a plugin by its file's name."""
    return "kubectl ovnqos" if os.path.basename(sys.argv[0]) == "kubectl-ovnqos" else "ovnqos"  # noqa: PTH119 # no file


def _drop_unwritten() -> None:
    """Keep Python from writing, and complaining, once more at exit, where standard output has no reader any more."""
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


def _interrupt_again(unraisable: UnraisableHookArgs) -> None:
    """Send Ctrl-C again where Python can raise nothing: in a finalizer, or in the callback of a weak reference.

    It would be printed as a traceback and ignored. Seen on the demo under load, about once in 200. Where was not seen;
    each first import of a module ends with such a callback.
    """
    if unraisable.exc_type is KeyboardInterrupt:
        thread = threading.main_thread().ident
        assert thread is not None  # it runs
        threading.Timer(_AGAIN_S, signal.pthread_kill, (thread, signal.SIGINT)).start()
    else:
        sys.__unraisablehook__(unraisable)


def main() -> None:
    """The console script."""
    gc.disable()  # it lives for seconds; walking a large cluster's objects again and again doubles its time (measured)
    _open_streams()
    sys.unraisablehook = _interrupt_again
    sys.exit(run())


def complete_for_kubectl() -> None:
    """The program `kubectl_complete-ovnqos`, by which kubectl (1.26 and newer) completes `kubectl ovnqos`.

    The words of the command line come as arguments, one completion a line goes out.
    """
    *words, incomplete = sys.argv[1:] or [""]
    found = ShellComplete(ovnqos, {}, "ovnqos", "").get_completions(words, incomplete)
    plain = [item for item in found if item.type == "plain"]
    for item in plain:
        sys.stdout.write(printable(f"{item.value}\t{item.help}" if item.help else item.value, keep="\t") + "\n")
    no_space = _NO_SPACE if plain and all(item.value.endswith("/") for item in plain) else 0
    sys.stdout.write(f":{0 if len(plain) < len(found) else _NO_FILES | no_space}\n")
