"""Takes pictures with labels, gives a run: a classifier and its thresholds.

`train` leads; `plan` decides, `fitter` carries out, `fit` is the loop, `calibrate` chooses the thresholds.
"""
