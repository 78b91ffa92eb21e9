"""Takes scores, relevance and image-level labels, gives the thresholds of a run.

A gate decides which image may get a mask, a level how far the mask reaches; `from_labels` chooses both from
image-level labels, and `from_masks` is the one place that opens true masks. `calibrate` serves a run that is
there already, `heatmaps` those who bring maps of their own.
"""
