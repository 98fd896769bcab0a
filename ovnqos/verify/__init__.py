"""Whether what a Northbound holds of an owner is in force: in the Southbound, on the chassis, for a packet."""

from ovnqos.verify.findings import Finding, Report, Verdict
from ovnqos.verify.verification import verify

__all__ = ["Finding", "Report", "Verdict", "verify"]
