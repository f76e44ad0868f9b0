"""From the owners' files to batches of two people: fetch, preprocess, split files, datasets."""

SYNTHETIC_MARKER = "SYNTHETIC.txt"
"""File in a generated raw folder that tells it from the owners' data, wherever it is copied."""
UNSEEN_CAPTIONS = "unseen_captions.txt"
"""File in a raw folder that lists captions, one a line, in phrasings that training never shows; metrics are then taken
on these and on the others apart. Generated folders have one, and any other may."""
