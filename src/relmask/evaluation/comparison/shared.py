"""What all methods of a comparison share: one split, the pictures to learn from, the trained classifiers."""

import copy
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from relmask.arrays import DoubleArray
from relmask.calibration.floors import choose_floors
from relmask.calibration.from_labels import choose_thresholds
from relmask.calibration.scores import score
from relmask.data.index import Index, Sample, label_text, read_index
from relmask.data.labelled import Labelled, readable
from relmask.data.patches import CLEAN, cut_patches
from relmask.data.splits import Split
from relmask.data.truth import has_truth, legible, mask_cell
from relmask.errors import DataError
from relmask.evaluation.comparison.explanations import Explanations
from relmask.evaluation.comparison.predictions import in_proportion
from relmask.evaluation.comparison.settings import Settings
from relmask.evaluation.measure import DEFECT
from relmask.files import whole, write_csv, write_json
from relmask.inference.model import Model
from relmask.inference.relevance import RelevanceModel
from relmask.inference.run import Run, find_device, load
from relmask.masks.gates import Scores
from relmask.masks.thresholds import Calibration
from relmask.models.unet import encoder, unet
from relmask.models.zoo import classifier, find
from relmask.progress import Progress, silent
from relmask.training.distil import BACKBONE, distil
from relmask.training.effort import FULL, Effort
from relmask.training.plan import JOINED
from relmask.training.train import train
from relmask.training.unet import fit_unet

EPOCHS = 20
"""Of a classifier from scratch, and of a U-Net, where time allows."""


@dataclass(frozen=True)
class Trained:
    """A classifier, and its logits for the pictures that thresholds are chosen from.

    Attributes:
        run: the classifier.
        seconds: that its training took, thresholds included.
        part: pictures of validation, then those of training.
        unseen: how many of them are validation's.
        logits: (N, K).
    """

    run: Run
    seconds: float
    part: Labelled
    unseen: int
    logits: NDArray[np.float64]

    @property
    def calibration(self) -> Calibration:
        """The run's own thresholds."""
        return self.run.segmenter.calibration

    def calibrate(self, model: RelevanceModel) -> Calibration:
        """The classifier's gates, with masks as another explanation of it wants them, from labels alone."""
        base, explanations = self.calibration, self.explanations(model)
        clean = [sample for sample in self.part.samples if not sample.labels]
        floors = choose_floors(model, clean, base, silent)
        classes = {
            name: chosen.model_copy(update={"level": explanations.level(k, chosen.gate), "floor": floors[k]})
            for k, (name, chosen) in enumerate(base.classes.items())
        }
        return base.model_copy(update={"classes": classes})

    def explanations(self, model: RelevanceModel) -> Explanations:
        """The pictures that thresholds are chosen from, explained by a model."""
        return Explanations(model, self.part.samples, self.logits, self.part.targets.numpy() > 0, self.unseen)


