"""Where tests find the repository and the numbers of the official code."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
NUMBERS = Path(__file__).parent / "official"
"""Outputs of the official code on weights and inputs made by formulas."""

PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "is_mobile": True, "has_touch": True}
"""A browser's settings."""
