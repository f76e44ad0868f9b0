"""Finished results into README and docs."""
