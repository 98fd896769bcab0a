"""What one pod's annotations, or its namespace's, say of its traffic."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from ovnqos.model.advice import bandwidth_advice

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovnqos.errors import Fault
    from ovnqos.model.policy import Bandwidth


class Purpose(StrEnum):
    """What a row of a single pod is for."""

    EGRESS = "egress"
    INGRESS = "ingress"
    DSCP = "dscp"


@dataclass(frozen=True, slots=True, kw_only=True)
class PodQos:
    """Limits and mark of one pod, or, of a namespace, of its pods that have none.

    Attributes:
        ingress: the limit of what the pod receives; None sets none.
        egress: the limit of what it sends; None sets none.
        dscp: the mark of what it sends out of the cluster, 0 to 63 (0 is a mark); None leaves the mark alone.
        faults: each annotation that is wrong, with its value and the accepted form. It sets nothing.
        inexpressible: each annotation that is not wrong but has no effect on OVN, with its value and the reason.
    """

    ingress: Bandwidth | None = None
    egress: Bandwidth | None = None
    dscp: int | None = None
    faults: tuple[Fault, ...] = ()
    inexpressible: tuple[Fault, ...] = ()

    @property
    def sets_nothing(self) -> bool:
        """Whether there is neither a limit nor a mark; there may be something to tell all the same."""
        return self.ingress is None and self.egress is None and self.dscp is None

    def remarks(self) -> Iterator[str]:
        """What the author is to be told: what is wrong, what has no effect, and advice on small bursts."""
        yield from map(str, (*self.faults, *self.inexpressible))
        for purpose, limit in ((Purpose.EGRESS, self.egress), (Purpose.INGRESS, self.ingress)):
            advice = bandwidth_advice(limit) if limit is not None else None
            if advice:
                yield f"{purpose}: {advice}"


NO_POD_QOS = PodQos()
"""Of a pod without such annotations."""


def merge(pod: PodQos, namespace: PodQos) -> PodQos:
    """The limits and the mark that hold for a pod.

    Each of ingress, egress and dscp is the pod's own, else the namespace's. A limit is taken whole: a pod's rate never
    gets its namespace's burst. What a pod says wrongly sets nothing, so the namespace's default holds there.

    Args:
        pod: of the pod's annotations.
        namespace: of its namespace's.

    Returns:
        What holds. Its faults and its inexpressible annotations are the pod's; the namespace's are told of the
        namespace, once, and not of each of its pods.
    """
    if namespace.sets_nothing:
        return pod
    return PodQos(
        ingress=pod.ingress if pod.ingress is not None else namespace.ingress,
        egress=pod.egress if pod.egress is not None else namespace.egress,
        dscp=pod.dscp if pod.dscp is not None else namespace.dscp,
        faults=pod.faults,
        inexpressible=pod.inexpressible,
    )
