"""The daemon's settings: from flags, environment and file."""
