"""The shipped weights of a checkout: their files, and the configurations of the runs that led to them."""
