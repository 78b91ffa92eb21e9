"""Training a classifier from image-level labels: its loss, the pictures that are drawn, and who trains it."""

import math
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from relmask.data.image_cache import ImageCache
from relmask.data.labelled import Labelled
from relmask.data.splits import draw
from relmask.inference.explained import ExplainedClassifier
from relmask.models.guided import GuidedClassifier
from relmask.progress import Progress
from relmask.ranking import auroc
from relmask.sequences import batches
from relmask.training.arithmetic import Arithmetic
from relmask.training.image_novelty import as_if_unseen, nearest_images, nearest_of_some
from relmask.training.loop import History, Schedule, optimise
from relmask.training.plan import Plan
from relmask.training.sources import (
    CachedFeatures,
    FeatureSource,
    GuidedPictures,
    Part,
    Prediction,
    Source,
    WholePictures,
)

FOLDS = 2
"""Parts of the training pictures, each judged by a head that was trained on the others."""


def loss_of(prediction: Prediction, targets: Tensor, negative: Tensor, absent: float) -> Tensor:
    """Binary cross-entropy on the logits (N, K), and on every location of the `negative` (N, K) maps.

    Args:
        prediction: of a batch.
        targets: (N, K), 1 where the class is in the picture, else 0.
        negative: (N, K), 1 where no location of the picture shows the class, else 0; see `negatives`.
        absent: weight of the locations.
    """
    loss = functional.binary_cross_entropy_with_logits(prediction.logits, targets)
    if prediction.locations is not None and absent:
        below = functional.softplus(prediction.locations) * negative[:, :, None, None]
        loss = loss + absent * below.mean()
    return loss


def negatives(targets: Tensor) -> Tensor:
    """Pictures and classes (N, K) whose every location is known not to show the class: 1 there, else 0.

    They are all classes of clean pictures. A picture of another class is left out: its defect may look like
    this one to a head that knows a few of each, and what marks it as a defect would be unlearned. Only where
    no picture is clean do the pictures without a class speak for its absence.
    """
    clean = targets.amax(1, keepdim=True) == 0
    return clean.expand_as(targets).to(targets) if clean.any() else 1 - targets


class Labels:
    """Objective of a classifier: image-level labels.

    Args:
        model: the classifier, on `device`.
        training: where predictions come from, and targets (N, K), 0 or 1.
        validation: likewise. None: nothing is validated.
        schedule: tells the weight of locations and the batch size.
        device: of the loss.
    """

    def __init__(
        self,
        model: nn.Module,
        training: tuple[Source, Tensor],
        validation: tuple[Source, Tensor] | None,
        schedule: Schedule,
        device: torch.device,
    ) -> None:
        self.source, self.targets = training
        self.chances = sampling_weights(self.targets)
        self._negative = negatives(self.targets)
        self._model = model
        self._validation = validation
        self._schedule = schedule
        self._device = device

    def loss(self, indices: list[int], generator: torch.Generator) -> Tensor:
        """See `loss_of`."""
        prediction = self.source.predict(indices, generator)
        wanted, absent = (kind[indices].to(self._device) for kind in (self.targets, self._negative))
        return loss_of(prediction, wanted, absent, self._schedule.absent)

    @torch.no_grad()
    def validate(self) -> tuple[float, float | None]:
        """Cross-entropy as training weighs the pictures, and AUROC of the highest logit."""
        if self._validation is None:
            return math.nan, None
        source, targets = self._validation
        logits = predict_logits(self._model, source, len(targets), self._schedule.batch_size)
        weights = sampling_weights(targets)
        losses = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none").mean(1)
        loss = float((losses * weights).sum() / weights.sum())
        return loss, auroc(logits.amax(1), targets.amax(1) > 0)


def sampling_weights(targets: Tensor) -> Tensor:
    """Chance (N,) of drawing each picture: rare combinations of labels more often, but not as often as all.

    A combination is drawn by the square root of its number of pictures. Drawing all alike repeats the few
    pictures of a rare class until they are known by heart.
    """
    _, member, counts = torch.unique(targets, dim=0, return_inverse=True, return_counts=True)
    chances: Tensor = counts[member].double().rsqrt()
    return chances


