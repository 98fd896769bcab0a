"""QoS annotations as commands for kubectl, and as documents for server-side apply."""

from __future__ import annotations

import shlex
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from ovnqos.sources.pod_annotations import CALICO_PREFIX, DSCP_KEY

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ovnqos.convert.conversion import LimitedObject
    from ovnqos.model.pod_qos import PodQos
    from ovnqos.model.policy import Bandwidth

_SUFFIXES = "kMGT"
_NAMES_MAXIMUM = 100  # of one command, so that a line stays one that can be read and pasted


def qos_annotations(qos: PodQos) -> dict[str, str]:
    """The annotations that say this: Calico's keys, rates in bit/s and bursts in bits as Kubernetes quantities."""
    annotations = {}
    for direction, limit in (("ingress", qos.ingress), ("egress", qos.egress)):
        if limit is not None:
            annotations.update(_limit(direction, limit))
    if qos.dscp is not None:
        annotations[DSCP_KEY] = str(qos.dscp)
    return annotations


def _limit(direction: str, limit: Bandwidth) -> dict[str, str]:
    annotations = {f"{CALICO_PREFIX}{direction}Bandwidth": _quantity(limit.rate_kbps)}
    if limit.burst_kbit is not None:
        annotations[f"{CALICO_PREFIX}{direction}Burst"] = _quantity(limit.burst_kbit)
    return annotations


def _quantity(thousands: int) -> str:
    """Thousands of something as a quantity with the largest suffix that leaves it whole: 20000 is 20M."""
    power = 0
    while thousands % 1000 == 0 and power < len(_SUFFIXES) - 1:
        thousands //= 1000
        power += 1
    return f"{thousands}{_SUFFIXES[power]}"


def annotation_documents(annotated: Iterable[LimitedObject]) -> list[dict[str, Any]]:
    """A document for each object with nothing but its name and the annotations, for `kubectl apply --server-side`."""
    documents = []
    for one in annotated:
        metadata: dict[str, Any] = {"name": one.name}
        if one.namespace:
            metadata["namespace"] = one.namespace
        metadata["annotations"] = qos_annotations(one.qos)
        documents.append({"apiVersion": "v1", "kind": one.kind, "metadata": metadata})
    return documents


def annotate_commands(annotated: Iterable[LimitedObject]) -> list[str]:
    """`kubectl annotate` commands, one for all objects of a kind and namespace that get the same annotations."""
    alike: dict[tuple[str, str, tuple[str, ...]], list[str]] = defaultdict(list)
    for one in annotated:
        pairs = tuple(f"{key}={value}" for key, value in qos_annotations(one.qos).items())
        alike[one.kind.lower(), one.namespace, pairs].append(one.name)
    commands = []
    for (kind, namespace, pairs), names in alike.items():
        place = ["-n", namespace] if namespace else []
        for start in range(0, len(names), _NAMES_MAXIMUM):
            part = names[start : start + _NAMES_MAXIMUM]
            commands.append(shlex.join(["kubectl", "annotate", "--overwrite", *place, kind, *part, *pairs]))
    return commands
