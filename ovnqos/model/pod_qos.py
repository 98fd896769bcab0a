"""Limits and DSCP mark that the annotations of a pod, or of its namespace, set."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ovnqos.diagnostics import Diagnostic
    from ovnqos.model.policy import Bandwidth


class Purpose(StrEnum):
    """What a row of a single pod is for."""

    EGRESS = "egress"
    INGRESS = "ingress"
    DSCP = "dscp"


@dataclass(frozen=True, slots=True, kw_only=True)
class PodQos:
    """Limits and mark of one pod; of a namespace: the defaults of its pods.

    Attributes:
        ingress: the limit of what the pod receives; None sets none.
        egress: the limit of what it sends; None sets none.
        dscp: the mark of what it sends out of the cluster, 0 to 63 (0 is a mark); None leaves the mark alone.
        diagnostics: an error for each annotation that is wrong, and sets nothing; a warning for each that OVN cannot
            express, and for each burst that is too small.
    """

    ingress: Bandwidth | None = None
    egress: Bandwidth | None = None
    dscp: int | None = None
    diagnostics: tuple[Diagnostic, ...] = ()

    @property
    def sets_nothing(self) -> bool:
        """Whether there is neither a limit nor a mark; there may be diagnostics all the same."""
        return self.ingress is None and self.egress is None and self.dscp is None


NO_POD_QOS = PodQos()
"""Of a pod without such annotations."""


def merge(pod: PodQos, namespace: PodQos) -> PodQos:
    """The limits and the mark that hold for a pod.

    Each of ingress, egress and dscp is the pod's own, else the namespace's. A limit is taken whole: a pod's rate never
    gets its namespace's burst. An annotation that is wrong sets nothing, so the namespace's default holds there.

    Args:
        pod: of the pod's annotations.
        namespace: of its namespace's.

    Returns:
        What holds, with the pod's diagnostics; those of the namespace are the namespace's own.
    """
    if namespace.sets_nothing:
        return pod
    return PodQos(
        ingress=pod.ingress if pod.ingress is not None else namespace.ingress,
        egress=pod.egress if pod.egress is not None else namespace.egress,
        dscp=pod.dscp if pod.dscp is not None else namespace.dscp,
        diagnostics=pod.diagnostics,
    )
