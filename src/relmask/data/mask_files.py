"""What the file of a true mask says, whatever program wrote it.

What a person sees as white, or in any colour but black, is inside. A file that may as well mean something
else is refused by name: a mask that is inverted, empty or full by mistake would spoil figures without a word.
"""

from collections.abc import Collection
from pathlib import Path
from typing import NoReturn

import numpy as np
from scipy import ndimage
from skimage.filters import threshold_otsu

from relmask.arrays import AnyArray, IntegerArray, Mask
from relmask.data.decoded import Decoded
from relmask.data.decoding import decode, frames
from relmask.errors import ImageError

_BINARY = "Save it as a grey PNG, black outside and white inside."
_VALUES = "Save it as a grey PNG."
_SIDE = 5
"""Side in pixels of an even area; borders that compression has blurred are narrower."""
_EVEN = 16 / 255
"""Part of the range within which compression leaves the values of an even area."""
_GREY = 0.25, 0.75
"""Part of the range that is neither black nor white, however a file was compressed."""


def read_inside(path: Path) -> Mask:
    """Where a mask is not black (H, W), turned as its EXIF orientation says.

    Of palettes the colours count; transparent pixels are outside. In exact formats any value but 0 is inside,
    of floats what reaches 0.5; NaN is outside. Lossy formats leave traces beside every border, so what
    reaches half of the range is inside; less, down to a quarter, where compression was so strong that Otsu's
    threshold is lower.

    Raises:
        ImageError: it cannot be read, or does not say clearly what is inside: several pages, a shape in the
            transparency alone, a palette whose indices contradict its colours, values but none inside or
            none outside, areas of grey in a lossy file, negative or infinite values.
    """
    decoded = _decode(path)
    level = _levels(decoded, path)
    least = _least_inside(decoded, level)
    bright = level >= least
    visible = np.ones(level.shape, bool) if decoded.alpha is None else decoded.alpha != 0
    inside: Mask = bright & visible
    if bright.any() and not inside.any():
        _refuse(path, "all that is not black in it is transparent")
    if not bright.any() and visible.any() and not visible.all():
        _refuse(path, "all of it is black, and its shape lies in its transparency alone")
    if not bright.any() and level.any():
        _refuse(path, f"its highest value is {level.max():g}, and inside begins at {least:g}")
    if inside.all() and _varies(decoded):
        _refuse(path, "no pixel of it is black, so that all of it is inside, but it is not all the same")
    if decoded.lossy and _has_even_grey(level, _top(decoded)):
        _refuse(path, "it has areas of grey, and its lossy format does not keep what grey they are")
    if decoded.indices is not None and _contradict(decoded.indices, decoded.values, inside, visible):
        _refuse(
            path,
            "of the entries of its palette, the first is not the one that is black",
            f"{_BINARY} Or write a classes.csv (value,label) beside the index: then its indices count.",
        )
    return inside


def read_values(path: Path, named: Collection[int]) -> IntegerArray:
    """The values (H, W) of a mask whose values mean classes, turned as its EXIF orientation says.

    Palettes give their indices, files of one bit 0 and 1, colours the value of the one channel that has any;
    NaN is 0.

    Args:
        path: the file.
        named: the values that mean a class.

    Raises:
        ImageError: it cannot be read, or does not tell values exactly: several pages, a lossy format, colours
            in several channels, fractions, negative or infinite values, values of transparent pixels, a
            palette of greys that are named values themselves.
    """
    decoded = _decode(path)
    if decoded.lossy:
        _refuse(path, "lossy compression, as in JPEG, does not keep values", "Save it as PNG.")
    if decoded.indices is not None:
        if _greys_mean_classes(decoded.indices, decoded.values, named):
            _refuse(path, "both the indices of its palette and the greys that it shows mean classes", _VALUES)
        return decoded.indices
    level = _levels(decoded, path)
    if level.dtype.kind == "f" and (level != level.round()).any():
        _refuse(path, "some of its values are fractions", "Save its classes as whole numbers.")
    if decoded.values.ndim == 3:
        same = (decoded.values == decoded.values[:, :, :1]).all()
        if not same and np.count_nonzero(decoded.values.any(axis=(0, 1))) > 1:
            _refuse(path, "it holds colours, but classes.csv names values", _VALUES)
    if decoded.alpha is not None and level[decoded.alpha == 0].any():
        _refuse(path, "pixels with a value are transparent", "Save it without transparency.")
    return level if level.dtype == np.uint8 else level.astype(np.int64)


