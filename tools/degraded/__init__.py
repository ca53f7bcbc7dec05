"""Measurements and pictures of the photo weights on degraded LR pictures; `python -m tools.degraded` makes them."""
