"""On which OVN the tier runs, and how much of the traffic matrix."""

from __future__ import annotations

import os
from typing import Final

INSTALLED: Final = "installed"
OVN: Final = tuple(os.environ.get("OVNQOS_LAB_OVN", f"{INSTALLED},trixie").split(","))
"""Where the OVN comes from that carries the packets: what is installed, or the folder made of a Debian release."""
REPORT: Final = os.environ.get("OVNQOS_LAB_REPORT", "")
"""The file that takes the report of a session without failures; `make matrix` sets it."""
WHOLE_MATRIX: Final = os.environ.get("OVNQOS_LAB_MATRIX") == "whole"
"""Whether every cell is measured, as by `make matrix`, or a choice of them."""
