"""Requests before they reach a route: who may ask, how slowly, and how uploads are received."""
