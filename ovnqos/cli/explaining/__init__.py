"""What `ovnqos explain` is made of: the question, the rows, OVN's own answer, and how all of it is printed."""
