"""The topologies of other CNIs than ovn-kubernetes that wire pods by OVN, one a module; and which of all to use."""
