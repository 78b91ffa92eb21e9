"""Logits of pictures, as `segment` scores them."""

from collections.abc import Sequence

import numpy as np
import torch

from relmask.arrays import DoubleArray
from relmask.data.image_cache import ImageCache
from relmask.data.index import Sample
from relmask.data.reading import read_image
from relmask.inference.model import Model
from relmask.progress import Progress
from relmask.sequences import batches


def score(model: Model, samples: Sequence[Sample], progress: Progress) -> DoubleArray:
    """Logits (N, K) of pictures; of a picture that is cut into windows the highest of each class.

    Raises:
        ImageError: a picture cannot be read.
    """
    if model.spec.windows:
        rows = []
        for done, sample in enumerate(samples, start=1):
            images, _ = model.cut(read_image(sample.path, model.spec.intensity))
            rows.append(model.logits(images).double().numpy().max(axis=0))
            progress("scoring", done, len(samples))
        return np.stack(rows)
    cache = ImageCache(samples, model.spec.size, model.spec.intensity, memory=0)
    parts = []
    for indices in batches(range(len(samples)), model.batch_size):
        parts.append(model.logits(cache.batch(indices)))
        progress("scoring", indices[-1] + 1, len(samples))
    return torch.cat(parts).double().numpy()
