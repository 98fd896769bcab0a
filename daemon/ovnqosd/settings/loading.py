"""From flags, environment and file to the settings in force: a flag wins over the environment, that over the file."""

from __future__ import annotations

import dataclasses
import difflib
import os
import re
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import yaml
from click.core import ParameterSource

from ovnqos import Owner
from ovnqos.controller import EndedLimitsMaximum
from ovnqosd.settings.settings import OPTION, Mode, Settings, SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

ENVIRONMENT_PREFIX: Final = "OVNQOSD_"
_OF_SERVICES: Final = re.compile(
    rf"{ENVIRONMENT_PREFIX}(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_[A-Z]+(_(PROTO|PORT|ADDR))?)?)"
)
"""What Kubernetes sets in a pod for Services whose names begin with `ovnqosd`."""
_TLS: Final = ("private_key", "certificate", "ca_cert")
_DEFAULT: Final = "default"
_NULL: Final = "tag:yaml.org,2002:null"


def _variable(key: str) -> str:
    return f"{ENVIRONMENT_PREFIX}{key.upper()}"


@dataclasses.dataclass(slots=True)
class _Load:
    """What is found while the settings are loaded: errors, and the line of each key in the file."""

    file: Path | None = None
    errors: list[str] = dataclasses.field(default_factory=list)
    lines: dict[str, int] = dataclasses.field(default_factory=dict)


class Setting(click.Option):
    """A setting: flag, environment variable and key of the file. An invalid value does not hide those that follow."""

    def __init__(self, declared: dataclasses.Field[Any]) -> None:
        flag = declared.name.replace("_", "-")
        flags = f"--{flag}/--no-{flag}" if isinstance(declared.default, bool) else f"--{flag}"
        default = declared.default.value if isinstance(declared.default, Enum) else declared.default
        super().__init__([flags], default=default, **declared.metadata[OPTION])
        self.key = declared.name
        self.flag = self.opts[0]

    @property
    def variable(self) -> str:
        """Its environment variable, e.g. `OVNQOSD_PRIVATE_KEY`."""
        return _variable(self.key)

    def origin(self, context: click.Context) -> str:
        """Where its value is from: the flag, the variable, the line of the file, or `default`."""
        source = context.get_parameter_source(self.key)
        if source is ParameterSource.DEFAULT_MAP:
            return f"{context.obj.file} line {context.obj.lines[self.key]}"
        return {ParameterSource.COMMANDLINE: self.flag, ParameterSource.ENVIRONMENT: self.variable}.get(
            source or ParameterSource.DEFAULT, _DEFAULT
        )

    def handle_parse_result(
        self, ctx: click.Context, opts: Mapping[str, Any], args: list[str]
    ) -> tuple[Any, list[str]]:
        """Add an invalid value to the errors."""
        try:
            return super().handle_parse_result(ctx, opts, args)
        except click.BadParameter as error:
            key = f" {self.key}" if ctx.get_parameter_source(self.key) is ParameterSource.DEFAULT_MAP else ""
            ctx.obj.errors.append(f"{self.origin(ctx)}{key}: {error.message}")
            return None, args


SETTINGS: Final = tuple(Setting(declared) for declared in dataclasses.fields(Settings) if OPTION in declared.metadata)
"""Every setting, in the order of the help."""


def load_settings(arguments: Sequence[str]) -> Settings:
    """Load the settings from the arguments, without the program's name, and the environment.

    `--help` and `--version` print and raise SystemExit.

    Raises:
        SettingsError: something in them is wrong; all errors at once, a line each.
    """
    try:
        loaded = _load.main(list(arguments), prog_name="ovnqosd", standalone_mode=False, obj=_Load())
    except click.ClickException as error:
        raise SettingsError(error.format_message()) from None
    if not isinstance(loaded, Settings):
        raise SystemExit(loaded)
    return loaded


def _read_file(context: click.Context, _config: click.Parameter, path: Path | None) -> None:
    """Take the file's values as defaults of the options."""
    load: _Load = context.obj
    load.file = path
    values: dict[str, str] = {}
    try:
        root = None if path is None else yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
        if root is not None and not isinstance(root, yaml.MappingNode):
            raise ValueError("must be a mapping from settings to values")
        for key, value in root.value if root is not None else ():
            _read_key(
                load, key.value if isinstance(key, yaml.ScalarNode) else "?", key.start_mark.line + 1, value, values
            )
    except OSError as error:
        load.errors.append(f"{path}: {error.strerror or error}")
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        load.errors.append(f"{path}: {' '.join(str(error).split())}")
    context.default_map = values


