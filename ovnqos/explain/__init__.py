"""Which row takes a packet, and why the others do not."""
