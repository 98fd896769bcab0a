"""Kubernetes network QoS, made true on the wire of an OVN network."""
