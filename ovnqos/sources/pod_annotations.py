"""QoS annotations of pods, Calico's and Kubernetes', and the same on a namespace as the defaults of its pods.

Source: Calico's documentation, "Configure QoS controls", and its code for bounds and precedence; Kubernetes'
documentation of the bandwidth plugin. What they leave open is decided in `read_pod_qos`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from ovnqos.diagnostics import Code, Diagnostic, ObjectRef, Severity
from ovnqos.model.policy import Bandwidth, bandwidth_advice
from ovnqos.model.workloads import (
    CALICO_PREFIX,
    KUBERNETES_BANDWIDTH_KEYS,
    NO_POD_QOS,
    PodQos,
    Purpose,
    is_pod_qos_key,
)
from ovnqos.sources.annotation_values import parse_burst, parse_dscp, parse_rate
from ovnqos.sources.values import InvalidValueError, child_path, show, suggest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


DSCP_KEY: Final = f"{CALICO_PREFIX}dscp"
_WARNED_MAXIMUM = 20
"""Annotations without effect that are warned of; there are 14 that are known."""
_DIRECTIONS = ("ingress", "egress")
_BANDWIDTH_KEYS = {
    direction: (f"{CALICO_PREFIX}{direction}Bandwidth", f"kubernetes.io/{direction}-bandwidth")
    for direction in _DIRECTIONS
}
_BURST_KEYS = {direction: f"{CALICO_PREFIX}{direction}Burst" for direction in _DIRECTIONS}
_SUPPORTED_KEYS = frozenset(
    {DSCP_KEY, *_BURST_KEYS.values(), *(key for keys in _BANDWIDTH_KEYS.values() for key in keys)}
)
_NO_PACKETS = "OVN limits bits, not packets"
_REASONS = {
    "PacketRate": _NO_PACKETS,
    "PacketBurst": _NO_PACKETS,
    "Packets": _NO_PACKETS,
    "MaxConnections": "OVN limits bits, not connections",
    "Peakrate": "OVN limits to one rate and a burst, not to a second, peak rate",
    "Minburst": "OVN limits to one rate and a burst, not to a second, peak rate",
}
_UNSUPPORTED_KEYS = {
    f"{CALICO_PREFIX}{direction}{noun}": (
        f"no effect: {reason}",
        f"limit bits with {direction}Bandwidth",
    )
    for direction in _DIRECTIONS
    for noun, reason in _REASONS.items()
}
POD_QOS_KEYS: Final = _SUPPORTED_KEYS | frozenset(_UNSUPPORTED_KEYS)
"""The annotations that are known. Calico reads no `ingressPackets` and `egressPackets`, which its tutorials use."""
_SUGGESTED = sorted(
    key.removeprefix(CALICO_PREFIX)
    for key in POD_QOS_KEYS - KUBERNETES_BANDWIDTH_KEYS
    if not key.endswith("Packets")  # names that Calico does not read
)
_KNOWN_NAMES = "use ingressBandwidth, egressBandwidth, ingressBurst, egressBurst or dscp"


def read_pod_qos(annotations: Mapping[str, str], ref: ObjectRef, *, path: str = "metadata.annotations") -> PodQos:
    """Read the QoS annotations of a pod or a namespace.

    Rates are bit/s, bursts bits, both Kubernetes quantities from 1k up to OVN's limit of 4294967295 kbps or kbit
    (Calico's 1P is more than that), divided by 1000 and rounded up. An annotation that is wrong sets nothing, and the
    others hold:

    - Of Calico's and Kubernetes' bandwidth of one direction Calico's holds; if one of the two is wrong, the other one.
      (Calico itself lifts the limit when its own key cannot be parsed, and takes the nearest bound when it is out of
      bounds.)
    - A burst that is wrong leaves the rate with OVN's default burst; one without any bandwidth of its direction is an
      error; beside a bandwidth that is wrong it draws no second error.

    Without a burst, OVN's default of one second of rate holds (`burst_kbit` is None). Calico's default is 4 Gibit.

    Args:
        annotations: those of the object, at least those of `is_pod_qos_key`.
        ref: the object, for the diagnostics.
        path: the field that holds them, for the diagnostics.

    Returns:
        What they say; each diagnostic names the annotation in its path and its value in its text.
    """
    own = {key: value for key, value in annotations.items() if is_pod_qos_key(key)}
    if not own:
        return NO_POD_QOS
    reader = _Reader(own, ref, path)
    ingress, egress = (reader.bandwidth(direction) for direction in _DIRECTIONS)
    dscp = reader.dscp()
    for key in sorted(own.keys() - _SUPPORTED_KEYS)[:_WARNED_MAXIMUM]:
        reader.warn_of_unsupported(key)
    for direction, limit in (("egress", egress), ("ingress", ingress)):
        reader.advise(direction, limit)
    return PodQos(
        ingress=ingress,
        egress=egress,
        dscp=dscp,
        diagnostics=tuple(reader.diagnostics),
        unreadable=frozenset(reader.unreadable),
    )


class _Reader:
    """The annotations of one object, and what is wrong with them."""

    def __init__(self, annotations: Mapping[str, str], ref: ObjectRef, path: str) -> None:
        self._annotations = annotations
        self._ref = ref
        self._path = path
        self.diagnostics: list[Diagnostic] = []
        self.unreadable: set[Purpose] = set()

    def dscp(self) -> int | None:
        outcome = self._outcome(DSCP_KEY, parse_dscp)
        if isinstance(outcome, InvalidValueError):
            self._error(DSCP_KEY, outcome.text, outcome.hint)
            self.unreadable.add(Purpose.DSCP)
            return None
        return outcome

    def bandwidth(self, direction: str) -> Bandwidth | None:
        rate = self._rate(direction)
        key = _BURST_KEYS[direction]
        burst = self._outcome(key, parse_burst)
        if isinstance(burst, InvalidValueError):
            self._error(
                key,
                burst.text,
                burst.hint,
                "" if rate is None else "the rate applies with OVN's default burst, one second of rate",
            )
            burst = None
        elif burst is not None and not any(
            bandwidth_key in self._annotations for bandwidth_key in _BANDWIDTH_KEYS[direction]
        ):
            text = f"{show(self._annotations[key])}: no effect without a bandwidth"
            self._error(key, text, f"add {_BANDWIDTH_KEYS[direction][0]}, e.g. 10M, or remove this")
        return None if rate is None else Bandwidth(rate_kbps=rate, burst_kbit=burst)

    def warn_of_unsupported(self, key: str) -> None:
        known = _UNSUPPORTED_KEYS.get(key)
        if known is not None:
            text, hint = known
        else:
            text = "no effect: unknown annotation"
            hint = suggest(key.removeprefix(CALICO_PREFIX), _SUGGESTED) or _KNOWN_NAMES
        text = f"{show(self._annotations[key])}: {text}"
        self._add(Severity.WARNING, Code.UNSUPPORTED_ANNOTATION, key, text, hint)

    def advise(self, direction: str, limit: Bandwidth | None) -> None:
        advice = bandwidth_advice(limit, self._ref, "") if limit is not None else None
        if advice is not None:
            keys = (_BURST_KEYS[direction], *_BANDWIDTH_KEYS[direction])
            key = next(key for key in keys if key in self._annotations)
            self.diagnostics.append(replace(advice, path=child_path(self._path, key)))

    def _error(self, key: str, text: str, *hints: str) -> None:
        self._add(Severity.ERROR, Code.INVALID_FIELD, key, text, *hints)

    def _add(self, severity: Severity, code: Code, key: str, text: str, *hints: str) -> None:
        self.diagnostics.append(
            Diagnostic(
                severity=severity,
                code=code,
                object=self._ref,
                path=child_path(self._path, key),
                text=text,
                hint="; ".join(filter(None, hints)),
            )
        )

    def _rate(self, direction: str) -> int | None:
        outcomes = {key: self._outcome(key, parse_rate) for key in _BANDWIDTH_KEYS[direction]}
        holding = next((key for key, outcome in outcomes.items() if isinstance(outcome, int)), None)
        in_force = "" if holding is None else f"{holding} applies instead: {show(self._annotations[holding])}"
        rate = None
        for key, outcome in outcomes.items():
            if isinstance(outcome, InvalidValueError):
                self._error(key, outcome.text, outcome.hint, in_force)
                self.unreadable.add(Purpose(direction))
            elif key == holding:
                rate = outcome
        if rate is not None:
            self.unreadable.discard(Purpose(direction))
        return rate

    def _outcome(self, key: str, parse: Callable[[str], int]) -> int | InvalidValueError | None:
        """The value of an annotation, or what is wrong with it; None when it is absent."""
        text = self._annotations.get(key)
        if text is None:
            return None
        try:
            return parse(text)
        except InvalidValueError as error:
            return error
