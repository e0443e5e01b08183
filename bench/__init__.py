"""Measurements: `make bench`. Never run as tests, and never part of the plugin."""
