"""For all tests: Hypothesis with the same examples in every run (HYPOTHESIS_PROFILE=explore looks for new ones)."""

from __future__ import annotations

import os
import signal

from hypothesis import HealthCheck, settings

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
