"""One call: a model and images in, their explanation out."""

from torch import Tensor, nn

from relmask.lrp.compiler import Explanation, compile
from relmask.lrp.composites import Composite
from relmask.lrp.graph import Output
from relmask.lrp.targets import Target


def explain(
    model: nn.Module,
    images: Tensor,
    composite: str | Composite = "relmask",
    target: Target = None,
    output: Output | None = None,
) -> Explanation:
    """Explain what a classifier says of some images; to explain more of them, `compile` once.

    Args:
        model: images (N, C, ...) to logits (N, K); it is not changed.
        images: as the model takes them.
        composite: the name of a preset, or a `Composite`.
        target: what to explain: None for the predicted class, a class, one for each image, or a `Contrast`.
        output: which one to explain of a model that returns several, by its position or its key.

    Returns:
        Logits, relevance in the images' shape, and the share of it that was conserved.

    Raises:
        UnsupportedOperator: operators without a rule; all of them are named.
        UnsupportedModel: softmax at the end, no (N, K) output, or a model that torch.export cannot trace.
        UsageError: no such composite or output, or a composite without a rule for some layers.

    Example:
        >>> import torch
        >>> model = nn.Sequential(nn.Flatten(), nn.Linear(4, 2, bias=False))
        >>> explanation = explain(model, torch.ones(1, 1, 2, 2), target=1)
        >>> bool((explanation.relevance.sum() - explanation.logits[0, 1]).abs() < 1e-4)
        True
    """
    return compile(model, images, composite, output=output).explain(images, target)
