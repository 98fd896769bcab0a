"""What OVN made of the Northbound: the Southbound's logical flows, as `ovn-trace` runs a packet through them."""
