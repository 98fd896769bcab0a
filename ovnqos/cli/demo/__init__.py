"""The demo: scenes, each played on a private OVN."""