@torch.no_grad()
def predict_logits(model: nn.Module, source: Source, count: int, batch_size: int = 16) -> Tensor:
    """Logits (count, K) of all pictures of a source, on the CPU; `model` is left in eval mode."""
    model.eval()
    return torch.cat([source.logits(part).float().cpu() for part in batches(range(count), batch_size)])


class Fitter:
    """Trains a user's own network as a plan says. Those of relmask's own networks do more, see `fitter_of`.

    Args:
        model: the network, and how pictures become its input.
        plan: what to do.
        arithmetic: device and precision.
        seed: of every draw.
        progress: called after every step.
        training: pictures to train on.
        validation: pictures that tell which epoch is best; there may be none.

    Attributes:
        model: the model of the run, once `fit` is through.
        sources: predictions for training and validation.
    """

    layout = torch.channels_last  # trains vgg-narrow 1.6 times as fast on a CPU
    network: nn.Module
    sources: Sequence[Source]

    def __init__(
        self,
        model: ExplainedClassifier,
        plan: Plan,
        arithmetic: Arithmetic,
        seed: int,
        progress: Progress,
        training: Labelled,
        validation: Labelled,
    ) -> None:
        self.model = model
        self.plan = plan
        self.arithmetic = arithmetic
        self.seed = seed
        self.progress = progress
        self.training = training
        self.validation = validation
        self.network = model.network
        self.sources = [self._source(part) for part in (training, validation)]

    def logits(self) -> tuple[Tensor, Tensor]:
        """Logits (N, K) of the training pictures, as if each were new to the model, and of validation."""
        training, validation = (
            predict_logits(self.network, source, len(part.samples)) if part.samples else part.targets
            for source, part in zip(self.sources, (self.training, self.validation), strict=True)
        )
        return training, validation

    def cross_fitted(self) -> Tensor | None:
        """Logits (N, K) of the training pictures, each by a head that saw no picture of its group.

        None where there are no such heads: the network is trained as a whole, or there is but one group.
        """
        return None

    def _objective(
        self, network: nn.Module, training: tuple[Source, Tensor], validation: tuple[Source, Tensor] | None
    ) -> Labels:
        return Labels(network, training, validation, self.plan.schedule, self.arithmetic.device)

    def _source(self, part: Labelled) -> Source:
        return WholePictures(self.network, self._cache(part), self.model.normalise, self.model.device)

    def _cache(self, part: Labelled) -> ImageCache:
        return ImageCache(part.samples, self.model.spec.size, self.model.spec.intensity)

    def fit(self, folder: Path) -> History:
        """Train to the epoch that validation likes best, with checkpoints in `folder`."""
        (training, validation), schedule = self.sources, self.plan.schedule
        _lay_out(self.network, self.layout)
        judged = (validation, self.validation.targets) if self.validation.samples else None
        history = optimise(
            self.network,
            self._objective(self.network, (training, self.training.targets), judged),
            schedule,
            self.arithmetic,
            folder,
            seed=self.seed,
            on_step=lambda step, note: self.progress(
                "training", step, schedule.epochs * schedule.steps, note
            ),
        )
        _lay_out(self.network, torch.contiguous_format)
        return history


class GuidedFitter(Fitter):
    """Trains relmask's own network, trunk and all, and puts novelty on top."""

    network: GuidedClassifier
    sources: Sequence[FeatureSource]

    def fit(self, folder: Path) -> History:
        """Train, with checkpoints in `folder`; the training pictures are kept for the image novelty."""
        history = super().fit(folder)
        nearest = nearest_images(self.sources, (self.training, self.validation))
        self.network = GuidedClassifier(self.network.scores, nearest)
        self.model = self.model.with_network(self.network)
        self.sources = [source.read_by(self.network) for source in self.sources]
        return history

    def logits(self) -> tuple[Tensor, Tensor]:
        """See `Fitter`; the clean distance of training pictures is that to other groups."""
        training, validation = super().logits()
        return training + as_if_unseen(self.network, self.sources[0], self.training), validation

    def _source(self, part: Labelled) -> FeatureSource:
        return GuidedPictures(self.network, self._cache(part), self.model.normalise, self.model.device)


