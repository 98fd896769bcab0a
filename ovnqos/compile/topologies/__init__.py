"""The topologies of the CNIs that wire pods by OVN, one a module."""
