"""The in-cluster daemon."""
