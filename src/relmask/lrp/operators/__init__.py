"""How relevance passes each ATen operator: one table, filled by one small function per operator.

Takes a node's inputs, output and relevance; gives a relevance or None per tensor input. The walk in
`program.py` knows none of them. Convolutions and linear layers, which have rules, are in `LAYERS`, all
else is in `OPERATORS`.
"""

from relmask.lrp.operators import (
    activations,
    arithmetic,
    normalisation,
    pooling,
    products,
    reductions,
    resizing,
    selection,
    shapes,
)
from relmask.lrp.operators.arguments import arguments, holds_tensors, tensor_inputs
from relmask.lrp.operators.layers import LAYERS
from relmask.lrp.operators.table import OPERATORS, Operator, Outline, Step, operator, sum_to

FAMILIES = (
    activations,
    arithmetic,
    normalisation,
    pooling,
    products,
    reductions,
    resizing,
    selection,
    shapes,
)
"""Importing a family fills the table."""

__all__ = [
    "LAYERS",
    "OPERATORS",
    "Operator",
    "Outline",
    "Step",
    "arguments",
    "holds_tensors",
    "operator",
    "sum_to",
    "tensor_inputs",
]
