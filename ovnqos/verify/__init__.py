"""Whether what a Northbound holds of an owner is in force: in the Southbound, on the chassis, for a packet."""
