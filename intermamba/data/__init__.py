"""From the owners' files to batches of two people: fetch, preprocess, split files, datasets."""

SYNTHETIC_MARKER = "SYNTHETIC.txt"
"""File in a generated raw folder that tells it from the owners' data, wherever it is copied."""
