"""Degraded LR pictures: single operations, and chains of them by name."""
