"""From the model to OVN's own terms: pure functions."""
