"""Measurement of the choice between the shipped weights; `python -m tools.choice` makes it."""
