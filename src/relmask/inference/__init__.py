"""One picture at a time: takes a trained model and its thresholds, gives a segmentation.

`explained` and `segmentation` are the two kinds of models; `segmenter` puts thresholds on what they say.
"""
