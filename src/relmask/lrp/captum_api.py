"""For code written for captum: an object with `attribute`."""

from torch import Tensor, nn

from relmask.lrp.compiler import Explainer, compile
from relmask.lrp.composites import Composite
from relmask.lrp.graph import OutputKey
from relmask.lrp.targets import Target, starting_relevance


class LRP:
    """LRP with the interface of captum's class of that name, and a composite in place of rules on modules.

    Args:
        model: images (N, C, ...) to logits (N, K); never changed.
        composite: the name of a preset, or a `Composite`.
        output: which one to explain of a model that returns several.

    Example:
        >>> import torch
        >>> model = nn.Sequential(nn.Flatten(), nn.Linear(4, 2, bias=False))
        >>> images = torch.ones(3, 1, 2, 2)
        >>> attributions, delta = LRP(model).attribute(images, target=1, return_convergence_delta=True)
        >>> attributions.shape, bool((delta.abs() < 1e-4).all())
        (torch.Size([3, 1, 2, 2]), True)
    """

    def __init__(
        self, model: nn.Module, composite: str | Composite = "relmask", *, output: OutputKey | None = None
    ) -> None:
        self.model = model
        self.composite = composite
        self.output = output
        self._explainer: Explainer | None = None

    def attribute(
        self,
        inputs: Tensor,
        target: Target = None,
        *,
        return_convergence_delta: bool = False,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Relevance of the inputs.

        Args:
            inputs: (N, C, ...).
            target: a class, one for each image, or a `Contrast`; None is the predicted class.
            return_convergence_delta: also give what was not conserved, (N,): the logit minus the sum of the
                relevance.
        """
        if self._explainer is None:  # the model as it is at the first call
            self._explainer = compile(self.model, inputs, self.composite, output=self.output)
        relevance: Tensor
        logits, relevance = self._explainer(inputs, target)
        if not return_convergence_delta:
            return relevance
        return relevance, starting_relevance(logits, target).sum(1) - relevance.flatten(1).sum(1)