def _read_key(load: _Load, key: str, line: int, value: yaml.Node, values: dict[str, str]) -> None:
    parts = value.value if isinstance(value, yaml.SequenceNode) else [value]
    error = ""
    if key in load.lines:
        error = f"duplicate of line {load.lines[key]}"
    elif key not in (keys := [setting.key for setting in SETTINGS]):
        error = f"unknown setting{_suggestion(key, keys)}"
    elif not all(isinstance(part, yaml.ScalarNode) for part in parts):
        error = "must be a value or a list of values"
    elif value.tag != _NULL and value.value != "":
        values[key] = ",".join(part.value for part in parts)
    if error:
        load.errors.append(f"{load.file} line {line} {key}: {error}")
    load.lines.setdefault(key, line)


def _unknown_variables() -> Iterator[str]:
    keys = ["config", *(setting.key for setting in SETTINGS)]
    for name in sorted(os.environ):
        key = name.removeprefix(ENVIRONMENT_PREFIX).lower()
        if name.startswith(ENVIRONMENT_PREFIX) and key not in keys and not _OF_SERVICES.fullmatch(name):
            yield f"{name}: unknown setting{_suggestion(key, keys, _variable)}"


def _suggestion(key: str, known: Iterable[str], written: Callable[[str], str] = str) -> str:
    close = difflib.get_close_matches(key.replace("-", "_"), known, n=1)
    return f"; did you mean {written(close[0])}?" if close else ""


@click.command(
    "ovnqosd",
    params=[*SETTINGS],
    context_settings={
        "auto_envvar_prefix": ENVIRONMENT_PREFIX.rstrip("_"),
        "help_option_names": ["-h", "--help"],
        "max_content_width": 110,
    },
    epilog=f"Each setting can also be an environment variable, {ENVIRONMENT_PREFIX}NAME, or a key of the file: its "
    "name with underscores. A flag wins over the environment, and the environment over the file.",
)
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    is_eager=True,
    expose_value=False,
    callback=_read_file,
    metavar="FILE",
    help="YAML file with settings.",
)
@click.option("--print-config", is_flag=True, allow_from_autoenv=False, help="Print the settings and their origins.")
@click.version_option(package_name="ovnqos", message="%(prog)s %(version)s")
@click.pass_context
def _load(context: click.Context, /, **values: Any) -> Settings:
    """Keep the QoS rows of an OVN Northbound as the NetworkQoS objects and pods of a Kubernetes cluster say."""
    errors = [*context.obj.errors, *_unknown_variables()]
    if not errors:
        origins = {setting.key: setting.origin(context) for setting in SETTINGS}
        settings = Settings(**values, origins=origins)
        errors = list(_contradictions(settings))
    if errors:
        raise SettingsError("\n".join(errors))
    return settings


def _contradictions(settings: Settings) -> Iterator[str]:
    def origin(*names: str) -> str:
        """The first that is no default, else the flag."""
        found = (settings.origins[name] for name in names if settings.origins[name] != _DEFAULT)
        return next(found, f"--{names[0].replace('_', '-')}")

    if settings.mode is Mode.ZONE and settings.node is None:
        yield f"{origin('mode')}: zone mode requires a node; set --node, or OVNQOSD_NODE from the field spec.nodeName"
    given = [name for name in _TLS if getattr(settings, name) is not None]
    missing = [name for name in _TLS if name not in given]
    if given and missing:
        yield f"{origin(given[0])}: TLS requires three files; set {' and '.join(missing)} too"
    if (settings.metrics_certificate is None) != (settings.metrics_private_key is None):
        names = ("metrics_certificate", "metrics_private_key")
        yield f"{origin(*names)}: TLS requires both metrics_certificate and metrics_private_key"
    remotes = settings.nb.split(",") if settings.nb is not None else []
    if not given and any(remote.strip().startswith("ssl:") for remote in remotes):
        yield f"{origin('nb')}: ssl: requires {', '.join(_TLS[:-1])} and {_TLS[-1]}"
    if settings.lease_renew >= settings.lease_duration:
        yield (
            f"{origin('lease_renew', 'lease_duration')}: lease_renew ({settings.lease_renew:g} s) must be less than "
            f"lease_duration ({settings.lease_duration:g} s)"
        )


def print_settings(settings: Settings) -> str:
    """The settings as a file that `--config` takes, with a comment at each that says where its value is from."""
    lines = []
    for setting in SETTINGS:
        value = getattr(settings, setting.key)
        origin = settings.origins.get(setting.key, _DEFAULT)
        if value is None or value == ():
            origin = f"{origin}: {setting.show_default}"
        entry = yaml.safe_dump({setting.key: _plain(value)}, width=2**31, allow_unicode=True).rstrip("\n")
        lines.append(f"{entry}  # {origin}")
    return "\n".join(lines) + "\n"


def _plain(value: object) -> object:
    """A value as YAML has it."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Owner):
        return value.name
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    if isinstance(value, EndedLimitsMaximum):
        return str(value).replace(" ", "")
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
