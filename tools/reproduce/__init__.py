"""Reproduce the figures of README and docs from the shipped weights (`python -m tools.reproduce`)."""
