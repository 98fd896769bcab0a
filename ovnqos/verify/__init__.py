"""Whether OVN realises rows of a Northbound, and whether all of them do to packets what objects promise."""

from ovnqos.verify.findings import Finding, Realisation, Report
from ovnqos.verify.object_findings import ObjectFinding, ObjectReport, ObjectVerdict
from ovnqos.verify.objects import verify_objects
from ovnqos.verify.verification import verify, verify_snapshot

__all__ = [
    "Finding",
    "ObjectFinding",
    "ObjectReport",
    "ObjectVerdict",
    "Realisation",
    "Report",
    "verify",
    "verify_objects",
    "verify_snapshot",
]
