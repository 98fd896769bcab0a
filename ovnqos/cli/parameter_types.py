"""Types of parameters: one parser a value, for the options of the command and the settings of the daemon.

The parsers import what they need when they are called, so that `--help` and completion load none of it.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from ovnqos.cli import output

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from enum import Enum

    from netaddr import IPAddress, IPNetwork

    from ovnqos.compile.topologies.choice import TopologyChoice
    from ovnqos.model.labels import LabelSelector
    from ovnqos.model.owner import Owner
    from ovnqos.plan.ended_limits import EndedLimitsMaximum

_T = TypeVar("_T")


class Parsed(click.ParamType):  # type: ignore[type-arg]  # generic only since click 8.4
    """A value that a function makes of a text. The function raises ValueError with what would be right.

    Where there may be several, an environment variable has them with the separator between them, or white space.
    """

    def __init__(self, name: str, parse: Callable[[str], object], *, separator: str | None = None) -> None:
        self.name = name
        self._parse = parse
        self._separator = separator

    def split_envvar_value(self, rv: str) -> Sequence[str]:
        """The texts of several values in an environment variable."""
        return [text for part in rv.split(self._separator) if (text := part.strip())]

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Parse a text; any other value is one that was parsed already."""
        if not isinstance(value, str):
            return value
        try:
            return self._parse(value)
        except ValueError as error:
            self.fail(f"{value!r}: {error}", param, ctx)


class OneOf(click.Choice):  # type: ignore[type-arg]  # generic only since click 8.2
    """A member of an enum, by its value."""

    def __init__(self, kind: type[Enum]) -> None:
        super().__init__([str(one.value) for one in kind])
        self._kind = kind

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Enum:
        """Find the member; fails as click's types do."""
        return value if isinstance(value, self._kind) else self._kind(super().convert(value, param, ctx))


class FilePath(click.Path):
    """The path of a file, which need not exist."""

    def __init__(self) -> None:
        super().__init__(dir_okay=False, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Check it; fails as click's types do."""
        return super().convert(_TEXT.convert(value, param, ctx), param, ctx)


def seconds(at_least: float) -> Parsed:
    """A duration in seconds, at least so long, and finite."""

    def parse(text: str) -> float:
        try:
            found = float(text)
        except ValueError:
            found = math.nan
        if not at_least <= found < math.inf:
            raise ValueError(f"must be a number of seconds, at least {at_least:g}")
        return found

    return Parsed("seconds", parse)


def _text(text: str) -> str:
    if not text.strip() or not text.isprintable():
        raise ValueError("must be one line of text")
    return text


def _checked(make: Callable[[str], _T], text: str) -> _T:
    """What the library makes of a text; its message names the text in front, as the option does."""
    from ovnqos.errors import InvalidRow

    try:
        return make(text)
    except InvalidRow as error:
        raise ValueError(str(error).partition(": ")[2]) from None


def _owner(text: str) -> Owner:
    from ovnqos.model.owner import Owner

    return _checked(Owner, text)


def parse_ended_limits(text: str) -> EndedLimitsMaximum:
    """Parse how many limits may end: `10` or `30%`; raises ValueError."""
    from ovnqos.plan.ended_limits import EndedLimitsMaximum

    return _checked(EndedLimitsMaximum.parse, text)


def _topology(text: str) -> TopologyChoice:
    from ovnqos.compile.topologies.choice import parse_topology_choice

    return parse_topology_choice(text)


def _cidr(text: str) -> IPNetwork:
    from ovnqos.sources.values import parse_cidr

    cidr, cleared = parse_cidr(text)
    if cleared:
        output.warning(cleared)
    return cidr


def _cidr_list(text: str) -> tuple[IPNetwork, ...]:
    return tuple(_cidr(part.strip()) for part in text.split(",") if part.strip())


def _selector(text: str) -> LabelSelector:
    from ovnqos.sources.rules import parse_label_selector

    return parse_label_selector(text)


def parse_address(text: str) -> IPAddress:
    """Parse an IP address; raises ValueError."""
    from netaddr import INET_PTON, AddrFormatError, IPAddress

    try:
        return IPAddress(text, flags=INET_PTON)
    except (AddrFormatError, ValueError):
        raise ValueError("must be an IP address") from None


_TEXT: Final = Parsed("text", _text)
ADDRESS: Final = Parsed("address", parse_address)
CIDR: Final = Parsed("cidr", _cidr, separator=",")
CIDRS: Final = Parsed("cidrs", _cidr_list)
ENDED_LIMITS: Final = Parsed("limit", parse_ended_limits)
FILE: Final = FilePath()
FOLDER: Final = click.Path(file_okay=False, path_type=Path)
OWNER: Final = Parsed("name", _owner)
REMOTE: Final = Parsed("remote", _text)
SELECTOR: Final = Parsed("selector", _selector)
TOPOLOGY: Final = Parsed("topology", _topology)
