"""Takes pictures with labels, gives a run: a classifier and its thresholds.

`train` leads: `plan` decides, `classifier` carries it out in the `loop`, `thresholds` chooses the thresholds.
"""
