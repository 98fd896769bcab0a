"""What the daemon says of each object: status conditions and Events."""
