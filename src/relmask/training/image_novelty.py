"""What a run keeps of its training pictures, to say how novel another one is as a whole."""

from collections.abc import Sequence

import torch
from torch import Tensor

from relmask.data.labelled import Labelled
from relmask.masks.gates import threshold_for_false_alarms
from relmask.models.guided import GuidedClassifier
from relmask.models.image_novelty import REMEMBERED, NearestImages, descriptors, nearest_of_others
from relmask.sequences import batches, evenly
from relmask.training.sources import FeatureSource

RATE = 0.01
"""Share of the clean pictures whose image novelty may exceed 1."""
LEAST_SPREAD = 0.1
"""Least spread of the distances among clean pictures, as a share of their median: a few agree by chance."""
BATCH = 16


@torch.no_grad()
def nearest_images(sources: Sequence[FeatureSource], parts: Sequence[Labelled]) -> NearestImages | None:
    """The training pictures, for the image novelty and the clean distance of others; None for a single group.

    The limit of the image novelty comes from the clean pictures of training and validation (from all, where
    none is clean), each compared with training pictures of other groups.

    Args:
        sources: of training and validation.
        parts: likewise.
    """
    kept = [_descriptors(*pair) for pair in zip(sources, map(_every, parts), strict=True)]
    nearest, seen_groups = _nearest(kept[0], parts[0], scaled=sources[0].frozen)
    groups = [*_groups(parts[0]), *_groups(parts[1])]
    distance = nearest_of_others(torch.cat(kept), groups, nearest.seen, seen_groups)
    clean = torch.cat([_clean(part) for part in parts])
    judged = (clean if clean.any() else torch.ones_like(clean)) & distance.isfinite()
    if not judged.any():
        return None
    names = [group for group, is_in in zip(groups, judged.tolist(), strict=True) if is_in]
    limit = threshold_for_false_alarms(distance[judged].double().numpy(), RATE, names)
    nearest.limit.fill_(max(limit, 1e-6))
    return nearest


@torch.no_grad()
def nearest_of_some(source: FeatureSource, part: Labelled, indices: Sequence[int]) -> NearestImages:
    """The pictures with these indices alone, for the clean distance of others; there is no limit."""
    return _nearest(_descriptors(source, indices), part.take(indices), scaled=source.frozen)[0]


@torch.no_grad()
def as_if_unseen(network: GuidedClassifier, source: FeatureSource, part: Labelled) -> Tensor:
    """What to add (N, 1) to the logits of training pictures, see `NearestImages.as_if_unseen`."""
    kept = _descriptors(source, _every(part))
    return network.novelty_score.as_if_unseen(kept, _groups(part), _clean(part))


def _nearest(kept: Tensor, part: Labelled, *, scaled: bool) -> tuple[NearestImages, list[str]]:
    """Pictures with these descriptors, without the limit, and the groups of those that are kept.

    The clean distance is scaled by the clean pictures, each compared with those of other groups, but only
    where the features were not trained: those that were know their training pictures by heart.
    """
    chosen = evenly(len(kept), REMEMBERED)
    seen, groups = kept[chosen], [_groups(part)[index] for index in chosen]
    clean = torch.nonzero(_clean(part)[chosen]).flatten()
    distance = torch.zeros(0)
    if scaled and len(clean):
        names = [groups[index] for index in clean]
        distance = nearest_of_others(seen[clean], names, seen[clean], names)
        distance = distance[distance.isfinite()]
    nearest = NearestImages(*seen.shape, clean=len(clean) if len(distance) else 0)
    nearest.seen.copy_(seen)
    if len(distance):
        middle, high = distance.quantile(torch.tensor([0.5, 0.95]))
        nearest.clean.copy_(clean)
        nearest.clean_median.copy_(middle)
        nearest.clean_spread.copy_((high - middle).clamp(min=max(LEAST_SPREAD * float(middle), 1e-6)))
    return nearest, groups


def _descriptors(source: FeatureSource, indices: Sequence[int]) -> Tensor:
    """Descriptors (N, C) of the pictures with these indices, on the CPU."""
    found = [descriptors(source.features(part)).float().cpu() for part in batches(indices, BATCH)]
    return torch.cat([torch.zeros(0, source.network.features.channels), *found])


def _every(part: Labelled) -> range:
    return range(len(part.samples))


def _groups(part: Labelled) -> list[str]:
    return [str(group) for group in part.groups]


def _clean(part: Labelled) -> Tensor:
    return part.targets.amax(1) == 0
