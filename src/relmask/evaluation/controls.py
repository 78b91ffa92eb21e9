"""What a mask must beat: scores that know nothing of the defect.

A control is given the advantage: its threshold is the best one on the very images that it is tested on.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from skimage import filters
from torch import nn

from relmask.inference.explained import ExplainedClassifier
from relmask.models.guided import GuidedClassifier

Image = NDArray[np.float32]
ScoreMap = NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Control:
    """A name and a function from an image (H, W, 3) in [0, 1] to a score (H, W), high where a defect is."""

    name: str
    score: Callable[[Image], ScoreMap]


def darkness(image: Image) -> ScoreMap:
    """How dark each pixel is, slightly smoothed against the sensor's noise."""
    dark: ScoreMap = 1 - ndimage.gaussian_filter(image.mean(-1), 0.7)
    return dark


def otsu(image: Image, tiles: int = 6) -> ScoreMap:
    """How far each pixel lies below a local Otsu threshold.

    The threshold is that of tiles with half overlap, interpolated between their centres; a tile is a sixth of
    the image's shorter side, at least 16 pixels.
    """
    grey = image.mean(-1)
    size = max(16, min(grey.shape) // tiles)
    rows, columns = (np.arange(max(1, round(2 * length / size) - 1)) * (size / 2) for length in grey.shape)
    levels = np.array(
        [[_otsu_level(grey[int(y) : int(y) + size, int(x) : int(x) + size]) for x in columns] for y in rows]
    )
    y = ((np.arange(grey.shape[0]) - size / 2) / (size / 2)).clip(0, len(rows) - 1)
    x = ((np.arange(grey.shape[1]) - size / 2) / (size / 2)).clip(0, len(columns) - 1)
    threshold = ndimage.map_coordinates(levels, np.meshgrid(y, x, indexing="ij"), order=1, mode="nearest")
    below: ScoreMap = threshold - grey
    return below


CONTROLS = (Control("darkness", darkness), Control("otsu", otsu))


def untrained(model: ExplainedClassifier, seed: int = 0) -> ExplainedClassifier:
    """The same network with a head that was never trained; `model` stays as it is.

    Of a model that is not relmask's own, the last layer with weights counts as head.
    """
    network = copy.deepcopy(model.network)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        if isinstance(network, GuidedClassifier):
            network.start_again()
        else:
            _last_layer(network).reset_parameters()
    return model.with_network(network)


def random_head(model: ExplainedClassifier, seed: int = 0) -> Control:
    """The relevance of the same network with a head that was never trained: does the mask need the training?

    Source: Adebayo et al., "Sanity checks for saliency maps" (NeurIPS 2018). The class with the highest logit
    is explained.
    """
    fresh = untrained(model, seed)

    def score(image: Image) -> ScoreMap:
        images, places = fresh.cut(image)
        logits = fresh.logits(images).amax(0)
        strongest = int(logits.argmax())
        relevance = fresh.explain(image, images, places, strongest)
        evidence: ScoreMap = relevance * np.sign(float(logits[strongest]))
        return evidence

    return Control("random-head", score)


def _last_layer(network: nn.Module) -> nn.Conv2d | nn.Linear:
    layers = [module for module in network.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    return layers[-1]


def _otsu_level(grey: NDArray[np.floating]) -> float:
    """Half-way between the means of the two classes that Otsu's threshold separates."""
    if grey.max() == grey.min():
        return float(grey.min())
    dark = grey <= filters.threshold_otsu(grey, nbins=64)
    if dark.all():
        return float(grey.mean())
    return float(grey[dark].mean() + grey[~dark].mean()) / 2
