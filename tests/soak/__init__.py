"""A soak: the real daemon under random faults; see `__main__`."""
