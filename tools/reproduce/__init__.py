"""Make the figures of README and docs again from the shipped weights (`python -m tools.reproduce`)."""
