"""One call: a model and images in, their explanation out."""

from torch import Tensor, nn

from relmask.lrp.compiler import Explanation, compile
from relmask.lrp.composites import Composite
from relmask.lrp.graph import OutputKey
from relmask.lrp.targets import Target


def explain(
    model: nn.Module,
    images: Tensor,
    composite: str | Composite = "relmask",
    target: Target = None,
    output: OutputKey | None = None,
) -> Explanation:
    """Explain what a classifier says of some images; to explain more of them, `compile` once.

    Args:
        model: images (N, C, ...) to logits (N, K); it is copied, never changed, and explained in evaluation
            mode whatever mode it is in. Gradients may be on or off.
        images: one dense tensor of finite floats (N, C, ...), on the model's device, normalised as the model
            was trained. Floats of another kind than the model's are cast to the model's. N may be 0.
        composite: the name of a preset, or a `Composite`.
        target: what to explain: None for the predicted class, a class, one for each image, or a `Contrast`.
        output: which one to explain of a model that returns several, by its position or its key.

    Returns:
        Logits (N, K), relevance in the images' shape, and the share of it that was conserved (N,), in the
        model's kind of floats, without gradients.

    Raises:
        UnsupportedOperator: operators without a rule; all of them are named.
        UnsupportedModel: softmax at the end, no (N, K) output, batch norm without running statistics, or a
            model that torch.export cannot trace.
        UsageError: images of another kind or on another device, a model that cannot run on them, a class that
            does not exist, no such composite or output, or a composite without a rule for some layers.

    Example:
        >>> import torch
        >>> model = nn.Sequential(nn.Flatten(), nn.Linear(4, 2, bias=False))
        >>> explanation = explain(model, torch.ones(1, 1, 2, 2), target=1)
        >>> bool((explanation.relevance.sum() - explanation.logits[0, 1]).abs() < 1e-4)
        True
    """
    return compile(model, images, composite, output=output).explain(images, target)
