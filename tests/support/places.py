"""Where tests find the repository and the numbers of the official code."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
NUMBERS = Path(__file__).parent / "official"
"""Outputs of the official code on weights and inputs made by formulas."""
