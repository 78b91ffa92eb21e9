"""True masks. This is the one place that opens their files: training and segmentation never come here."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from relmask.data.decoding import image_size, opened, turned
from relmask.data.index import Index, Sample
from relmask.errors import ImageError

_LOSSY = ("JPEG", "MPO")


def has_truth(sample: Sample) -> bool:
    """Whether it is known where the defects are: clean, or with a mask file."""
    return not sample.labels or (sample.mask is not None and sample.mask.is_file())


def read_truth(sample: Sample, index: Index) -> NDArray[np.uint8]:
    """Where the defects are: (H, W), 0 = background, k = k-th of `index.classes` (from 1).

    Where DATA has a classes.csv, it says what a value means; else any non-zero pixel is the sample's one
    label. A JPEG mask counts as non-zero from half of the range on, since compression leaves traces around
    edges. A clean sample is all background; its mask file, if it has one, is not opened.

    Raises:
        ImageError: no mask, one that cannot be read, one of another size than the picture (as its EXIF
            orientation turns it; the mask is turned by its own), a value or several labels that classes.csv
            does not explain.
    """
    size = image_size(sample.path)
    if not sample.labels:
        return np.zeros(size, np.uint8)
    values, lossy = _read_values(sample)
    if values.shape != size:
        raise ImageError(
            f"{sample.mask}: the mask has {values.shape[1]}x{values.shape[0]} pixels, but {sample.path} has "
            f"{size[1]}x{size[0]}. Draw it on the picture as it is shown, at full size."
        )
    if index.mask_values:
        if lossy:
            raise ImageError(
                f"{sample.mask}: JPEG does not keep the values of classes.csv. Save masks as PNG."
            )
        return _classes_of(values, index.mask_values, index.classes, sample)
    if len(sample.labels) > 1:
        raise ImageError(
            f"{sample.mask}: the picture has the labels {', '.join(sorted(sample.labels))}, and nothing says "
            "which value of the mask is which. Write a classes.csv (value,label) beside the index."
        )
    (label,) = sample.labels
    inside = values >= 128 if lossy else values != 0
    return inside * np.uint8(index.classes.index(label) + 1)


def _read_values(sample: Sample) -> tuple[NDArray[np.int64], bool]:
    if sample.mask is None:
        raise ImageError(f"{sample.path}: no mask says where its defects are. Name one in the mask column.")
    try:
        with opened(sample.mask) as image:
            lossy = image.format in _LOSSY
            array = np.asarray(_plain(turned(image)))
    except Exception as error:  # decoders raise whatever a damaged file leads them to
        raise ImageError(
            f"{sample.mask}: the mask cannot be read ({error}). Save it again as PNG."
        ) from error
    if array.ndim == 3:
        if (array != array[:, :, :1]).any() and not lossy:
            return array.max(axis=2).astype(np.int64), lossy
        array = array[:, :, 0]
    return array.astype(np.int64), lossy


def _plain(image: Image.Image) -> Image.Image:
    """Palette masks keep their indices; colours and grey with transparency lose the latter."""
    if image.mode in ("1", "L", "P", "I", "I;16", "I;16B", "I;16L", "F"):
        return image
    return image.convert("L" if image.mode in ("LA", "La") else "RGB")


def _classes_of(
    values: NDArray[np.int64], names: Mapping[int, str], classes: tuple[str, ...], sample: Sample
) -> NDArray[np.uint8]:
    truth = np.zeros(values.shape, np.uint8)
    for value in np.unique(values).tolist():
        name = names.get(value, "") if value else ""
        if value and name not in classes:
            meaning = f"{name}, which no picture is labelled" if name else "no class of classes.csv"
            raise ImageError(
                f"{sample.mask}: the value {value} means {meaning}. Correct the mask or classes.csv."
            )
        if value:
            truth[values == value] = classes.index(name) + 1
    return truth
