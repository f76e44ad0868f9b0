"""From the owners' files to batches: fetch, preprocess, split files, datasets."""

SYNTHETIC_MARKER = "SYNTHETIC.txt"
"""File that marks a generated raw folder, wherever it is copied."""
UNSEEN_CAPTIONS = "unseen_captions.txt"
"""File in a raw folder that lists captions, one per line, in phrasings that training never shows; R-precision is then
also measured separately on these and on the others. Generated folders have one; others may."""
HELD_OUT_CLIPS = "held_out_clips.txt"
"""Likewise a list of clips, by id, that show combinations which no training clip shows."""
