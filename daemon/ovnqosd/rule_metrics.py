"""What the limits of this node pass and drop, as Prometheus metrics; also as the whole of a process (mode `stats`)."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

import prometheus_client as prometheus
import structlog
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from ovnqos import OvnQosError
from ovnqos.stats import LocalChassis, RuleTotals
from ovnqosd.health import HealthServer, Protection

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ovnqosd.settings.settings import Settings

_log = structlog.get_logger()
_LABELS: Final = ("kind", "namespace", "name", "rule", "direction", "network")
_FAMILIES: Final[Mapping[str, tuple[type[CounterMetricFamily | GaugeMetricFamily], str, str]]] = {
    "packets": (CounterMetricFamily, "ovnqos_rule_packets", "Packets that reached the rule's limit on this node."),
    "octets": (CounterMetricFamily, "ovnqos_rule_bytes", "Bytes of them, with Ethernet headers."),
    "dropped_packets": (CounterMetricFamily, "ovnqos_rule_dropped_packets", "Those among them that the limit dropped."),
    "dropped_octets": (CounterMetricFamily, "ovnqos_rule_dropped_bytes", "Bytes of those."),
    "unenforced": (GaugeMetricFamily, "ovnqos_rule_unenforced", "Meters that the switch lacks: all packets pass."),
}
"""The series of a rule, by the attribute of its totals."""
_TIMEOUT_S: Final = 3.0


class RuleMetrics(Collector):
    """Reads the meters whenever metrics are read: an idle node pays nothing.

    A series is a rule of an object on this node, whatever number of pods and switches it has; a pod's own limit is a
    rule of the object `Pod`.
    """

    def __init__(self, settings: Settings) -> None:
        """Start to connect; raises InvalidRemote for remotes or TLS files that cannot be used."""
        self._totals = RuleTotals(
            LocalChassis(ovs_folder=settings.ovs_rundir, ovn_folder=settings.ovn_rundir, timeout_s=_TIMEOUT_S),
            northbound=settings.nb,
            southbound=settings.sb,
            owner=settings.owner,
            tls=settings.tls,
            timeout_s=_TIMEOUT_S,
        )
        self._failure = ""
        self._lock = threading.Lock()  # two may scrape at once

    def stop(self) -> None:
        """Disconnect."""
        self._totals.close()

    def collect(self) -> Iterable[CounterMetricFamily | GaugeMetricFamily]:
        """Read the totals; after a failure there is none."""
        families = {name: kind(series, text, labels=_LABELS) for name, (kind, series, text) in _FAMILIES.items()}
        up = GaugeMetricFamily("ovnqos_rule_counters_up", "1 if this node's counters could be read.")
        with self._lock:
            try:
                found = self._totals.read()
                self._note("")
            except OvnQosError as error:
                found = {}
                self._note(" ".join(str(error).split()))
            up.add_metric([], 0.0 if self._failure else 1.0)
        for rule, totals in found.items():
            labels = (rule.kind, rule.namespace, rule.name, rule.index, rule.direction, rule.network)
            for name, family in families.items():
                family.add_metric(labels, getattr(totals, name))
        return (up, *families.values())

    def describe(self) -> Iterable[CounterMetricFamily | GaugeMetricFamily]:
        """Nothing: registering must not read the switch."""
        return ()

    def _note(self, failure: str) -> None:
        if failure != self._failure:
            if failure:
                _log.warning("counters of limits not readable", error=failure)
            else:
                _log.info("counters of limits readable again")
        self._failure = failure


class RuleMetricsServer:
    """A process that does nothing but serve the counters of a node's limits: mode `stats`."""

    def __init__(self, settings: Settings) -> None:
        """Join the parts; raises InvalidRemote."""
        registry = prometheus.CollectorRegistry()
        prometheus.ProcessCollector(registry=registry)
        self._metrics = RuleMetrics(settings)
        registry.register(self._metrics)
        protection = Protection.of(settings)
        self._health = HealthServer(settings.metrics_address, registry, alive=list, ready=list, protection=protection)

    def start(self) -> None:
        """Serve; raises ListenError if the address cannot be bound."""
        self._health.start()

    def stop(self) -> None:
        """Stop serving and disconnect."""
        self._health.stop()
        self._metrics.stop()
