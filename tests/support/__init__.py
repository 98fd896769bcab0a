"""Builders and oracles that several tests share. None of the oracles uses the code that it judges."""
