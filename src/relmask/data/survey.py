"""A survey of DATA before anybody trains on it: the library behind `relmask data`."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from relmask.arrays import FloatArray
from relmask.data.decoding import read_pixels
from relmask.data.duplicates import fingerprint, look_alikes
from relmask.data.index import Index, Sample, read_index
from relmask.data.splits import SPLITS, assign
from relmask.data.truth import has_truth, missing_masks
from relmask.errors import DataError, ImageError
from relmask.progress import Progress, silent


@dataclass(frozen=True)
class ClassCount:
    """How many pictures and groups have a label, in all and in each split."""

    label: str
    images: int
    groups: int
    splits: dict[str, int]
    groups_in_splits: dict[str, int]


@dataclass(frozen=True)
class LookAlikes:
    """Two pictures of different groups and splits that look the same."""

    first: str
    second: str
    splits: tuple[str, str]
    likeness: float


@dataclass(frozen=True)
class Survey:
    """Contents of DATA: counts, broken files, look-alikes, warnings.

    Attributes:
        data: the folder that names are relative to.
        images, groups: how many.
        clean: name of the clean class, or None.
        drawn: the splits are those that a training with seed 0 would draw; DATA states none.
        classes: counts per label, the clean one first.
        splits: pictures in each split; empty if none can be drawn.
        with_masks: defective pictures whose mask is there.
        without_masks: defective pictures without one: training needs none, evaluation does.
        sizes, kinds: how many pictures have each size (WxH) and each kind of values, the commonest first.
        broken: name and reason of every picture that cannot be read.
        look_alikes: pairs across splits that look the same.
        warnings: what a user should know before training.
    """

    data: str
    images: int
    groups: int
    clean: str | None
    drawn: bool
    classes: tuple[ClassCount, ...]
    splits: dict[str, int]
    with_masks: int
    without_masks: int
    sizes: dict[str, int]
    kinds: dict[str, int]
    broken: dict[str, str]
    look_alikes: tuple[LookAlikes, ...]
    warnings: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Look:
    size: str
    kind: str
    print: FloatArray


def survey(
    data: Path,
    clean: str | None = None,
    *,
    resplit: Literal["grouped", "random"] | None = None,
    seed: int = 0,
    workers: int = 2,
    progress: Progress = silent,
) -> Survey:
    """Read every picture of DATA and count.

    Args:
        data: CSV or folder as `read_index` takes it.
        clean: name of the clean class.
        resplit: "grouped" or "random", to draw splits anew as `assign` does.
        seed: random seed of the splits, where they have to be drawn.
        workers: threads that read pictures.
        progress: told after every picture.

    Raises:
        DataError: there is nothing to survey.
    """
    index = read_index(data, clean, warn=False)
    drawn = resplit is not None or not any(sample.split for sample in index.samples)
    warnings = [*index.left_out, *missing_masks(index.samples)]
    try:
        split = assign(index, seed=seed, resplit=resplit)
        index = split.index
        warnings += split.warnings
    except DataError as error:
        warnings.append(str(error))
    looks, broken = _look_at(index.samples, workers, progress)
    seen = [sample for sample in index.samples if sample.name in looks]
    pairs = _alike(seen, looks)
    if pairs:
        warnings.append(
            f"{len(pairs)} pairs of pictures in different splits look the same. If they show the same part, "
            "give them one group and draw new splits with --resplit grouped; else figures are too good."
        )
    defective = [sample for sample in index.samples if sample.labels]
    with_masks = sum(has_truth(sample) for sample in defective)
    return Survey(
        data=str(index.root),
        images=len(index.samples),
        groups=len({sample.group for sample in index.samples}),
        clean=index.clean,
        drawn=drawn,
        classes=tuple(_count(label, index) for label in _labels(index)),
        splits=_per_split(index.samples),
        with_masks=with_masks,
        without_masks=len(defective) - with_masks,
        sizes=_commonest(look.size for look in looks.values()),
        kinds=_commonest(look.kind for look in looks.values()),
        broken=broken,
        look_alikes=pairs,
        warnings=tuple(warnings),
    )


def _look_at(
    samples: Sequence[Sample], workers: int, progress: Progress
) -> tuple[dict[str, _Look], dict[str, str]]:
    looks: dict[str, _Look] = {}
    broken: dict[str, str] = {}
    with ThreadPoolExecutor(workers) as threads:
        for done, (sample, look) in enumerate(
            zip(samples, threads.map(_look, samples), strict=True), start=1
        ):
            if isinstance(look, _Look):
                looks[sample.name] = look
            else:
                broken[sample.name] = look.removeprefix(f"{sample.path}: ")
            progress("reading", done, len(samples))
    return looks, broken


def _look(sample: Sample) -> _Look | str:
    try:
        pixels = read_pixels(sample.path)
    except ImageError as error:
        return str(error)
    height, width = pixels.shape[:2]
    kind = f"{8 * pixels.dtype.itemsize}-bit {'colour' if pixels.ndim == 3 else 'grey'}"
    return _Look(f"{width}x{height}", kind, fingerprint(pixels))


def _alike(samples: Sequence[Sample], looks: dict[str, _Look]) -> tuple[LookAlikes, ...]:
    if not samples:
        return ()
    prints = np.stack([looks[sample.name].print for sample in samples])
    splits = [sample.split or "" for sample in samples]
    return tuple(
        LookAlikes(
            samples[pair.first].name,
            samples[pair.second].name,
            (splits[pair.first], splits[pair.second]),
            pair.likeness,
        )
        for pair in look_alikes(prints, splits, [sample.group for sample in samples])
    )


def _labels(index: Index) -> tuple[str, ...]:
    return (index.clean, *index.classes) if index.clean else index.classes


def _count(label: str, index: Index) -> ClassCount:
    having = [s for s in index.samples if label in s.labels or (label == index.clean and not s.labels)]
    groups: dict[str, set[str]] = defaultdict(set)
    for sample in having:
        groups[sample.split or ""].add(sample.group)
    return ClassCount(
        label,
        images=len(having),
        groups=len({sample.group for sample in having}),
        splits=_per_split(having),
        groups_in_splits={split: len(groups[split]) for split in SPLITS if groups[split]},
    )


def _per_split(samples: Sequence[Sample]) -> dict[str, int]:
    counts = Counter(sample.split for sample in samples)
    return {split: counts[split] for split in SPLITS if counts[split]}


def _commonest(values: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(values).items(), key=lambda item: (-item[1], item[0])))
