"""Starts real OVN servers in temporary folders and namespaces: one helper for the demo, the tests and the benchmark.

Whatever fails raises SandboxError: a program or file that is not installed (MissingProgramError, which names its Debian
package), root that is needed (MissingRootError), a name that the sandbox does not have, a program that does not start,
fails or does not end in time, with the last lines that it said.

ovsdbapp's `venv` module is not used: it needs the test library `fixtures` at run time, daemonises its servers (so they
outlive a killed parent), ends them by pid file, and gives no nodes, clusters or second start on the same file.
"""

from __future__ import annotations

from ovnqos.sandbox.central import Central
from ovnqos.sandbox.cluster import REQUIRED_PROGRAMS, Sandbox, SandboxPod
from ovnqos.sandbox.host import Host
from ovnqos.sandbox.marks import Marks, Probe, read_marks
from ovnqos.sandbox.network import Attachment
from ovnqos.sandbox.node import SandboxNode
from ovnqos.sandbox.ovn_kubernetes import Layer3Network
from ovnqos.sandbox.ovsdb import NorthboundServer, OvsdbServer, SouthboundServer, VswitchServer
from ovnqos.sandbox.process import Process
from ovnqos.sandbox.programs import MissingProgramError, MissingRootError, Programs, SandboxError, require_root
from ovnqos.sandbox.traffic import Stream, StreamError, StreamResult, congestion_controls, measure

__all__ = [
    "REQUIRED_PROGRAMS",
    "Attachment",
    "Central",
    "Host",
    "Layer3Network",
    "Marks",
    "MissingProgramError",
    "MissingRootError",
    "NorthboundServer",
    "OvsdbServer",
    "Probe",
    "Process",
    "Programs",
    "Sandbox",
    "SandboxError",
    "SandboxNode",
    "SandboxPod",
    "SouthboundServer",
    "Stream",
    "StreamError",
    "StreamResult",
    "VswitchServer",
    "congestion_controls",
    "measure",
    "read_marks",
    "require_root",
]
