"""From flags, environment and file to the settings in force: a flag wins over the environment, that over the file."""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import importlib.metadata
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

import yaml

from ovnqosd.settings.settings import ENVIRONMENT_PREFIX, Mode, Settings, SettingsError, all_settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ovnqosd.settings.settings import Setting

_CONFIG_FLAG: Final = "--config"
_CONFIG_VARIABLE: Final = ENVIRONMENT_PREFIX + "CONFIG"
_TLS: Final = ("private_key", "certificate", "ca_cert")
_DEFAULT: Final = "default"
_SETTINGS: Final = tuple(all_settings())


@dataclasses.dataclass(frozen=True, slots=True)
class _Said:
    """What was said of a setting, and where."""

    value: object
    origin: str


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise SettingsError(message)


def parse(argv: Sequence[str], environ: Mapping[str, str]) -> Settings:
    """Reads the settings. `--help` and `--version` print and raise SystemExit.

    Args:
        argv: the arguments, without the program's name.
        environ: the environment. Unknown variables are no fault: Kubernetes sets `OVNQOSD_SERVICE_HOST` and the like
            for a Service of the name ovnqosd.

    Raises:
        SettingsError: something in them is wrong; all faults at once, a line each.
    """
    arguments = vars(_parser().parse_args(argv))
    print_config = bool(arguments.pop("print_config"))
    file, file_origin = arguments.pop("config", None), _CONFIG_FLAG
    if file is None and environ.get(_CONFIG_VARIABLE):
        file, file_origin = environ[_CONFIG_VARIABLE], _CONFIG_VARIABLE
    faults: list[str] = []
    said = _read_file(Path(file), file_origin, faults) if file is not None else {}
    for setting in _SETTINGS:
        if environ.get(setting.variable):  # an empty variable is how a manifest says nothing
            said[setting.name] = _Said(environ[setting.variable], setting.variable)
        if setting.name in arguments:
            said[setting.name] = _Said(arguments[setting.name], setting.flag)
    values: dict[str, object] = {}
    origins = {setting.name: _DEFAULT for setting in _SETTINGS}
    for setting in _SETTINGS:
        found = said.get(setting.name)
        if found is None or found.value is None:
            continue
        origins[setting.name] = found.origin
        try:
            values[setting.name] = setting.convert(found.value)
        except ValueError as error:
            faults.append(_fault(setting.name, found.origin, f"{str(found.value)!r}: {error}"))
    if faults:
        raise SettingsError("\n".join(faults))
    settings = dataclasses.replace(Settings(origins=origins, print_config=print_config), **values)  # type: ignore[arg-type]  # each value is of its setting's converter
    faults = list(_contradictions(settings))
    if faults:
        raise SettingsError("\n".join(faults))
    return settings


def _fault(name: str, origin: str, message: str) -> str:
    return f"{name} (from {origin}): {message}"


def _parser() -> _Parser:
    parser = _Parser(
        prog="ovnqosd",
        description="Keeps the QoS rows of an OVN Northbound as the NetworkQoS objects of a Kubernetes cluster say.",
        epilog=f"Each setting can stand in the environment too, as {ENVIRONMENT_PREFIX}NAME, and in the file, by its "
        "name with underscores. A flag wins over the environment, and the environment over the file.",
        allow_abbrev=False,
    )
    parser.add_argument(
        _CONFIG_FLAG, metavar="FILE", default=None, help=f"YAML file with settings (${_CONFIG_VARIABLE})."
    )
    parser.add_argument("--version", action="version", version=f"ovnqosd {importlib.metadata.version('ovnqos')}")
    parser.add_argument(
        "--print-config", action="store_true", help="Print the settings in force, and where each is from."
    )
    for setting in _SETTINGS:
        words = f"{setting.help} [default: {setting.default_words or _written(setting.default)}]".replace("%", "%%")
        if setting.is_switch:
            parser.add_argument(
                setting.flag, action=argparse.BooleanOptionalAction, default=argparse.SUPPRESS, help=words
            )
        else:
            parser.add_argument(setting.flag, metavar=setting.metavar, default=argparse.SUPPRESS, help=words)
    return parser


def _read_file(path: Path, origin: str, faults: list[str]) -> dict[str, _Said]:
    where = f"{path} (from {origin})"
    try:
        content = path.read_text(encoding="utf-8")
        node = yaml.compose(content, Loader=yaml.SafeLoader)
        document: object = yaml.safe_load(content)
    except OSError as error:
        faults.append(f"{where}: {error.strerror or error}")
        return {}
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        faults.append(f"{where}: not YAML: {' '.join(str(error).split())}")
        return {}
    if document is None:
        return {}
    if not isinstance(document, dict) or not isinstance(node, yaml.MappingNode):
        faults.append(f"{where}: not a mapping from settings to values")
        return {}
    known = {setting.name: setting for setting in _SETTINGS}
    lines: dict[object, int] = {}
    for key, _ in node.value:
        line = key.start_mark.line + 1
        if key.value in lines:
            faults.append(f"{key.value} ({path} line {line}): is in line {lines[key.value]} already")
        lines[key.value] = line
    said: dict[str, _Said] = {}
    for name, value in document.items():
        place = f"{path} line {lines.get(str(name), 1)}"
        if name in known:
            said[name] = _Said(value, place)
        else:
            faults.append(f"{name} ({place}): no such setting{_suggestion(str(name), known)}")
    return said


def _suggestion(name: str, known: Mapping[str, Setting]) -> str:
    close = difflib.get_close_matches(name.replace("-", "_"), known, n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _contradictions(settings: Settings) -> list[str]:
    faults = []
    origins = settings.origins
    if settings.mode is Mode.ZONE and settings.node is None:
        message = "zone mode needs the name of the node: --node, or OVNQOSD_NODE from the pod's field spec.nodeName"
        faults.append(_fault("mode", origins["mode"], message))
    given = [name for name in _TLS if getattr(settings, name) is not None]
    missing = [name for name in _TLS if name not in given]
    if given and missing:
        faults.append(
            _fault(given[0], origins[given[0]], f"the three TLS files go together: give {' and '.join(missing)} too")
        )
    remotes = settings.nb.split(",") if settings.nb is not None else []
    if not given and any(remote.strip().startswith("ssl:") for remote in remotes):
        faults.append(_fault("nb", origins["nb"], f"ssl: needs {', '.join(_TLS[:-1])} and {_TLS[-1]}"))
    if settings.lease_renew >= settings.lease_duration:
        name = "lease_renew" if origins["lease_renew"] != _DEFAULT else "lease_duration"
        message = (
            f"an elected process must give up (lease_renew, {settings.lease_renew:g} s) before the others take over "
            f"(lease_duration, {settings.lease_duration:g} s)"
        )
        faults.append(_fault(name, origins[name], message))
    return faults


def _written(value: object) -> str:
    """A value as a flag takes it."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else _words(value)


def _words(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def render(settings: Settings) -> str:
    """The settings as a file that `--config` takes, with a comment at each that says where its value is from."""
    lines = []
    for setting in _SETTINGS:
        value = getattr(settings, setting.name)
        origin = settings.origins.get(setting.name, _DEFAULT)
        if value is None or value == ():
            origin = f"{origin}: {setting.default_words or 'none'}"
        plain = value if value is None or isinstance(value, (bool, float)) else _words(value)
        if isinstance(plain, float) and plain.is_integer():
            plain = int(plain)
        entry = yaml.safe_dump({setting.name: plain}, width=2**31, allow_unicode=True).rstrip("\n")
        lines.append(f"{entry}  # {origin}")
    return "\n".join(lines) + "\n"
