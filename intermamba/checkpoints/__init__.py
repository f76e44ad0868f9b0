"""Weights in and out: this project's own checkpoints, and other projects' files, read safely and imported."""
