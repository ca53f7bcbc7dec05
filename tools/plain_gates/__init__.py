"""Measurement of typical channel gates and of hosts that cut tiles; `python -m tools.plain_gates` makes it."""
