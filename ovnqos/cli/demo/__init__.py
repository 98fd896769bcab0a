"""The guide to NetworkQoS, played on a private OVN."""
