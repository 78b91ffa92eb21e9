"""One plan carried out: features computed, statistics fitted, heads trained."""

from collections.abc import Iterable, Iterator, Sequence
from copy import deepcopy
from functools import partial
from pathlib import Path

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from relmask.data.image_cache import ImageCache
from relmask.data.labelled import Labelled
from relmask.inference.explained import ExplainedClassifier
from relmask.models.guided import GuidedClassifier
from relmask.progress import Progress
from relmask.sequences import batches
from relmask.training.fit import fit, predict_logits
from relmask.training.image_novelty import memory_of_some
from relmask.training.loop import History
from relmask.training.plan import Plan
from relmask.training.sources import CachedFeatures, Part, Source, WholePictures


class Fitter:
    """Trains a classifier as a plan says.

    Args:
        model: the classifier, and how pictures become its input.
        plan: what to do.
        fabric: device and precision.
        seed: of every draw.
        progress: called after every step.
    """

    def __init__(
        self, model: ExplainedClassifier, plan: Plan, fabric: Fabric, seed: int, progress: Progress
    ) -> None:
        self.model = model
        self.plan = plan
        self.fabric = fabric
        self.seed = seed
        self.progress = progress

    @property
    def network(self) -> nn.Module:
        """What is trained."""
        return self.model.network

    def source(self, pictures: ImageCache) -> CachedFeatures | WholePictures:
        """Predictions for pictures; features of a frozen trunk are computed now."""
        if not (self.plan.frozen and isinstance(self.network, GuidedClassifier)):
            return WholePictures(self.network, pictures, self.model.normalise, self.model.device)
        source = CachedFeatures(self.network, pictures, self.model.normalise, self.model.device)
        for batch in batches(range(len(pictures)), self._batch_size):
            source.averages(batch)
            self.progress("features", batch[-1] + 1, len(pictures))
        return source

    @torch.no_grad()
    def fit_statistics(self, source: Source, targets: Tensor) -> None:
        """Fit the standardisation of features to all pictures, and the novelty to its references."""
        model = self.network
        if not isinstance(source, CachedFeatures) or not isinstance(model, GuidedClassifier):
            return
        everything = range(len(targets))
        model.features.fit(source.averages(batch) for batch in batches(everything, self._batch_size))
        model.features.eval()
        self.fit_novelty(model, source, targets, everything)

    @torch.no_grad()
    def fit_novelty(
        self, model: GuidedClassifier, source: CachedFeatures, targets: Tensor, indices: Iterable[int]
    ) -> None:
        """Fit the novelty of `model` to those of these pictures that are its references, else to all."""
        if model.novelty is None:
            return
        chosen = list(indices)
        for group in range(model.novelty.groups):
            absent = targets.amax(1) == 0 if model.novelty.groups == 1 else targets[:, group] == 0
            references = [index for index in chosen if absent[index]] or chosen
            model.novelty.fit(group, partial(self._features, source, references))
        source.forget_novelty()

    def fit(self, sources: Sequence[Source], targets: Sequence[Tensor], folder: Path) -> History:
        """Train on the first source, stop by the second if it has pictures; checkpoints go to `folder`.

        A whole network is trained with channels last in memory: 1.6 times as fast for vgg-narrow on a CPU.
        """
        schedule = self.plan.schedule
        if not self.plan.frozen:
            _lay_out(self.network, torch.channels_last)
        history = fit(
            self.network,
            (sources[0], targets[0]),
            (sources[1], targets[1]) if len(targets[1]) else None,
            schedule,
            self.fabric,
            folder,
            seed=self.seed,
            on_step=lambda step, note: self.progress(
                "training", step, schedule.epochs * schedule.steps, note
            ),
        )
        _lay_out(self.network, torch.contiguous_format)
        return history

    def fit_without(self, source: CachedFeatures, training: Labelled, fold: Sequence[int]) -> Tensor:
        """Logits (len(fold), K) of a head that was trained on all pictures but those of `fold`.

        Novelty and memory are made without them, too; the standardisation of features, which knows no labels,
        is kept.
        """
        model = self.network
        assert isinstance(model, GuidedClassifier)
        memory, model.memory = model.memory, None
        kept = deepcopy(model.state_dict())
        targets, held_out = training.targets, set(fold)
        rest = [index for index in range(len(targets)) if index not in held_out]
        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
            model.start_again()
            self.fit_novelty(model, source, targets, rest)
            part, held = Part(source, rest), Part(source, list(fold))
            fit(model, (part, targets[rest]), None, self.plan.schedule, self.fabric, None, seed=self.seed)
            model.memory = memory_of_some(source, training, rest)
            logits = predict_logits(model, held, len(fold))
        model.memory = None
        model.load_state_dict(kept)
        model.memory = memory
        source.forget_novelty()
        return logits

    def _features(self, source: CachedFeatures, indices: Sequence[int]) -> Iterator[Tensor]:
        return (source.features(batch) for batch in batches(indices, self._batch_size))

    @property
    def _batch_size(self) -> int:
        return self.plan.schedule.batch_size


def _lay_out(model: nn.Module, memory_format: torch.memory_format) -> None:
    """Where the channels of its images lie in memory; no value changes."""
    model.to(memory_format=memory_format)  # type: ignore[call-overload]
