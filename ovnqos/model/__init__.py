"""Typed value objects: what people wrote, checked."""
