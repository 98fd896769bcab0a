"""Leader election: the Lease, and who holds it."""
