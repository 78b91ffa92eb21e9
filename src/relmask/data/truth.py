"""True masks. This is the one place that opens their files: training and segmentation never come here."""

import hashlib
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from relmask.arrays import ByteArray, IntegerArray
from relmask.data.decoding import image_size
from relmask.data.index import Drawing, Index, Sample
from relmask.data.mask_files import read_inside, read_values
from relmask.data.names import absent
from relmask.data.problems import listed
from relmask.errors import ImageError


def has_truth(sample: Sample) -> bool:
    """Whether it is known where the defects of a sample are: it is clean, or its mask is there."""
    if isinstance(sample.mask, Path):
        return not sample.labels or not absent(sample.mask)
    return not sample.labels or sample.mask is not None


def has_mask(sample: Sample) -> bool:
    """Whether a mask is named for a sample, whatever it says; nothing is opened."""
    return sample.mask is not None


def missing_masks(samples: Iterable[Sample]) -> list[str]:
    """A warning if masks are named for samples, and are not there."""
    missing = [
        f"{sample.mask}: {reason} (mask of {sample.name})"
        for sample in samples
        if isinstance(sample.mask, Path) and (reason := absent(sample.mask))
    ]
    if not missing:
        return []
    return [
        f"Masks that are named and not there ({len(missing)}):\n{listed(missing)}\n"
        "Correct the column mask; its paths are relative to the CSV."
    ]


def warn_of_missing_masks(samples: Iterable[Sample]) -> None:
    """Warn, all in one, of masks that are named for samples, and are not there."""
    for said in missing_masks(samples):
        warnings.warn(said, stacklevel=3)


def with_masks(index: Index, masks: Mapping[str, Path | Drawing]) -> Index:
    """The same index with these true masks instead of those that DATA names.

    Args:
        index: the pictures.
        masks: by name of the sample, files or what annotation tools drew. Other samples have none.
    """
    samples = tuple(replace(sample, mask=masks.get(sample.name)) for sample in index.samples)
    return replace(index, samples=samples)


def mask_cell(sample: Sample) -> str:
    """Cell of the mask column of a CSV: the path of the sample's mask, or empty where there is no file."""
    return str(sample.mask) if isinstance(sample.mask, Path) else ""


def legible(samples: Iterable[Sample], index: Index) -> list[Sample]:
    """The samples but for those whose masks cannot be read; warns of these, and of masks that are missing."""
    kept, broken = [], []
    for sample in samples:
        try:
            if has_truth(sample):
                read_truth(sample, index)
            kept.append(sample)
        except ImageError as error:
            broken.append(str(error))
    warn_of_missing_masks(kept)
    if broken:
        warnings.warn(f"{len(broken)} masks cannot be read:\n{listed(broken)}", stacklevel=2)
    return kept


def truth_fingerprint(samples: Iterable[Sample], index: Index) -> str:
    """SHA-256 over what the masks of samples say: another when one was corrected."""
    digest = hashlib.sha256()
    for sample in samples:
        if sample.mask is not None:
            try:
                said = read_truth(sample, index).tobytes()
            except ImageError as error:
                said = str(error).encode()
            digest.update(sample.name.encode() + said)
    return digest.hexdigest()


def read_truth(sample: Sample, index: Index) -> ByteArray:
    """Where the defects are: (H, W), 0 = background, k = k-th of `index.classes` (from 1).

    Where DATA has a classes.csv, it says what a value means (`mask_files.read_values`); else what is not
    black is the sample's one label (`mask_files.read_inside`). A clean sample is all background; its mask
    file, if it has one, is not opened. What an annotation tool drew tells its classes itself.

    Raises:
        ImageError: no mask, one that cannot be read or is not clear, one of another size than the picture (as
            its EXIF orientation turns it; the mask is turned by its own), a value or several labels that
            classes.csv does not explain, a defect that was drawn on a clean sample.
    """
    size = image_size(sample.path)
    if sample.mask is not None and not isinstance(sample.mask, Path):
        return _drawn(sample, sample.mask, index.classes, size)
    if not sample.labels:
        return np.zeros(size, np.uint8)
    if sample.mask is None:
        raise ImageError(f"{sample.path}: no mask says where its defects are. Name one in the mask column.")
    if index.mask_values:
        values = read_values(sample.mask, index.mask_values)
        _require_size(sample.mask, values.shape, sample.path, size)
        return _classes_of(values, index.mask_values, index.classes, sample)
    if len(sample.labels) > 1:
        raise ImageError(
            f"{sample.mask}: the picture has the labels {', '.join(sorted(sample.labels))}, and nothing says "
            "which value of the mask is which. Write a classes.csv (value,label) beside the index."
        )
    (label,) = sample.labels
    inside = read_inside(sample.mask)
    _require_size(sample.mask, inside.shape, sample.path, size)
    return inside * np.uint8(index.classes.index(label) + 1)


def _require_size(mask: Path, found: tuple[int, ...], picture: Path, size: tuple[int, int]) -> None:
    if found != size:
        raise ImageError(
            f"{mask}: the mask has {found[1]}x{found[0]} pixels, but {picture} has {size[1]}x{size[0]}. "
            "Draw it on the picture as it is shown, at full size."
        )


def _drawn(sample: Sample, mask: Drawing, classes: Sequence[str], size: tuple[int, int]) -> ByteArray:
    truth = mask.draw(classes, size)
    if not sample.labels and truth.any():
        names = ", ".join(classes[k - 1] for k in np.unique(truth[truth > 0]).tolist())
        raise ImageError(
            f"{sample.path}: labelled as clean, but {names} is drawn on it. Correct its label or its mask."
        )
    return truth


def _classes_of(
    values: IntegerArray, names: Mapping[int, str], classes: tuple[str, ...], sample: Sample
) -> ByteArray:
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
