"""Starts real OVN servers in throw-away folders and namespaces: one helper for the demo, the tests and the benchmark.

ovsdbapp's `venv` module is not used: it needs the test library `fixtures` at run time, daemonises its servers (so they
outlive a killed parent), ends them by pid file, and gives no nodes, clusters or second start on the same file.
"""

from __future__ import annotations

from ovnqos.sandbox.central import Central
from ovnqos.sandbox.cluster import NEEDED, Pod, Sandbox
from ovnqos.sandbox.flat import Layer2Network, LocalnetNetwork, PrimaryLayer2Network
from ovnqos.sandbox.host import Host
from ovnqos.sandbox.layer3 import Layer3Network
from ovnqos.sandbox.marks import Marks, Probe, read_marks
from ovnqos.sandbox.network import Attachment
from ovnqos.sandbox.node import Node
from ovnqos.sandbox.ovsdb import NorthboundServer, OvsdbServer, SouthboundServer, VswitchServer
from ovnqos.sandbox.pki import Certificate, Pki
from ovnqos.sandbox.process import Process
from ovnqos.sandbox.programs import MissingProgramError, MissingRootError, Programs, SandboxError, require_root
from ovnqos.sandbox.raft import RaftCluster
from ovnqos.sandbox.traffic import Measured, Stream, StreamError, measure

__all__ = [
    "NEEDED",
    "Attachment",
    "Central",
    "Certificate",
    "Host",
    "Layer2Network",
    "Layer3Network",
    "LocalnetNetwork",
    "Marks",
    "Measured",
    "MissingProgramError",
    "MissingRootError",
    "Node",
    "NorthboundServer",
    "OvsdbServer",
    "Pki",
    "Pod",
    "PrimaryLayer2Network",
    "Probe",
    "Process",
    "Programs",
    "RaftCluster",
    "Sandbox",
    "SandboxError",
    "SouthboundServer",
    "Stream",
    "StreamError",
    "VswitchServer",
    "measure",
    "read_marks",
    "require_root",
]
