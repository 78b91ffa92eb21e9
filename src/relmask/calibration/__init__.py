"""Takes scores, relevance and image-level labels, gives the thresholds of a run.

`gates` decide which image may get a mask, `extents` how far the mask reaches.
"""
