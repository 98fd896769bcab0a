"""Which row takes a packet, and why the others do not."""

from ovnqos.explain.candidates import CandidateRows, RowName, candidates_of_desired, candidates_of_snapshot
from ovnqos.explain.explanation import (
    CandidateRow,
    Decision,
    Effect,
    Explanation,
    Lookup,
    Outcome,
    QosAction,
    RowExplanation,
    RowVerdict,
)
from ovnqos.explain.lookup import explain
from ovnqos.explain.pipeline import PipelineVersion
from ovnqos.explain.pod_packet import InvalidPacket, PodPacket, packet_of_pod

__all__ = [
    "CandidateRow",
    "CandidateRows",
    "Decision",
    "Effect",
    "Explanation",
    "InvalidPacket",
    "Lookup",
    "Outcome",
    "PipelineVersion",
    "PodPacket",
    "QosAction",
    "RowExplanation",
    "RowName",
    "RowVerdict",
    "candidates_of_desired",
    "candidates_of_snapshot",
    "explain",
    "packet_of_pod",
]
