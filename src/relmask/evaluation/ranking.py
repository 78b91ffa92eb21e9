"""Ranking of pixels by a relevance map, over any number of images in flat memory.

Scores are counted in bins by the leading bits of their float32 number: order is kept over the whole range of
floats, two scores share a bin only where they differ by less than 0.4 %, and no range needs to be known.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

FloatArray = NDArray[np.floating]
MaskArray = NDArray[np.bool_]

_BITS = 17  # sign, 8 of exponent, 8 of mantissa
BINS = 1 << _BITS


def to_bins(scores: FloatArray) -> NDArray[np.int64]:
    """Bin of each score, 0 to BINS - 1, rising with the score; infinities are welcome, NaN is not."""
    bits = np.ascontiguousarray(scores, np.float32).view(np.int32).astype(np.int64)
    ordered = np.where(bits < 0, -(bits & 0x7FFFFFFF), bits)  # -0.0 and 0.0 are one
    return (ordered >> (32 - _BITS)) + BINS // 2


def bin_floor(number: int) -> float:
    """Lowest score in a bin: a score is at least this where its bin is at least `number`."""
    ordered = (number - BINS // 2) << (32 - _BITS)
    bits = np.int32(ordered) if ordered >= 0 else np.int32(-ordered) | np.int32(-0x80000000)
    return float(np.asarray(bits, np.int32).view(np.float32))


@dataclass(frozen=True, slots=True)
class Curve:
    """Points of a curve, from the strictest threshold to the loosest."""

    x: FloatArray
    y: FloatArray

    def up_to(self, limit: float) -> "Curve":
        """The part of a rising curve with x of at most `limit`, which it reaches."""
        below = self.x < limit
        return Curve(
            np.append(self.x[below], limit), np.append(self.y[below], np.interp(limit, self.x, self.y))
        )


class Ranking:
    """Streaming average precision and per-region overlap of score maps against true masks."""

    def __init__(self) -> None:
        self._inside = np.zeros(BINS, np.int64)
        self._outside = np.zeros(BINS, np.int64)
        self._overlap = np.zeros(BINS)
        self.regions = 0

    def add(self, scores: FloatArray | None, truth: MaskArray) -> None:
        """Count one image.

        Args:
            scores: (H, W); None where an image was called clean without a map: below everything.
            truth: (H, W), where the defect is.
        """
        if scores is None:
            scores = np.full(truth.shape, -np.inf, np.float32)
        bins = to_bins(scores)
        self._outside += np.bincount(bins[~truth], minlength=BINS)
        if not truth.any():
            return
        self._inside += np.bincount(bins[truth], minlength=BINS)
        regions, count = ndimage.label(truth, structure=np.ones((3, 3)))
        share = 1 / np.bincount(regions[truth], minlength=count + 1).clip(1)
        self._overlap += np.bincount(bins[truth], weights=share[regions[truth]], minlength=BINS)
        self.regions += count

    def average_precision(self) -> float | None:
        """Area under the precision-recall curve as a step function; None without a defect."""
        if not self.regions:
            return None
        curve = self.precision_recall()
        return float(np.sum(np.diff(curve.x, prepend=0) * curve.y))

    def precision_recall(self) -> Curve:
        """Recall and precision at every threshold that changes them."""
        inside, outside = self._falling(self._inside), self._falling(self._outside)
        found = np.cumsum(inside)
        return Curve(found / max(1, found[-1]), found / np.maximum(1, found + np.cumsum(outside)))

    def best_iou(self) -> tuple[float, float]:
        """The threshold t, for masks `scores >= t`, with the highest IoU, and that IoU.

        Only a ceiling may be chosen so. Without a defect, or where no threshold meets one: (infinity, 0).
        """
        predicted = np.cumsum((self._inside + self._outside)[::-1])[::-1]
        both = np.cumsum(self._inside[::-1])[::-1]
        iou = both / np.maximum(1, predicted + self._inside.sum() - both)
        iou[: to_bins(np.array([-np.inf]))[0] + 1] = 0  # images without a map never have a mask
        at = int(np.flatnonzero(iou == iou.max())[-1])
        return (bin_floor(at), float(iou[at])) if iou[at] else (float("inf"), 0.0)

    def region_overlap(self) -> Curve:
        """False-positive rate and the mean share of each region that is found (PRO), at every threshold."""
        outside, overlap = np.cumsum(self._falling(self._outside)), np.cumsum(self._falling(self._overlap))
        return Curve(
            np.concatenate([[0.0], outside / max(1, outside[-1])]),
            np.concatenate([[0.0], (overlap / max(1, self.regions)).clip(0, 1)]),
        )

    def aupro(self, limit: float = 0.05) -> float | None:
        """Area under the per-region overlap up to a false-positive rate, divided by that rate.

        Source: Bergmann et al., MVTec AD (IJCV 2021). None without a defect or without background.
        """
        if not self.regions or not self._outside.any():
            return None
        curve = self.region_overlap().up_to(limit)
        return min(1.0, float(np.trapezoid(curve.y, curve.x) / limit))

    def _falling(self, counts: FloatArray | NDArray[np.int64]) -> FloatArray:
        used = (self._inside + self._outside) > 0
        falling: FloatArray = counts[used][::-1].astype(np.float64)
        return falling


class ThresholdSearch:
    """Streaming search of the threshold with the best tolerant F1: controls may use it, and only they."""

    def __init__(self, tolerance: float = 2.0) -> None:
        self._disk = disk(tolerance)
        self._all = np.zeros(BINS, np.int64)
        self._near = np.zeros(BINS, np.int64)
        self._met = np.zeros(BINS, np.int64)

    def add(self, scores: FloatArray, truth: MaskArray) -> None:
        """Count one image: scores (H, W), truth (H, W)."""
        bins = to_bins(scores)
        self._all += np.bincount(bins.ravel(), minlength=BINS)
        if truth.any():
            near = ndimage.binary_dilation(truth, self._disk)
            self._near += np.bincount(bins[near], minlength=BINS)
            reach = ndimage.maximum_filter(bins, footprint=self._disk, mode="nearest")
            self._met += np.bincount(reach[truth], minlength=BINS)

    def best(self) -> tuple[float, float | None]:
        """Threshold t, for masks `scores >= t`, and its F1; (infinity, None) without a defect."""
        if not self._met.any():
            return float("inf"), None
        predicted, near, met = (
            np.cumsum(counts[::-1])[::-1] for counts in (self._all, self._near, self._met)
        )
        precision, recall = near / np.maximum(1, predicted), met / met[0]
        f1 = 2 * precision * recall / np.maximum(1e-12, precision + recall)
        at = int(np.argmax(f1))
        return bin_floor(at), float(f1[at])


def disk(radius: float) -> MaskArray:
    """Pixels within a Euclidean distance of the middle one.

    Example:
        >>> int(disk(2).sum())
        13
    """
    reach = int(radius)
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    within: MaskArray = x**2 + y**2 <= radius**2
    return within
