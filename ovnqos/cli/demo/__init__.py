"""The demo: scenarios, each run on a private OVN."""
