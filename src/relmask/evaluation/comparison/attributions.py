"""Other explanations of the classifier that relmask trained: gradients, class activations, occlusion.

Each explains the logit of the class, as it was published; what comes after (mirrors, smoothing, thresholds)
is the same for all. Baselines are the mean colour of the classifier's input.
"""

import importlib.util
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from relmask.errors import UsageError
from relmask.inference.explained import ExplainedClassifier
from relmask.inference.substituted import SubstitutedRelevance
from relmask.models.guided import GuidedClassifier
from relmask.models.vgg import Vgg

LEAST = 4
"""Steps that a method of many steps gets, however little time there is."""


class NotApplicable(Exception):
    """Why a method says nothing about a classifier or data."""


@dataclass(frozen=True)
class Attribution:
    """An explanation: (classifier, inputs (N, 3, S, S), classes (N,), references, steps) -> (N, S, S).

    Attributes:
        function: gives it; `references` are inputs (M, 3, S, S) of clean pictures, if there are any.
        steps: passes through the network for one explanation, where more are better; 0 where that is fixed.
        captum: is captum needed?
    """

    function: Callable[[GuidedClassifier, Tensor, Tensor, Tensor, int], Tensor]
    steps: int = 0
    captum: bool = True


class AttributionModel(SubstitutedRelevance):
    """Scores as the classifier does, but explains otherwise.

    Args:
        classifier: what is explained.
        attribution: what to explain with.
        references: images (M, 3, S, S) in [0, 1] of clean pictures.
    """

    def __init__(self, classifier: ExplainedClassifier, attribution: Attribution, references: Tensor) -> None:
        super().__init__(classifier)
        self.attribution = attribution
        self.references = self.normalise(references.to(self.device))
        self.steps = attribution.steps

    def attribute(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Relevance (N, S, S) of one class each."""
        model = self.network
        if not isinstance(model, GuidedClassifier):
            raise NotApplicable("Only relmask's own classifiers are compared.")
        with torch.inference_mode(False), torch.enable_grad(), torch.random.fork_rng():
            torch.manual_seed(0)  # methods that draw noise give the same again
            inputs, targets = inputs.clone().requires_grad_(), targets.clone()
            references = self.references.clone()
            found = self.attribution.function(model, inputs, targets, references, self.steps)
        return found.detach()

    def affordable(self, image: Tensor, seconds: float) -> int:
        """Steps that one explanation of `image` (3, S, S) may take in so many seconds."""
        self.steps = LEAST
        target = torch.zeros(1, dtype=torch.long)
        took = []
        for _ in range(2):
            began = time.perf_counter()
            self.relevance(image[None], target)
            took.append(time.perf_counter() - began)
        return int(np.clip(LEAST * seconds / min(took), LEAST, self.attribution.steps))


def require_captum() -> None:
    """Check that captum is installed.

    Raises:
        UsageError: it is not.
    """
    if importlib.util.find_spec("captum") is None:
        raise UsageError(
            "Gradient methods need captum: pip install 'relmask[compare]'. Or leave them out with --methods."
        )


def input_x_gradient(
    model: GuidedClassifier, inputs: Tensor, targets: Tensor, references: Tensor, steps: int
) -> Tensor:
    """Shrikumar et al. 2016."""
    from captum.attr import InputXGradient

    return _summed(InputXGradient(model).attribute(inputs, target=targets))


def integrated_gradients(
    model: GuidedClassifier, inputs: Tensor, targets: Tensor, references: Tensor, steps: int
) -> Tensor:
    """Sundararajan et al. 2017, from the mean colour to the image."""
    from captum.attr import IntegratedGradients

    explained = IntegratedGradients(model).attribute(
        inputs, target=targets, n_steps=steps, internal_batch_size=max(len(inputs), 8)
    )
    return _summed(explained)


def smoothgrad(
    model: GuidedClassifier, inputs: Tensor, targets: Tensor, references: Tensor, steps: int
) -> Tensor:
    """Smilkov et al. 2017: the mean gradient under noise of 15 % of the image's range, in absolute value."""
    from captum.attr import NoiseTunnel, Saliency

    spread = 0.15 * float(inputs.detach().max() - inputs.detach().min())
    tunnel = NoiseTunnel(Saliency(model))
    explained = tunnel.attribute(
        inputs,
        nt_type="smoothgrad",
        nt_samples=steps,
        nt_samples_batch_size=1,
        stdevs=spread,
        target=targets,
        abs=False,
    )
    return _summed(explained.abs())


def gradient_shap(
    model: GuidedClassifier, inputs: Tensor, targets: Tensor, references: Tensor, steps: int
) -> Tensor:
    """Erion et al. 2021 (expected gradients): from clean pictures, or the mean colour where none is clean.

    captum's draws from numpy's global generator, so the same call would not give the same again.
    """
    baselines = references if len(references) else torch.zeros_like(inputs[:1])
    total = torch.zeros_like(inputs)
    for _ in range(steps):
        difference = inputs - baselines[torch.randint(len(baselines), (len(inputs),))]
        share = torch.rand(len(inputs), 1, 1, 1, device=inputs.device)
        between = (inputs - share * difference).detach().requires_grad_()
        chosen = model(between).gather(1, targets[:, None]).sum()
        total += difference.detach() * torch.autograd.grad(chosen, between)[0]
    return _summed(total / steps)


def deep_lift(
    model: GuidedClassifier, inputs: Tensor, targets: Tensor, references: Tensor, steps: int
) -> Tensor:
    """Shrikumar et al. 2017, the rescale rule, against the mean colour.

    Raises:
        NotApplicable: captum's follows activations that are modules, and the backbone's are functions.
    """
    from captum.attr import DeepLift

    if not isinstance(model.features.trunk.backbone, Vgg):
        raise NotApplicable(
            "captum's DeepLift needs activations that are modules; of the backbones, VGG has them."
        )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Setting forward, backward hooks", UserWarning)  # they are removed
        return _summed(DeepLift(model).attribute(inputs, target=targets))


def occlusion(
    model: GuidedClassifier, inputs: Tensor, targets: Tensor, references: Tensor, steps: int
) -> Tensor:
    """Zeiler and Fergus 2014: how much the logit falls when a square has the mean colour; half overlap."""
    from captum.attr import Occlusion

    size = inputs.shape[-1]
    stride = max(1, round(size / max(1, int(steps**0.5))))
    side = min(size, 2 * stride)
    with torch.no_grad():
        explained = Occlusion(model).attribute(
            inputs,
            sliding_window_shapes=(inputs.shape[1], side, side),
            strides=(inputs.shape[1], stride, stride),
            target=targets,
            perturbations_per_eval=max(1, 16 // len(inputs)),
        )
    return _summed(explained) / inputs.shape[1]


def grad_cam(
    model: GuidedClassifier, inputs: Tensor, targets: Tensor, references: Tensor, steps: int
) -> Tensor:
    """Selvaraju et al. 2017, at the deepest features that the head reads."""
    activations, gradients = _deepest(model, inputs, targets)
    weights = gradients.mean((2, 3), keepdim=True)
    return _enlarged(functional.relu((weights * activations).sum(1)), model, inputs)


def layer_cam(
    model: GuidedClassifier, inputs: Tensor, targets: Tensor, references: Tensor, steps: int
) -> Tensor:
    """Jiang et al. 2021, at the deepest features that the head reads."""
    activations, gradients = _deepest(model, inputs, targets)
    return _enlarged(functional.relu((functional.relu(gradients) * activations).sum(1)), model, inputs)


ATTRIBUTIONS = {
    "input-x-gradient": Attribution(input_x_gradient),
    "integrated-gradients": Attribution(integrated_gradients, steps=32),
    "smoothgrad": Attribution(smoothgrad, steps=32),
    "gradient-shap": Attribution(gradient_shap, steps=32, captum=False),
    "deep-lift": Attribution(deep_lift),
    "grad-cam": Attribution(grad_cam, captum=False),
    "layer-cam": Attribution(layer_cam, captum=False),
    "occlusion": Attribution(occlusion, steps=256),
}


def _deepest(model: GuidedClassifier, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Deepest features (N, C, h, w) that the head reads, and the logit's gradient at them.

    Raises:
        NotApplicable: several backbones have each their own.
    """
    if len(model.features.beside):
        raise NotApplicable("It looks at the deepest features, and each of several backbones has its own.")
    kept: list[Tensor] = []
    hook = model.features.trunk.register_forward_hook(lambda _module, _inputs, taps: kept.append(taps[-1]))
    try:
        logits = model(inputs)
    finally:
        hook.remove()
    chosen = logits.gather(1, targets[:, None]).sum()
    (gradients,) = torch.autograd.grad(chosen, kept[0])
    return kept[0], gradients


def _enlarged(maps: Tensor, model: GuidedClassifier, inputs: Tensor) -> Tensor:
    """Maps (N, h, w) of the deepest features, which see a margin of mirror, as (N, S, S) of the image."""
    margin, (height, width) = model.features.margin, inputs.shape[2:]
    whole = functional.interpolate(
        maps[:, None], size=(height + 2 * margin, width + 2 * margin), mode="bilinear", align_corners=False
    )[:, 0]
    return whole[:, margin : margin + height, margin : margin + width]


def _summed(explained: Tensor) -> Tensor:
    return explained.sum(1)
