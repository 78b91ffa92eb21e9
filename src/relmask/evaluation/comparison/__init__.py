"""Methods side by side: takes DATA with test masks, gives one table of figures and a page of pictures.

`methods` names them, each behind one protocol (`inference.model.Model`: images -> a logit and a map a class);
`attributions`, `published` and `baselines` hold those that are not relmask. `shared` is what they have in
common: the split, the pictures to learn from, the trained classifiers. `predictions` keeps logits and maps,
`oracle` finds the thresholds that fit the test masks best, `run` makes a method's rows, `schema` and `page`
are what is left.
"""

from relmask.evaluation.comparison.compare import compare
from relmask.evaluation.comparison.methods import METHODS, UNET
from relmask.evaluation.comparison.schema import ROWS, Row

__all__ = ["METHODS", "ROWS", "UNET", "Row", "compare"]
