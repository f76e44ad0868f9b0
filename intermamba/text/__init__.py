"""Captions to features: the frozen text tower and its cache."""
