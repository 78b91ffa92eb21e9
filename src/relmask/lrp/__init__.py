"""Layer-wise relevance propagation as a compiler: a classifier in, a module images -> logits, relevance out.

    module = relmask.lrp.compile(model, example, composite="epsilon_plus")
    logits, relevance = module(images, target)

Knows networks and tensors, no images, files or masks.
"""

from relmask.lrp import composites
from relmask.lrp.affine import stabilise
from relmask.lrp.captum_api import LRP
from relmask.lrp.compiler import Explainer, Explanation, compile
from relmask.lrp.composites import Composite, first_layer, kind, module
from relmask.lrp.ledger import Ledger, LedgerEntry
from relmask.lrp.neurons import Neuron, strongest
from relmask.lrp.operators import Operator, Outline, Step, sum_to
from relmask.lrp.operators import operator as register
from relmask.lrp.rules import (
    AlphaBeta,
    Epsilon,
    Flat,
    Gamma,
    Magnitude,
    Ratio,
    Rule,
    Sharing,
    WSquare,
    ZBox,
    ZPlus,
)
from relmask.lrp.targets import Contrast, Target

__all__ = [
    "LRP",
    "AlphaBeta",
    "Composite",
    "Contrast",
    "Epsilon",
    "Explainer",
    "Explanation",
    "Flat",
    "Gamma",
    "Ledger",
    "LedgerEntry",
    "Magnitude",
    "Neuron",
    "Operator",
    "Outline",
    "Ratio",
    "Rule",
    "Sharing",
    "Step",
    "Target",
    "WSquare",
    "ZBox",
    "ZPlus",
    "compile",
    "composites",
    "first_layer",
    "kind",
    "module",
    "register",
    "stabilise",
    "strongest",
    "sum_to",
]
