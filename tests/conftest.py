"""For all tests: Hypothesis with the same examples in every run (HYPOTHESIS_PROFILE=explore looks for new ones)."""

from __future__ import annotations

import os
import signal
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Iterator

settings.register_profile(
    "fixed",
    derandomize=True,
    deadline=None,  # a slow machine is no fault
    suppress_health_check=[HealthCheck.too_slow],  # the same: it judges the machine
)
settings.register_profile(
    "explore", settings.get_profile("fixed"), derandomize=False, max_examples=2_000, print_blob=True
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))

# No test reads the cluster of whoever runs the tests
os.environ["KUBECONFIG"] = "/nonexistent/kubeconfig"
os.environ.pop("KUBERNETES_SERVICE_HOST", None)

# A shell that starts the tests in the background has them, and all that they start, ignore SIGINT
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A folder with a short path, in place of pytest's own: that of a unix socket has 107 bytes at most."""
    with tempfile.TemporaryDirectory(prefix="test-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)
