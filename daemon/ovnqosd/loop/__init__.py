"""What the daemon does, pass by pass: the inbox, the reconciler, drift."""
