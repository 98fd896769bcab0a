"""A client of the Kubernetes API: requests, lists, and lists that are watched."""
