"""How relevance passes each ATen operator: one table, filled by one small function per operator.

Takes a node's inputs, output and relevance; gives a relevance or None per tensor input. The walk in `program.py`
knows none of them. Convolutions and linear layers are in `LAYERS`, everything else is in `OPERATORS`.
"""

from relmask.lrp.operators import (  # noqa: F401 - importing them fills the table
    activations,
    arithmetic,
    pooling,
    reductions,
    shapes,
)
from relmask.lrp.operators.layers import LAYERS
from relmask.lrp.operators.table import OPERATORS, Operator, Outline, Step, operator

__all__ = ["LAYERS", "OPERATORS", "Operator", "Outline", "Step", "operator"]
