"""What a run remembers of its training pictures, so that it can say that one is unlike all of them."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from relmask.masks.thresholds import threshold_for_false_alarms
from relmask.models.guided import GuidedClassifier
from relmask.models.memory import Memory, known_by, nearest_of_others
from relmask.reader import Reader
from relmask.training.labels import Labelled
from relmask.training.pictures import Pictures
from relmask.training.sources import CachedFeatures, Source

REMEMBERED = 2048
"""At most so many training pictures: 2 MB of the default backbone's features."""
RATE = 0.01
"""Share of the clean pictures that may be called unlike anything seen."""


@torch.no_grad()
def remember(
    reader: Reader, sources: Sequence[Source], pictures: Sequence[Pictures], parts: Sequence[Labelled]
) -> None:
    """Give a trained model its memory; a module of one's own gets none, nor one that saw a single group.

    The limit comes from the clean pictures of training and validation (of all, where none is clean), each
    compared with training pictures of other groups.

    Args:
        reader: the model.
        sources: of training and validation.
        pictures: likewise.
        parts: likewise.
    """
    model = reader.model
    if not isinstance(model, GuidedClassifier):
        return
    kept = [_kept(model, reader, *each) for each in zip(sources, pictures, strict=True)]
    groups = [[str(group) for group in part.groups] for part in parts]
    chosen = np.linspace(0, len(kept[0]) - 1, min(len(kept[0]), REMEMBERED)).astype(int)
    seen, seen_groups = kept[0][chosen], [groups[0][index] for index in chosen]
    distance = nearest_of_others(torch.cat(kept), [*groups[0], *groups[1]], seen, seen_groups)
    targets = torch.cat([part.targets for part in parts])
    clean = targets.amax(1) == 0
    judged = (clean if clean.any() else torch.ones_like(clean)) & distance.isfinite()
    if not judged.any():
        return
    names = [group for group, is_in in zip([*groups[0], *groups[1]], judged.tolist(), strict=True) if is_in]
    limit = threshold_for_false_alarms(distance[judged].double().numpy(), RATE, names)
    memory = Memory(*seen.shape)
    memory.seen.copy_(seen)
    memory.limit.fill_(max(limit, 1e-6))
    model.memory = memory.to(reader.device)


def _kept(model: GuidedClassifier, reader: Reader, source: Source, pictures: Pictures) -> Tensor:
    found = [torch.zeros(0, model.features.channels)]
    for start in range(0, len(pictures), reader.batch_size):
        batch = range(start, min(start + reader.batch_size, len(pictures)))
        if isinstance(source, CachedFeatures):
            features = source.features(batch)
        else:
            features = model.features(reader.normalise(pictures.batch(batch).to(reader.device)))
        found.append(known_by(features).float().cpu())
    return torch.cat(found)


def memory_of(model: nn.Module) -> str:
    """For the report: what a model can say of pictures unlike all that it saw."""
    if not isinstance(model, GuidedClassifier):
        return "not measured: relmask does not know the features of a module of your own"
    if model.memory is None:
        return "not measured: no clean picture could be compared with pictures of another group"
    return f"novelty above 1, as {RATE:.0%} of the clean pictures; {len(model.memory.seen)} are remembered"
