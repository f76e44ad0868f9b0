"""Checkpoints: this project's own, and those of other projects, read safely and imported."""
