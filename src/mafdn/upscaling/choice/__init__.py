"""Which variant of the shipped weights suits a picture: what its file states, what its pixels show, and the choice."""
