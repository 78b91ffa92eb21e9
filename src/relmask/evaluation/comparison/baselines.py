"""What explains no trained classifier, read through the same interface: controls and neighbours."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn
from torch.nn import functional

from relmask.data.resizing import to_tensor
from relmask.data.tiles import Window
from relmask.evaluation.controls import Control
from relmask.inference.explained import ExplainedClassifier
from relmask.inference.model import Prediction
from relmask.inference.relevance import RelevanceModel
from relmask.models.bundle import Input
from relmask.models.features import Features
from relmask.models.novelty import symmetric
from relmask.models.zoo import find, trunk
from relmask.sequences import batches

FloatArray = NDArray[np.float32]

NEIGHBOURS = "efficientnet-lite0"
STRIDE = 8
CANDIDATES, CORESET = 40_000, 4_000
HELD_OUT = 4
BLUR = 4.0  # pixels of the input, as PatchCore smooths its maps


class ControlModel(RelevanceModel):
    """A control, which sees whole pictures as they are: a picture's score is its highest pixel."""

    def __init__(self, control: Control, spec: Input, device: torch.device) -> None:
        super().__init__(nn.Identity(), spec.without_support(), device)
        self.control = control

    def logits(self, images: Tensor) -> Tensor:
        """Highest score (N, 1) of images (N, 3, H, W) in [0, 1]."""
        return self._maps(images).amax((1, 2))[:, None]

    def relevance(self, images: Tensor, targets: Tensor) -> Tensor:
        """Scores (N, H, W), negative ones as 0."""
        return self._maps(images).clamp(min=0)

    def cut(self, picture: FloatArray) -> tuple[Tensor, list[Window]]:
        """The picture as one image of its own size."""
        return to_tensor(picture)[None], []

    def _maps(self, images: Tensor) -> Tensor:
        maps = [self.control.score(image.permute(1, 2, 0).numpy()) for image in images]
        return torch.from_numpy(np.stack(maps).astype(np.float32))


class UntrainedHead(ExplainedClassifier):
    """Scores of the trained classifier, explained by one whose head was never trained."""

    def __init__(self, trained: ExplainedClassifier, untrained: ExplainedClassifier) -> None:
        super().__init__(
            untrained.network, trained.spec, trained.composite, trained.device, trained.batch_size
        )
        self.trained = trained

    def logits(self, images: Tensor) -> Tensor:
        """Logits (N, K) of the trained classifier."""
        return self.trained.logits(images)

    def predict(self, images: Tensor) -> Prediction:
        """Logits and novelty of the trained classifier."""
        return self.trained.predict(images)


class NeighbourModel(RelevanceModel):
    """PatchCore-like (Roth et al. 2022): how far features are from the nearest of clean pictures.

    Features are those of relmask's default classifier: four stages of a pretrained backbone, averaged over
    3x3 places, standardised, on one grid. The bank is a coreset of those of clean training pictures. A
    distance is divided by what is usual as far from the border in clean pictures that are not in the bank,
    since borders are far from everything (image AUROC on validation pictures of magnetic tiles: 0.92, without
    it 0.77). The image's score is the highest of its map.
    """

    def __init__(self, spec: Input, device: torch.device, batch_size: int = 8) -> None:
        entry = find(NEIGHBOURS)
        backbone = entry.build(deepest=0)
        spec = spec.without_support().model_copy(
            update={"mean": backbone.mean, "std": backbone.std, "standardised": False}
        )
        features = Features(trunk(NEIGHBOURS), min(32, (spec.size - 1) // 16 * 16), STRIDE)
        super().__init__(features, spec, device, batch_size)
        self._features = features
        self.bank = torch.zeros(0, features.channels)
        self.usual = torch.ones(features.grid(spec.size))

    def learn(self, images: Callable[[Sequence[int]], Tensor], count: int, seed: int = 0) -> None:
        """Fill the bank from clean pictures.

        Args:
            images: (N, 3, S, S) in [0, 1] of the pictures with these numbers.
            count: pictures there are; every HELD_OUT-th tells what distance is usual.
            seed: of what is drawn.
        """
        generator = torch.Generator().manual_seed(seed)
        held_out = list(range(0, count, HELD_OUT)) if count > 1 else [0]
        learned = [number for number in range(count) if number not in held_out] or held_out
        share = min(1.0, CANDIDATES / (len(learned) * self.usual.numel()))
        found = []
        for some in batches(learned, self.batch_size):
            places = self.places(images(some)).flatten(0, 2)
            found.append(places[torch.rand(len(places), generator=generator) < share])
        points = torch.cat(found)
        variance, mean = torch.var_mean(points, 0)
        norm = self._features.standardise
        norm.running_mean, norm.running_var = mean.to(self.device), variance.to(self.device)
        self.bank = coreset(
            norm(points.to(self.device)[:, :, None, None]).flatten(1).cpu(), CORESET, generator
        )
        distances = torch.cat([self._distances(images(some)) for some in batches(held_out, self.batch_size)])
        self.usual = symmetric(distances.mean(0)).clamp(min=1e-6)

    @torch.inference_mode()
    def places(self, images: Tensor) -> Tensor:
        """Features (N, h, w, C) of images (N, 3, S, S) in [0, 1]."""
        features: Tensor = self._features(self.normalise(images.to(self.device)))
        return features.permute(0, 2, 3, 1).cpu()

    def logits(self, images: Tensor) -> Tensor:
        """Highest of the map (N, 1) in each of images (N, 3, S, S)."""
        return self._distances(images).amax((1, 2))[:, None]

    def relevance(self, images: Tensor, targets: Tensor) -> Tensor:
        """How many times the usual distance (N, S, S) to the nearest neighbour."""
        maps = functional.interpolate(
            self._distances(images)[:, None], size=images.shape[2:], mode="bilinear", align_corners=False
        )[:, 0]
        blurred = [gaussian_filter(values, BLUR, mode="nearest") for values in maps.numpy()]
        return torch.from_numpy(np.stack(blurred))

    @torch.inference_mode()
    def _distances(self, images: Tensor) -> Tensor:
        """How many times the usual distance (N, h, w)."""
        parts = []
        for some in images.split(self.batch_size):
            places = self.places(some)
            parts.append(torch.cdist(places.flatten(0, 2), self.bank).amin(1).view(places.shape[:3]))
        return torch.cat(parts) / self.usual


def coreset(points: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Rows (count, C) of `points` (N, C), so that no point is far from all of them.

    Greedy k-centre selection in a random projection to 16 dimensions, as PatchCore does it.
    """
    if len(points) <= count:
        return points
    projected = points @ torch.randn(points.shape[1], min(16, points.shape[1]), generator=generator)
    chosen = [int(torch.randint(len(points), (1,), generator=generator))]
    distance = torch.full((len(points),), torch.inf)
    for _ in range(count - 1):
        distance = torch.minimum(distance, (projected - projected[chosen[-1]]).square().sum(1))
        chosen.append(int(distance.argmax()))
    return points[chosen]
