"""Where true masks are met: takes a run and pictures with masks, gives figures, curves and worst cases.

`evaluate` runs over a split of the data; `measure` does so for anything that segments; `metrics` is what
metrics.json holds, `ranking` and `bootstrap` what it is made of; `controls` are scores that know nothing of
the defect; `results`, `pages` and `cases` are what a person sees.
"""
