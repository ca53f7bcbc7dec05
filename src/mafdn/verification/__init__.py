"""Whether a result is faithful: it is reduced to the size of its input again and compared with it."""
