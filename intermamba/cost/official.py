"""Sizes by which costs are estimated before the official data are there; imports nothing heavy."""

CLIPS = {"interhuman": 7779, "interx": 11388}
"""Clips of the official datasets, all splits [InterHuman, Inter-X]: no split has more."""
TRAINING_CLIPS = {"interhuman": 6022}
"""Clips of an official training split [paper 5.1, whose count of sequences is that of this split's list]."""
GIB = 2**30
