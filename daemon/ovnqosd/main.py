"""Entry point: settings in, a daemon that runs until SIGTERM or SIGINT."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Final

import structlog

from ovnqos import OvnQosError
from ovnqos.controller import printable
from ovnqos.kubernetes import RequestError, connect
from ovnqosd import logs
from ovnqosd.daemon import CLEAN_UP_S, Daemon
from ovnqosd.rule_metrics import RuleMetricsServer
from ovnqosd.settings.loading import load_settings, print_settings
from ovnqosd.settings.settings import DEFAULT_ZONE, Mode
from ovnqosd.status.condition import zone_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ovnqos.kubernetes import KubernetesClient
    from ovnqosd.settings.settings import Settings

_log = structlog.get_logger()
_NODE_TIMEOUT_S: Final = 5.0
_NODE_PAUSES_S: Final = (0.5, 1.0, 2.0, 4.0)
"""Between attempts to read the node: together less than the time in which `/healthz` has to answer."""
_END_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
_END_S: Final = 4.5
"""After SIGTERM the process ends within 5 s, whatever does not answer; later only while it still cleans up."""


def run(arguments: Sequence[str]) -> int:
    """Run the daemon; returns the exit code. Errors of settings are printed, a line each."""
    try:
        settings = load_settings(arguments)
        if settings.print_config:
            sys.stdout.write(print_settings(settings))
            return 0
        logs.configure(settings.log_format, settings.log_level)
        daemon = RuleMetricsServer(settings) if settings.mode is Mode.STATS else _make_daemon(settings)
        wait_for_signal = catch_signals()
        daemon.start()
    except OvnQosError as error:
        sys.stderr.write("".join(f"ovnqosd: {printable(line)}\n" for line in str(error).splitlines()))
        return 1
    _log.info("started", mode=settings.mode.value, owner=settings.owner.name, node=settings.node)
    wait_for_signal()
    _log.info("stopping")
    ending = threading.Thread(target=daemon.stop, name="end", daemon=True)
    ending.start()
    ending.join(_END_S + (CLEAN_UP_S if settings.cleanup_on_exit else 0.0))
    if ending.is_alive():
        _log.warning("shutdown timed out; exiting without waiting for what does not answer")
    _log.info("stopped")
    return 0


def catch_signals() -> Callable[[], object]:
    """From now on SIGTERM and SIGINT do nothing but end the call of what is returned.

    Python's own handler, which might set an Event or fill a queue, runs in the main thread only once that wakes up. It
    does not where the signal came to another thread, or just before the main thread fell asleep (seen: one end in 150
    beside busy threads). The byte that the C handler writes wakes it whenever and wherever the signal comes.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing)
    for number in _END_SIGNALS:
        signal.signal(number, lambda _number, _frame: None)

    def wait() -> None:
        while os.read(reading, 1)[0] not in _END_SIGNALS:
            pass

    return wait


def _make_daemon(settings: Settings) -> Daemon:
    client = connect(settings.kubeconfig, user_agent="ovnqosd")
    zone = settings.zone or find_zone(settings, client)
    logs.configure(settings.log_format, settings.log_level, zone=zone)
    return Daemon(settings, client, zone)


def find_zone(settings: Settings, client: KubernetesClient, pauses_s: Sequence[float] = _NODE_PAUSES_S) -> str:
    """The zone's name in statuses: in central mode a fixed one, else that of ovn-kubernetes' annotation of the node.

    It holds until the process ends. So one refusal, or an API server that starts, does not decide it.

    Args:
        settings: mode and node.
        client: the API.
        pauses_s: between the attempts to read the node, in seconds; after the last one its name is used.
    """
    if settings.mode is Mode.CENTRAL or settings.node is None:
        return DEFAULT_ZONE
    document: dict[str, object] = {}
    for pause in (*pauses_s, None):
        try:
            document = client.request("GET", f"/api/v1/nodes/{settings.node}", timeout=_NODE_TIMEOUT_S)
            break
        except RequestError as error:
            if pause is None:
                _log.warning(
                    "node not readable; using its name as the zone's name", node=settings.node, error=str(error)
                )
                return settings.node
            time.sleep(pause)
    metadata = document.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, dict) else None
    return zone_of(settings.node, annotations if isinstance(annotations, dict) else {})
