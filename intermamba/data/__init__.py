"""From the owners' files to batches of two people: fetch, preprocess, split files, datasets."""
