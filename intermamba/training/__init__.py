"""Training of denoisers: losses, the Lightning module and its data."""

ADAPTIVE_COLUMNS = ["step", "block", "module", "branch", "value"]
"""Columns of a run's ``adaptive.csv``."""
