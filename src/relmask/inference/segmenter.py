"""Where a model, its relevance and its thresholds meet: image -> Segmentation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from relmask.arrays import ByteArray, DoubleArray, FloatArray
from relmask.data.reading import Intensity
from relmask.data.resizing import resize_map
from relmask.data.tiles import Window, across
from relmask.inference.model import Model
from relmask.masks.binarise import combine
from relmask.masks.components import Component, find_components
from relmask.masks.thresholds import Calibration, ClassThresholds


@dataclass(frozen=True)
class Segmentation:
    """What relmask says of an image.

    Attributes:
        mask: (H, W), 0 = background, k = k-th of the run's classes.
        relevance: (H, W) of the strongest class, in logits a pixel of the model's input (of a student:
            probability); None where the image was judged clean by its score, and nothing was explained.
            With `explain_clean` such an image has that of its strongest class.
        scores: probability of each class, 0.5 where presence and absence are as likely.
        score: probability of any defect.
        status: "defect" where the mask holds a pixel, else "clean".
        components: connected parts of the mask, largest first.
        maps: (H, W) of every class that was explained: what its mask is cut from, see `Model.support`.
        image_novelty: distance of the image's features to those of the nearest training image; 1 is what 1 %
            of the clean images exceed. None where the run cannot tell.
        warning: why the answer should not be relied on; empty where nothing speaks against it.
        logits: what the gates are compared with, of each class; of windows the highest.
        explained: the strongest class of an image that passes no gate and was explained all the same, with
            `explain_clean`; else empty.
        novelty_map: (H, W) of such an image: how unlike clean images each place is, in standard deviations,
            which is where the classifier looks first. None where the run cannot tell, as of windows.
    """

    mask: ByteArray
    relevance: FloatArray | None
    scores: Mapping[str, float]
    score: float
    status: str
    components: tuple[Component, ...]
    maps: Mapping[str, FloatArray] = field(default_factory=dict)
    image_novelty: float | None = None
    warning: str = ""
    logits: Mapping[str, float] = field(default_factory=dict)
    explained: str = ""
    novelty_map: FloatArray | None = None


class Segmenter:
    """Images to masks: a model, its relevance and its thresholds.

    Args:
        model: what scores and explains.
        classes: defect classes, in the order of the logits.
        calibration: the thresholds.
        explain_clean: explain the strongest class of an image that passes no gate; its mask stays empty.
    """

    def __init__(
        self,
        model: Model,
        classes: tuple[str, ...],
        calibration: Calibration,
        *,
        explain_clean: bool = False,
    ) -> None:
        self.model = model
        self.classes = classes
        self.calibration = calibration
        self.explain_clean = explain_clean

    @property
    def intensity(self) -> Intensity:
        """How pictures are read."""
        return self.model.spec.intensity

    def segment_images(self, images: Sequence[FloatArray]) -> list[Segmentation]:
        """A result for each picture (H, W, 3) in [0, 1], of any size.

        A picture whose scores are all below their gates is clean: its mask is empty, and nothing is explained
        unless `explain_clean` asks for it.
        """
        if not images:
            return []
        cuts = [self.model.cut(image) for image in images]
        logits, novelty = self.model.predict(torch.cat([inputs for inputs, _ in cuts]))
        counts = [len(inputs) for inputs, _ in cuts]
        found = [
            self._segment(image, inputs, places, rows.double().numpy())
            for image, (inputs, places), rows in zip(images, cuts, logits.split(counts), strict=True)
        ]
        if novelty is None:
            return found
        return [
            _warned(one, float(part.max())) for one, part in zip(found, novelty.split(counts), strict=True)
        ]

    def _segment(
        self, picture: FloatArray, inputs: Tensor, places: list[Window], rows: DoubleArray
    ) -> Segmentation:
        passing = self.calibration.passing(rows, across(places))
        if self.explain_clean and not passing.any():
            return self._explained(picture, inputs, places, rows)
        maps = self.model.maps(picture, inputs, places, passing)
        support = self.model.support(maps, picture, self.calibration.floors)
        height, width = picture.shape[:2]
        return self.decide(rows.max(axis=0), maps, support, (height, width))

    def _explained(
        self, picture: FloatArray, inputs: Tensor, places: list[Window], rows: DoubleArray
    ) -> Segmentation:
        """A clean picture with relevance: the map that it would have if its strongest class just passed."""
        logits = rows.max(axis=0)
        k = int(self.calibration.standardised(logits).argmax())
        just_below = self.calibration.with_gate(self.classes[k], float(np.nextafter(logits[k], -np.inf)))
        passing = just_below.passing(rows, across(places))
        maps = {k: self.model.maps(picture, inputs, places, passing)[k]}
        novelty = None
        if (model := self.model.relevance_model) is not None:
            novelty = model.novelty_map(inputs, torch.full((len(inputs),), k))
        height, width = picture.shape[:2]
        return replace(
            self.decide(logits, {}, {}, (height, width)),
            relevance=maps[k],
            maps={self.classes[k]: self.model.support(maps, picture, self.calibration.floors)[k]},
            explained=self.classes[k],
            novelty_map=None
            if novelty is None
            else resize_map(torch.from_numpy(novelty), height, width)[0].numpy(),
        )

    def decide(
        self,
        logits: DoubleArray,
        maps: Mapping[int, FloatArray],
        support: Mapping[int, FloatArray],
        shape: tuple[int, int],
    ) -> Segmentation:
        """What the thresholds make of the maps of a picture.

        Args:
            logits: (K,).
            maps: relevance (H, W) of each class that passes its gate.
            support: what their masks are cut from, (H, W) each.
            shape: (H, W).
        """
        mask = combine(support, {k: self._thresholds[k] for k in support}, shape)
        strongest = max(maps, key=lambda k: self.calibration.standardised(logits)[k]) if maps else None
        return Segmentation(
            mask=mask,
            relevance=None if strongest is None else maps[strongest],
            scores={
                name: self._thresholds[k].probability(float(logits[k])) for k, name in enumerate(self.classes)
            },
            score=float(self.calibration.defect_probability(logits[None])[0]),
            status="defect" if mask.any() else "clean",
            components=find_components(mask, self.classes),
            maps={self.classes[k]: values for k, values in support.items()},
            logits={name: float(logits[k]) for k, name in enumerate(self.classes)},
        )

    @cached_property
    def _thresholds(self) -> list[ClassThresholds]:
        return [self.calibration.classes[name] for name in self.classes]


def _warned(found: Segmentation, novelty: float) -> Segmentation:
    """The same with its novelty, and a warning beyond the limit: a defect that no class names is possible."""
    reason = f"unlike all training pictures (novelty {novelty:.2f}, limit 1)" if novelty > 1 else ""
    return replace(found, image_novelty=novelty, warning=reason)
