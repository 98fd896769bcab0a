"""The OVN Northbound database: the only place that reads or writes it."""
