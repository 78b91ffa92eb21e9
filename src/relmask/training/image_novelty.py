"""What a run remembers of its training pictures, to say how strange another one is to them."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from relmask.calibration.gates import threshold_for_false_alarms
from relmask.data.labelled import Labelled
from relmask.models.guided import GuidedClassifier
from relmask.models.image_novelty import REMEMBERED, Memory, known_by, nearest_of_others
from relmask.sequences import batches, evenly
from relmask.training.sources import CachedFeatures, WholePictures

RATE = 0.01
"""Share of the clean pictures that may be called unlike anything seen."""
LEAST = 0.1
"""Least spread of the distances among clean pictures, as a share of their median: a few may agree."""


@torch.no_grad()
def remember(
    model: nn.Module, sources: Sequence[CachedFeatures | WholePictures], parts: Sequence[Labelled]
) -> None:
    """Give a trained model its memory; a module of one's own gets none, nor one that saw a single group.

    The limit comes from the clean pictures of training and validation (of all, where none is clean), each
    compared with training pictures of other groups.

    Args:
        model: gets it.
        sources: of training and validation.
        parts: likewise.
    """
    if not isinstance(model, GuidedClassifier):
        return
    kept = [_kept(source, range(len(part.samples))) for source, part in zip(sources, parts, strict=True)]
    memory, seen_groups = _memory(kept[0], parts[0], usual=isinstance(sources[0], CachedFeatures))
    groups = [*_groups(parts[0]), *_groups(parts[1])]
    distance = nearest_of_others(torch.cat(kept), groups, memory.seen, seen_groups)
    clean = torch.cat([_clean(part) for part in parts])
    judged = (clean if clean.any() else torch.ones_like(clean)) & distance.isfinite()
    if not judged.any():
        return
    names = [group for group, is_in in zip(groups, judged.tolist(), strict=True) if is_in]
    limit = threshold_for_false_alarms(distance[judged].double().numpy(), RATE, names)
    memory.limit.fill_(max(limit, 1e-6))
    model.memory = memory.to(sources[0].device)


@torch.no_grad()
def memory_of_some(source: CachedFeatures, part: Labelled, indices: Sequence[int]) -> Memory:
    """What a model would remember that saw only the pictures with these indices; its limit is not chosen."""
    return _memory(_kept(source, indices), part.take(indices), usual=True)[0].to(source.device)


@torch.no_grad()
def as_if_unseen(model: GuidedClassifier, source: CachedFeatures | WholePictures, part: Labelled) -> Tensor:
    """What to add (N, 1) to the logits of training pictures, see `Memory.as_if_unseen`."""
    if model.memory is None:
        return torch.zeros(len(part.samples), 1)
    return model.memory.as_if_unseen(_kept(source, range(len(part.samples))), _groups(part), _clean(part))


def _memory(kept: Tensor, part: Labelled, *, usual: bool) -> tuple[Memory, list[str]]:
    """A memory without its limit, and the groups of what it has seen.

    What is usual is known by the clean pictures, each compared with those of other groups, of frozen features
    alone: features that were trained, too, know their pictures by heart.
    """
    chosen = evenly(len(kept), REMEMBERED)
    seen, groups = kept[chosen], [_groups(part)[index] for index in chosen]
    clean = torch.nonzero(_clean(part)[chosen]).flatten()
    distance = torch.zeros(0)
    if usual and len(clean):
        names = [groups[index] for index in clean]
        distance = nearest_of_others(seen[clean], names, seen[clean], names)
        distance = distance[distance.isfinite()]
    memory = Memory(*seen.shape, clean=len(clean) if len(distance) else 0)
    memory.seen.copy_(seen)
    if len(distance):
        middle, high = distance.quantile(torch.tensor([0.5, 0.95]))
        memory.clean.copy_(clean)
        memory.usual.copy_(middle)
        memory.spread.copy_((high - middle).clamp(min=max(LEAST * float(middle), 1e-6)))
    return memory, groups


def _kept(source: CachedFeatures | WholePictures, indices: Sequence[int], size: int = 16) -> Tensor:
    assert isinstance(source.model, GuidedClassifier)
    found = [known_by(source.features(part)).float().cpu() for part in batches(indices, size)]
    return torch.cat([torch.zeros(0, source.model.features.channels), *found])


def _groups(part: Labelled) -> list[str]:
    return [str(group) for group in part.groups]


def _clean(part: Labelled) -> Tensor:
    return part.targets.amax(1) == 0


def memory_of(model: nn.Module) -> str:
    """For the report: what a model can say of pictures unlike all that it saw."""
    if not isinstance(model, GuidedClassifier):
        return "not measured: relmask does not know the features of a module of your own"
    if model.memory is None:
        return "not measured: no clean picture could be compared with pictures of another group"
    return f"novelty above 1, as {RATE:.0%} of the clean pictures; {len(model.memory.seen)} are remembered"
