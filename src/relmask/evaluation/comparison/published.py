"""Two published pipelines, as far as they are known, on a plain VGG classifier.

seibold: Seibold et al., "From Explanations to Segmentation" (VISAPP 2022). forest: Forest et al., "From
Classification to Segmentation with Explainable AI" (Automation in Construction 165, 2024). Both networks are
vgg-narrow from scratch here, so that a method's time is enough; the published ones are larger.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from skimage.filters import threshold_isodata
from torch import Tensor, nn

from relmask import lrp
from relmask.evaluation.comparison.shared import Contrasted, Trained
from relmask.inference.explained import ExplainedClassifier
from relmask.inference.segmenter import Segmentation, Segmenter
from relmask.inference.substituted import SubstitutedRelevance
from relmask.lrp import AlphaBeta, Composite, Epsilon, Gamma, ZBox, kind, module
from relmask.masks.components import find_components
from relmask.masks.support import otsu_of_roots
from relmask.masks.thresholds import Calibration

FloatArray = NDArray[np.float32]
Start = Literal["class", "both", "contrast"]


class PublishedModel(SubstitutedRelevance):
    """Explains the VGG as a paper does: one pass of LRP, no mirrors.

    Args:
        classifier: a `Contrasted` one.
        composite: the rules.
        start: where relevance starts: the class's logit; the logits of clean and the class alike; or the
            class's minus that of clean.
    """

    mirrors = ((),)

    def __init__(self, classifier: ExplainedClassifier, composite: Composite, start: Start) -> None:
        super().__init__(classifier)
        self.spec = self.spec.without_support()
        self.rules = composite
        self.start = start
        assert isinstance(classifier.network, Contrasted)
        example = torch.zeros(2, 3, self.spec.size, self.spec.size, device=self.device)
        compiled = lrp.compile(classifier.network.network, self.normalise(example), composite, sizes=False)
        self.compiled = compiled.to(self.device)

    def attribute(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Relevance (N, S, S) of one class each."""
        classes = targets + 1
        if self.start == "class":
            return self._relevance(inputs, classes)
        if self.start == "contrast":
            return self._relevance(inputs, lrp.Contrast(classes, 0))
        assert isinstance(self.network, Contrasted)
        logits = self.network.network(inputs)
        kept = nn.functional.one_hot(classes, logits.shape[1])
        kept[:, 0] = 1
        return self._relevance(inputs, logits * kept)

    def _relevance(self, inputs: Tensor, target: lrp.Target) -> Tensor:
        relevance: Tensor = self.compiled(inputs, target)[1]
        return relevance.sum(1)


def seibold(trained: Trained) -> PublishedModel:
    """z+ for convolutions, epsilon for linear layers; which rules were used is not known."""
    return PublishedModel(trained.run.classifier, lrp.composites.epsilon_plus(), "class")


def forest(trained: Trained, start: Start) -> PublishedModel:
    """z-box in the first convolution, alpha2-beta1 in two, gamma 0.25 in the others, epsilon 1e-6."""
    spec = trained.run.metadata.input
    low = tuple((0 - mean) / std for mean, std in zip(spec.mean, spec.std, strict=True))
    high = tuple((1 - mean) / std for mean, std in zip(spec.mean, spec.std, strict=True))
    assert isinstance(trained.run.classifier.network, Contrasted)
    convolutions = [
        name
        for name, layer in trained.run.classifier.network.network.named_modules()
        if isinstance(layer, nn.Conv2d)
    ]
    rules = (
        (module(convolutions[0]), ZBox(low, high)),
        *((module(name), AlphaBeta(2, 1)) for name in convolutions[1:3]),
        (kind("convolution"), Gamma(0.25)),
        (kind("linear"), Epsilon(1e-6)),
    )
    return PublishedModel(trained.run.classifier, Composite("forest2024", rules), start)


def one_threshold(trained: Trained, classifier: ExplainedClassifier) -> Calibration:
    """The classifier's own decision as gate, and one threshold on relevance for all classes and pictures.

    From labels alone: Otsu's threshold of the relevance in pictures of all classes.
    """
    base = trained.calibration
    explanations = trained.explanations(classifier)
    maps = []
    for k in range(len(base.classes)):
        maps += explanations.maps(explanations.positives(k, 0.0), k, 0.0)
    same = {"gate": 0.0, "level": otsu_of_roots(maps)}
    classes = {name: chosen.model_copy(update=same) for name, chosen in base.classes.items()}
    return base.model_copy(update={"classes": classes})


class PerImage(Segmenter):
    """Forest et al.'s `simple`: each image's relevance scaled to [0, 1], then Ridler and Calvard's threshold.

    Every picture gets a mask, of the class with the highest logit; nothing is calibrated.
    """

    def decide(
        self,
        logits: NDArray[np.float64],
        maps: Mapping[int, FloatArray],
        support: Mapping[int, FloatArray],
        shape: tuple[int, int],
    ) -> Segmentation:
        """Mask of the strongest class of `maps`."""
        strongest = max(maps, key=lambda k: logits[k])
        relevance = maps[strongest]
        low, high = float(relevance.min()), float(relevance.max())
        mask = np.zeros(shape, np.uint8)
        if high > low:
            scaled = (relevance - low) / (high - low)
            mask[scaled > threshold_isodata(scaled)] = strongest + 1
        found = super().decide(logits, {}, {}, shape)  # the scores; of masks it knows calibrated ones only
        return replace(
            found,
            mask=mask,
            relevance=relevance,
            status="defect" if mask.any() else "clean",
            components=find_components(mask, self.classes),
        )
