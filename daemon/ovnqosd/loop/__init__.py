"""The reconcile loop: inbox, table of objects, comparison with the Northbound, writing it."""
