"""Methods side by side: takes DATA with test masks, gives one table of figures and a page of pictures.

`methods` names them, each behind one interface (`reader.ExplainedClassifier`: images -> a logit and a map a class);
`attributions`, `published` and `readers` hold those that are not relmask. `bench` is what they share: the
split, the pictures to learn from, the trained classifiers. `looks` keeps logits and maps, `ceiling` finds the
best thresholds, `cell` makes a method's rows, `rows` and `page` are what is left.
"""

from relmask.evaluation.comparison.compare import compare
from relmask.evaluation.comparison.methods import METHODS, UNET
from relmask.evaluation.comparison.schema import ROWS, Row

__all__ = ["METHODS", "ROWS", "UNET", "Row", "compare"]
