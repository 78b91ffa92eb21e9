"""Models whose maps are relevance: what any explanation of a classifier has in common."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from relmask.arrays import FloatArray, Mask
from relmask.data.resizing import resize_map
from relmask.data.tiles import Blend, Window
from relmask.errors import UsageError
from relmask.inference.model import NOTHING, Model, Prediction
from relmask.inference.preparation import Preparation
from relmask.masks.growth import core, grown
from relmask.masks.inpainting import inpaint_all
from relmask.masks.propagation import propagate
from relmask.masks.refinement import guided, smooth
from relmask.models.bundle import Input


class RelevanceModel(Preparation, ABC):
    """A classifier and an explanation of it; see `Model`.

    Subclasses say what the logits are and where the relevance lies. Refinement, growth and windows are here.

    Args:
        network: what the scores come from.
        spec: how pictures become its input.
        device: where it runs.
        batch_size: images, or windows, at once.
    """

    unit = "logits a pixel"

    def __init__(self, network: nn.Module, spec: Input, device: torch.device, batch_size: int = 8) -> None:
        super().__init__(spec, device)
        self._network = network
        self.batch_size = batch_size

    @property
    def network(self) -> nn.Module:
        """What the scores come from."""
        return self._network

    @property
    def full_scale(self) -> float:
        """A hundred times the density of one logit spread evenly over the input."""
        return 100 / self.spec.size**2

    @property
    def relevance_model(self) -> "RelevanceModel":
        """The model itself: its maps are relevance."""
        return self

    @abstractmethod
    def logits(self, images: Tensor) -> Tensor:
        """Logits (N, K) of images (N, 3, S, S) in [0, 1]."""

    @abstractmethod
    def relevance(self, images: Tensor, targets: Tensor) -> Tensor:
        """Relevance (N, S, S) of one class each, in logits a pixel, of images (N, 3, S, S) in [0, 1]."""

    def predict(self, images: Tensor) -> Prediction:
        """The logits; of novelty nothing is known."""
        return Prediction(self.logits(images), None)

    def evidence(self, images: Tensor) -> Tensor:
        """What relevance starts from: the logits."""
        return self.logits(images)

    def features(self, images: Tensor) -> Tensor | None:
        """Features (N, C, h, w) that tell alike locations of whole pictures; None where there are none."""
        return None

    def novelty_map(self, images: Tensor, targets: Tensor) -> FloatArray | None:
        """Novelty (N, S, S) of the locations of whole pictures; None where nothing is known of it."""
        return None

    def as_if_unseen(self, images: Iterable[Tensor], groups: Sequence[str], clean: Tensor) -> Tensor:
        """What to add (N, 1) to the logits of images that were trained on, so that none is known by itself.

        Args:
            images: (n, 3, S, S) in [0, 1], in batches.
            groups: (N,) which object each image shows.
            clean: (N,) which of them are clean.
        """
        return torch.zeros(len(groups), 1)

    def warm_up(self) -> None:
        """Nothing has to be made ready."""

    def with_composite(self, composite: str) -> Model:
        """Refused: there are no rules."""
        raise UsageError("This model is not explained by rules, so there is no composite to choose.")

    def describe(self, images: Tensor, k: int) -> str:
        """Refused: there are no rules."""
        raise UsageError("This model is not explained by rules layer by layer, so there is no table of them.")

    def refined(self, images: Tensor, targets: Tensor) -> list[FloatArray]:
        """Relevance (S, S) of one class each, smoothed and with the picture's edges (`masks.refinement`)."""
        grey, maps = images.mean(1).numpy(), self.relevance(images, targets).numpy()
        return [
            guided(smooth(values, self.spec.sigma), level, self.spec.guide)
            for values, level in zip(maps, grey, strict=True)
        ]

    def grown(
        self,
        images: Tensor,
        targets: Tensor,
        maps: Sequence[FloatArray],
        anomalous: float,
        clean: Tensor | None = None,
    ) -> list[FloatArray]:
        """Refined relevance, raised where the image stays anomalous once its core is inpainted.

        With as many clean images, only where it is more anomalous than those, inpainted at the same
        locations: seams of the inpainting are no defect. See `relmask.masks.growth`.
        """
        before = self.novelty_map(images, targets)
        if before is None:
            return list(maps)
        cores = [core(values) for values in maps]
        after = self.novelty_map(inpaint_all(images, cores), targets)
        assert after is not None
        if clean is not None:
            seams = self.novelty_map(inpaint_all(clean, cores), targets)
            assert seams is not None
            after = np.where(after > seams, after, 0)
        return [grown(*parts, anomalous) for parts in zip(maps, before, after, strict=True)]

    def completed(
        self, images: Tensor, targets: Tensor, maps: Sequence[FloatArray], anomalous: float | None
    ) -> list[FloatArray]:
        """Refined relevance of large defects: `grown` unless `anomalous` is None, then propagated."""
        whole = maps if anomalous is None else self.grown(images, targets, maps, anomalous)
        features = self.features(images)
        if features is None:
            return list(whole)
        return [propagate(*pair) for pair in zip(whole, features.numpy(), strict=True)]

    def maps(
        self,
        picture: FloatArray,
        images: Tensor,
        places: list[Window],
        passing: Mask,
        large: Mapping[int, float | None] = NOTHING,
    ) -> dict[int, FloatArray]:
        """Relevance (H, W) that masks are cut from, of each class that some of the images pass."""
        classes = np.flatnonzero(passing.any(axis=0)).tolist()
        if places:
            return {
                k: smooth(self.explain(picture, images, places, k, passing[:, k]), self.spec.sigma)
                for k in classes
            }
        height, width = picture.shape[:2]
        found = {}
        for k in classes:
            targets = torch.tensor([k])
            maps = self.refined(images, targets)
            if k in large:
                maps = self.completed(images, targets, maps, large[k])
            found[k] = resize_map(torch.from_numpy(maps[0])[None], height, width)[0].numpy()
        return found

    def explain(
        self,
        picture: FloatArray,
        images: Tensor,
        places: list[Window],
        k: int,
        passing: Mask | None = None,
    ) -> FloatArray:
        """Relevance (H, W) of class k in a picture that was cut into `images` at `places`, unrefined.

        Args:
            picture: (H, W, 3).
            images: what `cut` gave.
            places: likewise.
            k: the class.
            passing: which images to explain; the others have no relevance. None: all.
        """
        height, width = picture.shape[:2]
        maps = torch.zeros(len(images), *images.shape[2:])
        chosen = torch.arange(len(images)) if passing is None else torch.from_numpy(np.flatnonzero(passing))
        if len(chosen):
            maps[chosen] = self.relevance(images[chosen], torch.full((len(chosen),), k))
        if not places:
            return resize_map(maps, height, width)[0].numpy()
        blend = Blend((height, width), taper=0.25)
        for values, place in zip(maps, places, strict=True):
            blend.add(place, values.numpy())
        return blend.result()
