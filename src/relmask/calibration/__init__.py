"""Takes scores, relevance and image-level labels, gives the thresholds of a run.

`gates` decides which image may get a mask, `levels` how far the mask reaches; `from_labels` does both from
image-level labels, and `from_masks` is the one place that opens true masks. `calibrate` serves a run that is
there already, `heatmaps` those who bring maps of their own.
"""