@dataclass
class Shared:
    """One split, one budget.

    Attributes:
        folder: where intermediate results are kept.
        split: whole pictures.
        settings: of the comparison.
        progress: told of every step.
        effort: work of every training.
    """

    folder: Path
    split: Split
    settings: Settings
    progress: Progress
    effort: Effort = FULL
    device: torch.device = field(init=False)

    def __post_init__(self) -> None:
        self.device = find_device(self.settings.device)

    @cached_property
    def test(self) -> tuple[Sample, ...]:
        """The test pictures in the order in which every method looks at them; what is broken is left out.

        Raises:
            DataError: no picture can be read, or no defective one has a mask that can.
        """
        index = self.split.index
        usable = legible(readable(index.part("test"), self.progress), index)
        if not any(sample.labels and has_truth(sample) for sample in usable):
            raise DataError(
                f"No defective test picture of {index.root} has a mask: there is nothing to judge masks by. "
                "Name masks in the column mask of index.csv."
            )
        return in_proportion(usable, self.settings.seed)

    @cached_property
    def table(self) -> Path:
        """The split as a CSV that training reads."""
        index = self.split.index
        rows = [
            (str(s.path), label_text(s.labels, index.clean), s.group, s.split, mask_cell(s))
            for s in index.samples
        ]
        if index.mask_values:
            write_csv(self.folder / "classes.csv", ("value", "label"), index.mask_values.items())
        write_csv(self.folder / "index.csv", ("image", "label", "group", "split", "mask"), rows)
        return self.folder / "index.csv"

    @cached_property
    def training(self) -> Index:
        """The pictures to learn from: those of the split, or patches of them."""
        return read_index(self.training_data, self.clean)

    @property
    def clean(self) -> str | None:
        """Name of the clean class of the pictures to learn from."""
        return self.split.index.clean or (CLEAN if self.settings.patches else None)

    @cached_property
    def training_data(self) -> Path:
        """DATA of the pictures to learn from."""
        size = self.settings.patches
        if size is None:
            return self.table
        folder = self.folder / "patches"
        cut_patches(
            self.table,
            folder,
            size,
            stride=max(1, size // 2),
            clean=self.split.index.clean,
            progress=self.progress,
        )
        return folder

    def part(self, name: str) -> Labelled:
        """The readable pictures to learn from of one split."""
        samples = readable(self.training.part(name), self.progress, needed=name == "train")
        return Labelled.of(samples, self.training.classes)

    @cached_property
    def parts(self) -> tuple[Labelled, Labelled]:
        """Training and validation."""
        return self.part("train"), self.part("val")

    @cached_property
    def classifier(self) -> Trained:
        """The classifier that relmask trains, which all explanations explain."""
        return self._trained("classifier", None, self.settings.training())

    @cached_property
    def vgg(self) -> Trained:
        """A plain VGG classifier from scratch, for the published pipelines."""
        network = Contrasted(classifier("vgg-narrow", len(self.training.classes) + 1))
        choices = self.settings.training() | {"epochs": self.epochs("vgg", network, EPOCHS)}
        return self._trained("vgg", network, choices)

    @cached_property
    def unet(self) -> tuple[Run, float]:
        """The U-Net that learns from the true masks of the training pictures, and its seconds.

        It sees what the classifier sees, at that resolution, and is trained for as long at least, as far as a
        method's time goes.
        """
        settings = self.settings
        size = settings.patches or settings.size or 256

        def fitted(out: Path, **shared: Any) -> None:  # noqa: ANN401 - see `_made`
            epochs = self.epochs(
                "unet", self._segmenter(), EPOCHS, size=size, least_seconds=self.classifier.seconds
            )
            fit_unet(
                self.table,
                out,
                backbone=self._encoder,
                size=size,
                windows=settings.patches is not None,
                epochs=epochs,
                batch_size=settings.batch_size,
                clean=self.split.index.clean,
                seed=settings.seed,
                **shared,
            )

        return self._made("unet", fitted)

    @cached_property
    def student(self) -> tuple[Run, float]:
        """The classifier's student, and the seconds of both."""

        def distilled(out: Path, **shared: Any) -> None:  # noqa: ANN401 - see `_made`
            distil(
                self.classifier.run,
                self.training_data,
                out,
                epochs=self.epochs("student", self._segmenter(frozen=True), EPOCHS, rounds=1.5),
                batch_size=self.settings.batch_size,
                seed=self.settings.seed,
                **shared,
            )

        run, seconds = self._made("student", distilled)
        return run, self.classifier.seconds + seconds

    @property
    def _encoder(self) -> str:
        """Backbone of the U-Net: the first of the classifier's that one can be built on."""
        return encoder(self.settings.backbone.split(JOINED)) or BACKBONE

    def _segmenter(self, frozen: bool = False) -> nn.Module:
        """A U-Net as it will be trained, to see how long a step takes."""
        network = unet(self._encoder, len(self.training.classes), pretrained=False)
        if frozen and find(self._encoder).weights is not None:
            network.encoder.requires_grad_(False)
        return network

    def epochs(
        self,
        name: str,
        network: nn.Module,
        most: int,
        *,
        size: int | None = None,
        rounds: float = 1.0,
        least_seconds: float = 0.0,
    ) -> int:
        """Epochs that a network is trained for, kept as `name`.

        Args:
            name: of what is trained.
            network: it.
            most: so many, where time allows.
            size: of its input in pixels; None: the classifier's.
            rounds: so many times.
            least_seconds: more than `most`, where they take less.
        """
        if self.settings.epochs is not None:
            return self.settings.epochs

        def affordable() -> float:
            seconds = (
                50 * rounds * self._step(network, size or self.settings.patches or self.settings.size or 256)
            )
            wanted = max(most, -(-least_seconds // seconds))
            return max(1.0, min(wanted, 0.6 * self.settings.seconds // seconds))

        return int(self.kept(f"{name}-epochs", affordable))

    def kept(self, name: str, compute: Callable[[], float]) -> float:
        """A number that is computed once and kept, so that a stopped comparison goes on with it."""
        path = self.folder / f"{name}.json"
        if not path.is_file():
            write_json(path, compute())
        return float(json.loads(path.read_text(encoding="utf-8")))

    def _made(
        self, name: str, make: Callable[..., None], model: nn.Module | None = None
    ) -> tuple[Run, float]:
        """The run that `make` writes into a folder, and the seconds that it took; a stopped one goes on.

        Args:
            name: of the folder.
            make: called with the folder, and with what all trainings are told: device, precision, `resume`,
                progress, effort.
            model: the user's own network, where the run has one.
        """
        folder, settings = self.folder / name, self.settings

        def made() -> None:
            make(
                folder,
                device=settings.device,
                precision=settings.precision,
                resume=folder.exists(),
                progress=self.progress,
                effort=self.effort,
            )

        seconds = self._seconds(name, made)
        return load(folder, device=settings.device, model=model), seconds

    def _seconds(self, name: str, work: Callable[[], None]) -> float:
        """What some work takes, what a stopped comparison spent on it before included."""

        def timed() -> float:
            path = self.folder / f"{name}-spent.json"
            before = float(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else 0.0
            began = time.perf_counter()
            try:
                work()
            finally:
                spent = before + time.perf_counter() - began
                write_json(path, spent)
            return spent

        return self.kept(f"{name}-seconds", timed)

    def _step(self, network: nn.Module, size: int) -> float:
        """Seconds of a step of training, without reading its pictures."""
        images = torch.rand(self.settings.batch_size, 3, size, size, device=self.device)
        network = copy.deepcopy(network).to(self.device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
        took = []
        for _ in range(2):
            began = time.perf_counter()
            with torch.autocast(self.device.type, torch.bfloat16, enabled="bf16" in self.settings.precision):
                loss = network(images.contiguous(memory_format=torch.channels_last)).sum()
            loss.backward()
            took.append(time.perf_counter() - began)
        return min(took)

    def _trained(self, name: str, model: nn.Module | None, choices: dict[str, Any]) -> Trained:
        def trained(out: Path, **shared: Any) -> None:  # noqa: ANN401 - see `_made`
            train(self.training_data, out, model=model, clean=self.clean, **choices, **shared)

        run, seconds = self._made(name, trained, model)
        training, validation = self.parts
        samples = (*validation.samples, *training.samples)
        part = Labelled.of(samples, run.metadata.classes)
        logits = self._logits(self.folder / f"{name}.npy", run.model, samples)
        return Trained(run, seconds, part, len(validation.samples), logits)

    def _logits(self, path: Path, model: Model, samples: Sequence[Sample]) -> DoubleArray:
        """Logits (N, K) of pictures, kept in a file."""
        if path.is_file():
            kept: NDArray[np.float64] = np.load(path)
            return kept
        logits = score(model, samples, self.progress)
        with whole(path) as part:
            np.save(part, logits)
        return logits

    def calibrate_one(self, model: RelevanceModel) -> Calibration:
        """Thresholds of a method without classes, from labels of validation pictures.

        Where validation lacks pictures of a kind, those of training are used too.
        """
        training, validation = self.parts
        part = validation
        any_defect = validation.targets.any(1)
        if not len(any_defect) or any_defect.all() or not any_defect.any():
            part = Labelled(
                (*validation.samples, *training.samples), torch.cat([validation.targets, training.targets])
            )
        targets = part.targets.any(1).numpy()[:, None]
        logits = score(model, part.samples, self.progress)
        explanations = Explanations(model, part.samples, logits, targets, len(part.samples))
        return choose_thresholds(
            Scores(logits, targets, part.groups),
            explanations.level,
            DEFECT,
            self.settings.false_alarms,
        )


class Contrasted(nn.Module):
    """A classifier of clean and K classes, read as K logits: how much more each class is than clean.

    Trained with binary cross-entropy this is, for one class, softmax regression over the two logits.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, K) of images (N, 3, H, W)."""
        logits: Tensor = self.network(images)
        return logits[:, 1:] - logits[:, :1]
