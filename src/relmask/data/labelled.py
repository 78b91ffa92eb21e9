"""Pictures of a split with what their labels say."""

import warnings
from collections.abc import Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import torch
from torch import Tensor

from relmask.data.index import Sample
from relmask.data.problems import listed
from relmask.data.reading import read_image
from relmask.errors import DataError, ImageError
from relmask.progress import Progress


@dataclass(frozen=True)
class Labelled:
    """Samples and their targets.

    Attributes:
        samples: pictures that can be read.
        targets: (N, K), 1 where the class is in the picture.
    """

    samples: tuple[Sample, ...]
    targets: Tensor

    @classmethod
    def of(cls, samples: Sequence[Sample], classes: Sequence[str]) -> "Labelled":
        """Targets of samples in the order of `classes`."""
        targets = [[float(name in sample.labels) for name in classes] for sample in samples]
        return cls(tuple(samples), torch.tensor(targets).view(len(samples), len(classes)))

    @property
    def groups(self) -> list[Hashable]:
        """(N,) which object each picture shows."""
        return [sample.group for sample in self.samples]

    @property
    def strata(self) -> dict[str, set[str]]:
        """Labels of each group, "" where an image of it is clean: what `draw` shares out alike."""
        found: dict[str, set[str]] = {}
        for sample in self.samples:
            found.setdefault(str(sample.group), set()).update(sample.labels or {""})
        return found

    def take(self, indices: Sequence[int]) -> "Labelled":
        """Some of them."""
        return Labelled(tuple(self.samples[index] for index in indices), self.targets[list(indices)])


def readable(samples: Sequence[Sample], progress: Progress, *, needed: bool = True) -> list[Sample]:
    """The samples whose pictures can be read; warns of the others.

    Raises:
        DataError: none can, and some are `needed`.
    """

    def broken(sample: Sample) -> str | None:
        try:
            read_image(sample.path)
        except ImageError as error:
            return str(error)
        return None

    reasons = []
    with ThreadPoolExecutor(2) as threads:
        for done, reason in enumerate(threads.map(broken, samples), start=1):
            reasons.append(reason)
            progress("reading", done, len(samples))
    if failed := [reason for reason in reasons if reason]:
        if needed and len(failed) == len(samples):
            raise DataError(f"None of {len(samples)} pictures can be read:\n{listed(failed)}")
        warnings.warn(
            f"{len(failed)} pictures cannot be read and are left out:\n{listed(failed)}", stacklevel=2
        )
    return [sample for sample, reason in zip(samples, reasons, strict=True) if reason is None]
