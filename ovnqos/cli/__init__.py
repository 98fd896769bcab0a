"""The command `ovnqos`."""