def _refuse(path: Path, problem: str, advice: str = _BINARY) -> NoReturn:
    raise ImageError(f"{path}: the mask is not clear: {problem}. {advice}")


def _decode(path: Path) -> Decoded:
    decoded = decode(path)
    if decoded.ignored:
        _refuse(path, f"nothing says what {decoded.ignored} of its channels are", _VALUES)
    if (count := frames(path)) > 1:
        _refuse(path, f"it has {count} pages or frames", "Save the one that is the mask as PNG.")
    return decoded


def _levels(decoded: Decoded, path: Path) -> AnyArray:
    """How bright each pixel is (H, W): its highest channel, of the type that the file has; NaN is 0."""
    level: AnyArray = decoded.values if decoded.values.ndim == 2 else decoded.values.max(axis=2)
    if level.dtype.kind == "f":
        known = np.nan_to_num(level, nan=0, posinf=np.inf, neginf=-np.inf)
        if np.isinf(known).any():
            _refuse(path, "some of its values are infinite", _VALUES)
        if np.isnan(level).any() and not known.any():
            _refuse(path, "it has no value but NaN and 0", _VALUES)
        level = known
    if level.dtype.kind in "if" and (level < 0).any():
        _refuse(path, "some of its values are negative", _VALUES)
    return level


def _top(decoded: Decoded) -> float:
    """The value of white; 1 where the type of the values does not tell."""
    kind = decoded.values.dtype
    return float(np.iinfo(kind).max) if kind.kind in "iu" else 1.0


def _least_inside(decoded: Decoded, level: AnyArray) -> float:
    """The least value that is inside; no value below that of a bit is, so 1 means any but 0."""
    if level.dtype.kind == "f":
        return 0.5
    if not decoded.lossy:
        return 1
    top = _top(decoded)
    separating = float(threshold_otsu(level)) + 1 if np.ptp(level) else top
    return min(max(separating, _GREY[0] * top), (top + 1) / 2)


def _varies(decoded: Decoded) -> bool:
    """Whether its colours, or its transparency, show a shape; more than compression makes of an even one."""
    values = decoded.values.astype(np.float64)
    spread = (values.max(axis=(0, 1)) - values.min(axis=(0, 1))).max()
    allowed = _GREY[0] * _top(decoded) if decoded.lossy else 0
    return bool(spread > allowed) or (decoded.alpha is not None and bool(np.ptp(decoded.alpha)))


def _has_even_grey(level: AnyArray, top: float) -> bool:
    """Whether some area is neither black nor white. Borders, which are grey too, are not even."""
    low, high = ndimage.minimum_filter(level, _SIDE), ndimage.maximum_filter(level, _SIDE)
    return bool(((high - low <= _EVEN * top) & (low > _GREY[0] * top) & (high < _GREY[1] * top)).any())


def _contradict(indices: AnyArray, colours: AnyArray, inside: Mask, visible: Mask) -> bool:
    """Whether index 0 is another background than black. Of black and one other grey, black is outside."""
    if (inside == (visible & (indices != 0))).all():
        return False
    used = np.unique(colours[visible], axis=0)
    return not (len(used) == 2 and not used[0].any() and len(set(used[1].tolist())) == 1)


def _greys_mean_classes(indices: AnyArray, colours: AnyArray, named: Collection[int]) -> bool:
    """Whether the colours of a palette are greys other than their indices, and both are named."""
    greys = colours[:, :, 0]
    if (colours != greys[:, :, None]).any() or (greys == indices).all():
        return False
    shown = set(np.unique(greys).tolist()) - {0}
    return bool(shown) and set(named) >= (shown | set(np.unique(indices).tolist())) - {0}
