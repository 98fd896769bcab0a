"""Hooks of mkdocs: links to files outside of docs/ lead to the repository; options and settings become tables."""

from __future__ import annotations

import inspect
import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
from mkdocs.exceptions import PluginError

from ovnqos.cli.main import ovnqos
from ovnqosd.settings.loading import SETTINGS, Setting

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.pages import Page

ROOT: Final = Path(__file__).parents[1]
_LINK: Final = re.compile(r"\]\((\.\./[^)#\s]+|examples/[^)#\s]+)")


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, **_: object) -> str:
    """The page's text with links that work in the site; raises PluginError where a file is not there."""

    def to_repository(link: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join("docs", posixpath.dirname(page.file.src_uri), link[1]))
        if not (ROOT / path).exists():
            raise PluginError(f"{page.file.src_uri}: {link[1]}: no such file in the repository")
        return f"]({config.repo_url}/blob/main/{path}"

    text = _LINK.sub(to_repository, markdown)
    return text.replace("<!-- settings -->", _table(SETTINGS)).replace("<!-- commands -->", "\n\n".join(_commands()))


def _commands() -> Iterator[str]:
    """A section a command: its help, and its options."""
    for name, command in ovnqos.commands.items():
        context = click.Context(command, info_name=f"ovnqos {name}")
        words = " ".join(command.collect_usage_pieces(context))
        paragraphs = inspect.cleandoc(command.help or "").split("\n\n")
        shown = [f"```\n{one.replace(chr(8), '').strip(chr(10))}\n```" if "\b" in one else one for one in paragraphs]
        options = [one for one in command.params if isinstance(one, click.Option) and not one.hidden]
        tables = [_table(options)] if options else []
        yield "\n\n".join([f"## ovnqos {name}", f"`ovnqos {name} {words}`", *shown, *tables])


def _table(options: Iterable[click.Option]) -> str:
    lines = ["| option | what it is |", "| --- | --- |"]
    for one in options:
        names = [*one.opts, *one.secondary_opts, *([one.variable] if isinstance(one, Setting) else [])]
        text = one.help or ""
        if one.show_default:
            default = one.show_default if isinstance(one.show_default, str) else _text(one.default)
            text += f" Default: {default}."
        lines.append(f"| {'<br>'.join(f'`{name}`' for name in names)} | {_escaped(text)} |")
    return "\n".join(lines)


def _text(default: object) -> str:
    if isinstance(default, bool):
        return str(default).lower()
    return f"{default:g}" if isinstance(default, float) else str(default)


def _escaped(text: str) -> str:
    return re.sub(r"([|*_\[\]])", r"\\\1", text).replace("<", "&lt;")