class FrozenFitter(GuidedFitter):
    """Trains the head of relmask's own network on features that are computed once."""

    layout = torch.contiguous_format
    sources: Sequence[CachedFeatures]
    _crossed: Tensor | None = None

    def fit(self, folder: Path) -> History:
        """Fit the statistics of the features, train the head; see `GuidedFitter`."""
        self.fit_statistics()
        return super().fit(folder)

    @torch.no_grad()
    def fit_statistics(self) -> None:
        """Fit the standardisation of features to all training pictures, and the novelty to its references."""
        source, everything = self.sources[0], range(len(self.training.samples))
        features = self.network.features
        features.fit(source.averages(part) for part in batches(everything, self.plan.schedule.batch_size))
        features.eval()
        self._fit_novelty(source, everything)

    def cross_fitted(self) -> Tensor | None:
        """See `Fitter`; there are `FOLDS` such heads. They are trained once."""
        if self._crossed is None:
            self._crossed = self._cross_fitted()
        return self._crossed

    def _cross_fitted(self) -> Tensor | None:
        groups = [str(group) for group in self.training.groups]
        strata = self.training.strata
        if len(strata) < FOLDS:
            return None
        names = [f"fold {number}" for number in range(FOLDS)]
        folds = draw(strata, dict.fromkeys(names, 1 / FOLDS), self.seed)
        logits = torch.zeros_like(self.training.targets)
        for number, name in enumerate(names):
            held_out = [index for index, group in enumerate(groups) if folds[group] == name]
            if held_out:
                logits[held_out] = self.fit_without(held_out)
            self.progress("cross-fitting", number + 1, FOLDS)
        return logits

    def fit_without(self, fold: Sequence[int]) -> Tensor:
        """Logits (len(fold), K) of a head that was trained on all training pictures but those of `fold`.

        Novelty is fitted without them, too; the standardisation of features, which knows no labels, is kept.
        """
        targets, held_out = self.training.targets, set(fold)
        rest = [index for index in range(len(targets)) if index not in held_out]
        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
            scores = self.network.scores.untrained()
            nearest = nearest_of_some(self.sources[0], self.training, rest).to(self.model.device)
            source = self.sources[0].read_by(GuidedClassifier(scores))
            self._fit_novelty(source, rest)
            part = Part(source, rest), targets[rest]
            objective = self._objective(source.network, part, None)
            optimise(source.network, objective, self.plan.schedule, self.arithmetic, None, seed=self.seed)
            judge = GuidedClassifier(scores, nearest)
            return predict_logits(judge, Part(source.read_by(judge), fold), len(fold))

    def _source(self, part: Labelled) -> CachedFeatures:
        """Predictions for pictures, whose features are computed now."""
        source = CachedFeatures(self.network, self._cache(part), self.model.normalise, self.model.device)
        for indices in batches(range(len(part.samples)), self.plan.schedule.batch_size):
            source.averages(indices)
            self.progress("features", indices[-1] + 1, len(part.samples))
        return source

    @torch.no_grad()
    def _fit_novelty(self, source: CachedFeatures, indices: Sequence[int]) -> None:
        """Fit the novelty of a source's network to the references among these pictures, else to all."""
        novelty, targets = source.network.novelty, self.training.targets
        if novelty is None:
            return
        for group in range(novelty.groups):
            absent = targets.amax(1) == 0 if novelty.groups == 1 else targets[:, group] == 0
            references = [index for index in indices if absent[index]] or list(indices)
            novelty.fit(group, partial(self._features, source, references))
        source.forget_novelty()

    def _features(self, source: CachedFeatures, indices: Sequence[int]) -> Iterator[Tensor]:
        return (source.features(part) for part in batches(indices, self.plan.schedule.batch_size))


def fitter_of(
    model: ExplainedClassifier,
    plan: Plan,
    arithmetic: Arithmetic,
    seed: int,
    progress: Progress,
    training: Labelled,
    validation: Labelled,
) -> Fitter:
    """What trains the network of a model, see `Fitter`."""
    kind = Fitter
    if isinstance(model.network, GuidedClassifier):
        kind = FrozenFitter if plan.frozen else GuidedFitter
    return kind(model, plan, arithmetic, seed, progress, training, validation)


def _lay_out(network: nn.Module, memory_format: torch.memory_format) -> None:
    """Where the channels of its images lie in memory; no value changes."""
    network.to(memory_format=memory_format)  # type: ignore[call-overload]
