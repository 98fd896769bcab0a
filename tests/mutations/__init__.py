"""Faults made on purpose, each of which a test must find: `make mutations`."""
