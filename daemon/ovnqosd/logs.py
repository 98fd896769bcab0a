"""The log: one line an event on stderr, as JSON or text, of this program and of the libraries it uses."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Final, TextIO

import structlog

from ovnqos.controller import printable
from ovnqosd.settings.settings import LogFormat, LogLevel

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor, WrappedLogger

_OWN: Final = ("ovnqosd", "ovnqos")
_ROOT: Final = logging.WARNING
"""The libraries log routine at INFO: reconnects, and each statement of a transaction."""


def _make_printable(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Escape what a terminal must not get of what others may have written."""
    return {key: printable(value) if isinstance(value, str) else value for key, value in event.items()}


class _Handler(logging.StreamHandler[TextIO]):
    """Known by its class, so that a second call of `configure` replaces it."""


def configure(log_format: LogFormat, level: LogLevel, *, zone: str = "") -> None:
    """Set the log up, or again when the zone's name becomes known. Loggers that exist by then follow.

    Args:
        log_format: how a line looks.
        level: what is logged of this program. Of the libraries it is WARNING and worse, or worse than that.
        zone: added to every line; empty for none.
    """

    def add_zone(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        if zone:
            event.setdefault("zone", zone)
        return event

    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if log_format is LogFormat.JSON:
        shown: list[Processor] = [
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(ensure_ascii=False, default=str),
            lambda _logger, _method, line: printable(str(line)),
        ]
    else:
        shown = [_make_printable, structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
    handler = _Handler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, add_zone, *shown],
        )
    )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    root = logging.getLogger()
    for old in [one for one in root.handlers if isinstance(one, _Handler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    own_level = logging.getLevelNamesMapping()[level.name]
    root.setLevel(max(_ROOT, own_level))
    for name in _OWN:
        logging.getLogger(name).setLevel(own_level)
    logging.captureWarnings(capture=True)
