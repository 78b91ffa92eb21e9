"""Masks from anybody's heatmaps: thresholds from image-level labels, without a model of relmask's."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from relmask.arrays import ByteArray, DoubleArray, FloatArray
from relmask.calibration.from_labels import choose_thresholds
from relmask.errors import UsageError
from relmask.masks.binarise import combine
from relmask.masks.gates import Scores
from relmask.masks.support import otsu_of_roots
from relmask.masks.thresholds import Calibration

DEFECT = "defect"
"""Name of the class where heatmaps are not told apart by class."""

Heatmap = NDArray[np.generic] | Mapping[str, NDArray[np.generic]]
"""(H, W) of any defect, or one a class; values above 0 speak for the defect, the higher the more."""
Label = bool | str | Iterable[str]
"""Is there a defect, or which classes are in the image; False, "" or nothing = clean."""


@dataclass(frozen=True)
class HeatmapThresholds:
    """Thresholds that turn heatmaps of one method into masks.

    Attributes:
        classes: defect classes; value k + 1 of a mask is the k-th.
        calibration: gates and levels, see `Calibration`.
    """

    classes: tuple[str, ...]
    calibration: Calibration

    def mask(self, heatmap: Heatmap, score: float | Sequence[float] | None = None) -> ByteArray:
        """Mask (H, W) of an image: 0 = background, k + 1 = k-th class; all 0 where the image counts as clean.

        Args:
            heatmap: of the image, of the method that the thresholds were chosen for.
            score: of each class, where the thresholds were chosen with scores; None: the highest value of
                the heatmap.

        Raises:
            UsageError: other classes, or values that are no heatmap.
        """
        maps = _checked(heatmap, self.classes)
        scores = _scores([maps], score, self.classes)
        passing = self.calibration.candidates(scores)[0]
        limits = {k: self.calibration.classes[name] for k, name in enumerate(self.classes)}
        kept = {k: values for k, values in enumerate(maps) if passing[k]}
        height, width = maps[0].shape
        return combine(kept, limits, (height, width))


def calibrate_heatmaps(
    heatmaps: Sequence[Heatmap],
    labels: Sequence[Label],
    *,
    scores: Sequence[float] | Sequence[Sequence[float]] | None = None,
    groups: Sequence[Hashable] | None = None,
    false_alarms: float = 0.01,
) -> HeatmapThresholds:
    """Choose thresholds for heatmaps of any method (Grad-CAM, your own LRP, anomaly maps) from labels alone.

    A class's gate is the score that at most a share `false_alarms` of the clean images exceeds. Its masks end
    at Otsu's threshold of the relevance in images of the class that pass the gate.

    The images should be ones that the method's network was not trained on: it knows those too well.

    Args:
        heatmaps: of N images, each (H, W), or a mapping from class to (H, W); not normalised image by image.
        labels: (N,) what is in each image.
        scores: (N,) or (N, K) how likely the image has a defect, or each class in alphabetical order; None:
            the highest value of the heatmap.
        groups: (N,) which object each image shows; images of one object are no independent evidence.
        false_alarms: share of clean images that may get a mask, 0 <= rate < 1.

    Raises:
        UsageError: nothing to learn from, or what does not fit together.

    Example:
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> heatmaps = list(rng.random((40, 8, 8)))
        >>> for heatmap in heatmaps[:20]:
        ...     heatmap[2:4, 2:4] += 5
        >>> thresholds = calibrate_heatmaps(heatmaps, [True] * 20 + [False] * 20)
        >>> int(thresholds.mask(heatmaps[0]).sum()), int(thresholds.mask(heatmaps[-1]).sum())
        (4, 0)
    """
    if not heatmaps or len(heatmaps) != len(labels):
        raise UsageError(f"Each heatmap needs a label, but there are {len(heatmaps)} and {len(labels)}.")
    for name, given in (("scores", scores), ("groups", groups)):
        if given is not None and len(given) != len(heatmaps):
            raise UsageError(f"There are {len(given)} {name} for {len(heatmaps)} heatmaps.")
    if not 0 <= false_alarms < 1:
        raise UsageError(f"false_alarms must be at least 0 and below 1, got {false_alarms}.")
    named = [_named(label) for label in labels]
    classes = tuple(sorted(set().union(*named)))
    if not classes:
        raise UsageError("All images are labelled clean: there is no defect to choose thresholds from.")
    maps = [_checked(heatmap, classes) for heatmap in heatmaps]
    targets = np.array([[name in of for name in classes] for of in named])
    if targets.all():
        raise UsageError("All images have the defect: add clean ones, or the gate cannot be chosen.")
    known = Scores(_scores(maps, scores, classes), targets, groups or list(range(len(maps))))

    def level_of(k: int, gate: float) -> float:
        chosen = np.flatnonzero(targets[:, k] & (known.logits[:, k] > gate))
        return otsu_of_roots([maps[index][k] for index in chosen])

    calibration = choose_thresholds(known, level_of, classes, false_alarms)
    return HeatmapThresholds(classes, calibration)


def _named(label: Label) -> frozenset[str]:
    if isinstance(label, bool | np.bool_):
        return frozenset({DEFECT} if label else ())
    if isinstance(label, str):
        return frozenset({label} if label else ())
    return frozenset(label)


def _checked(heatmap: Heatmap, classes: Sequence[str]) -> list[FloatArray]:
    """One map (H, W) a class."""
    if isinstance(heatmap, Mapping):
        if missing := [name for name in classes if name not in heatmap]:
            raise UsageError(
                f"A heatmap lacks the classes {', '.join(missing)}; it has {', '.join(heatmap)}."
            )
        maps = [np.asarray(heatmap[name]) for name in classes]
    elif len(classes) == 1:
        maps = [np.asarray(heatmap)]
    else:
        raise UsageError(
            f"There are {len(classes)} classes, so a heatmap is a mapping from each to an array (H, W)."
        )
    for values in maps:
        if values.ndim != 2 or not values.size or values.dtype.kind not in "fiub":
            raise UsageError(f"A heatmap is an array (H, W) of numbers, not {values.dtype} {values.shape}.")
        if values.shape != maps[0].shape or not np.isfinite(values).all():
            raise UsageError("The heatmaps of an image have one size and finite values.")
    return [values.astype(np.float32) for values in maps]


def _scores(
    maps: Sequence[Sequence[FloatArray]],
    scores: float | Sequence[float] | Sequence[Sequence[float]] | None,
    classes: Sequence[str],
) -> DoubleArray:
    """(N, K)."""
    if scores is None:
        return np.array([[float(values.max()) for values in of] for of in maps])
    given = np.asarray(scores, np.float64).reshape(len(maps), -1)
    if given.shape[1] != len(classes) or not np.isfinite(given).all():
        raise UsageError(f"Scores are finite and one for each of {', '.join(classes)}.")
    return given
