"""Transformations, through the public API."""
