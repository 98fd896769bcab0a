"""Random and hostile objects, from a seed, through parsing, compiling, planning and rendering; see `__main__`."""
