"""Whether OVN realises the rows that a Northbound has of an owner: in the Southbound, and for a packet."""

from ovnqos.verify.findings import Finding, Realisation, Report
from ovnqos.verify.verification import verify, verify_snapshot

__all__ = ["Finding", "Realisation", "Report", "verify", "verify_snapshot"]
