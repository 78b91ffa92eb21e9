"""Layer-wise relevance propagation as a compiler: a classifier in, a module images -> logits, relevance out.

    module = relmask.lrp.compile(model, example, composite="epsilon_plus")
    logits, relevance = module(images, target)

Takes a `torch.nn.Module`, images (N, C, ...) and a target; gives relevance in the images' shape. Knows
networks and tensors, no image files and no masks, and imports nothing of relmask but its errors.

The files in the order in which to read them:

- `explain`, `compiler`, `edge`, `targets`, `captum_api`: what users call, what may be passed, where relevance
  starts.
- `composites`, `rules`, `affine`, `linear_maps`: which rule for which layer; the rules as equations; what the
  rules share, W x + b with W in parts; how a convolution or a matrix acts.
- `graph`, `module_paths`, `rewrites`, `decompositions`: from a model to a graph of ATen operators.
- `operators`: how relevance passes each operator that is no layer.
- `analysis`, `lowering`, `instructions`, `program`: what is known of the graph beforehand; its instructions,
  with rules chosen; one walk forwards and one back.
- `ledger`, `neurons`, `randomise`: where relevance got lost, which neurons it went through, and whether it
  depends on what the layers learned.
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
    FixedDeviation,
    Flat,
    Gamma,
    Identity,
    Magnitude,
    Norming,
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
    "FixedDeviation",
    "Flat",
    "Gamma",
    "Identity",
    "Ledger",
    "LedgerEntry",
    "Magnitude",
    "Neuron",
    "Norming",
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
