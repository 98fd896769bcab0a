"""`ovnqos completion`: completion for the shell."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from ovnqos.cli import output


@click.command
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
