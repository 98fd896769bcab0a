"""Which replica writes: the Lease and its election."""
