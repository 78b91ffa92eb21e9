"""Where true masks are met: takes a run and images with masks, gives figures, curves and worst cases.

The names are loaded on first use, so that the room costs nothing where it is not entered.
"""
