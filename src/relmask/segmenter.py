"""Where a model, its relevance and its thresholds meet: image -> Segmentation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from relmask import lrp
from relmask.data.levelling import FLOOR, levelled
from relmask.data.reading import Intensity, read_image
from relmask.data.resizing import resize_map, to_tensor
from relmask.data.tiles import Blend, Window, windows
from relmask.errors import RunError, UsageError
from relmask.masks.calibration import Calibration, ClassThresholds
from relmask.masks.components import Component, find_components
from relmask.masks.outline import combine, smooth
from relmask.models.bundle import Input, Metadata, load_model, read_metadata
from relmask.models.guided import GuidedClassifier, PlaceEvidence
from relmask.models.unet import UNet, image_logits

FloatArray = NDArray[np.float32]

MIRRORS: tuple[tuple[int, ...], ...] = ((), (2,), (3,), (2, 3))
"""Axes along which images (N, C, H, W) are mirrored."""


@dataclass(frozen=True)
class Segmentation:
    """What relmask says of an image.

    Attributes:
        mask: (H, W), 0 = background, k = k-th of the run's classes.
        relevance: (H, W) in logits a pixel of the model's input, of the strongest class; None where the image
            was judged clean by its score, and nothing was explained.
        scores: probability of each class, 0.5 where presence and absence are as likely.
        score: probability of any defect.
        label: "defect" where the mask holds a pixel, else "clean".
        components: connected parts of the mask, largest first.
        maps: relevance (H, W) of every class that was explained.
        novelty: distance of the image's features to those of the nearest training image; 1 is what 1 % of
            the clean images exceed. None where the run cannot tell.
        unsure: why the answer should not be relied on; empty where nothing speaks against it.
    """

    mask: NDArray[np.uint8]
    relevance: FloatArray | None
    scores: Mapping[str, float]
    score: float
    label: str
    components: tuple[Component, ...]
    maps: Mapping[str, FloatArray] = field(default_factory=dict)
    novelty: float | None = None
    unsure: str = ""


@dataclass
class Evidence:
    """What the model says of one image before any threshold.

    Attributes:
        logits: (K,), of a picture cut into windows the highest of each class.
        maps: relevance (H, W) of the classes that were explained.
    """

    logits: NDArray[np.float64]
    maps: dict[int, FloatArray] = field(default_factory=dict)


class Reader:
    """A model and how pictures become its input: pictures -> logits and relevance, without thresholds.

    Args:
        model: normalised images (N, 3, H, W) -> logits (N, K).
        spec: how pictures become the model's input.
        composite: which rules explain it.
        device: where it runs.
        batch_size: images, or windows, at once.

    Attributes:
        mirrors: axes along which images are mirrored; relevance is the mean over them.
    """

    mirrors = MIRRORS

    def __init__(
        self, model: nn.Module, spec: Input, composite: str, device: torch.device, batch_size: int = 8
    ) -> None:
        self.model = model.to(device).eval()
        self.spec = spec
        self.composite = composite
        self.device = device
        self.batch_size = batch_size
        self._mean = torch.tensor(spec.mean, device=device).view(3, 1, 1)
        self._std = torch.tensor(spec.std, device=device).view(3, 1, 1)

    @property
    def explained(self) -> nn.Module:
        """What relevance starts from: the evidence of a guided classifier, else the logits."""
        if isinstance(self.model, GuidedClassifier):
            return PlaceEvidence(self.model, power=0.5 if self.spec.windows else 1.0).eval()
        return self.model

    @cached_property
    def explainer(self) -> lrp.Explainer:
        """The compiled model; made when the first image is explained."""
        example = torch.zeros(2, 3, self.spec.size, self.spec.size, device=self.device)
        composite = composite_of(self.composite, self.spec)
        compiled = lrp.compile(self.explained, self.normalise(example), composite, sizes=False)
        return compiled.to(self.device)

    def require(self, classes: int) -> None:
        """Check, before it is trained, that the model can be, will be explainable, and has a logit a class.

        Raises:
            UsageError: nothing to train, another number of logits, or no such composite.
            UnsupportedModel: a module that LRP cannot explain, like one that ends in softmax.
        """
        composite = composite_of(self.composite, self.spec)
        if isinstance(self.model, GuidedClassifier):
            return
        if not any(parameter.requires_grad for parameter in self.model.parameters()):
            raise UsageError(
                "The module has nothing to train: let some of its parameters require a gradient."
            )
        images = torch.zeros(2, 3, self.spec.size, self.spec.size, device=self.device)
        logits, _ = lrp.compile(self.model, images, composite, sizes=False).to(self.device)(images, 0)
        if logits.shape[1] != classes:
            raise UsageError(
                f"The module gives {logits.shape[1]} logits, but the data have {classes} defect classes: it "
                "needs one logit for each of them, in alphabetical order, and none for the clean class."
            )

    def normalise(self, images: Tensor) -> Tensor:
        """Images (N, 3, H, W) in [0, 1] as the model asks for them."""
        if self.spec.levelled:
            return levelled(images)
        return (images - self._mean) / self._std

    @torch.inference_mode()
    def logits(self, images: Tensor) -> Tensor:
        """Logits (N, K) of images (N, 3, S, S) in [0, 1]."""
        parts = [self.model(self.normalise(part.to(self.device))) for part in images.split(self.batch_size)]
        return torch.cat(parts).cpu()

    @torch.inference_mode()
    def look(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Logits (N, K) of images (N, 3, S, S) in [0, 1], and novelty (N,), see `Segmentation`."""
        model = self.model
        if not isinstance(model, GuidedClassifier) or model.memory is None:
            return self.logits(images), None
        logits, novelty = [], []
        for part in images.split(self.batch_size):
            features = model.features(self.normalise(part.to(self.device)))
            logits.append(model.read(features, model.novelty(features) if model.novelty else None)[0])
            novelty.append(model.memory(features))
        return torch.cat(logits).cpu(), torch.cat(novelty).cpu()

    @torch.inference_mode()
    def relevance(self, images: Tensor, targets: Tensor) -> Tensor:
        """Relevance (N, S, S) of one class each, in logits a pixel, of images (N, 3, S, S) in [0, 1].

        It is the mean over the image's four mirrors, which averages out what the grid of the strides puts
        into it and keeps what the image does.
        """
        parts = []
        for some, classes in zip(images.split(self.batch_size), targets.split(self.batch_size), strict=True):
            inputs, targeted = self.normalise(some.to(self.device)), classes.to(self.device)
            maps = [self.attribute(inputs.flip(dims), targeted)[:, None].flip(dims) for dims in self.mirrors]
            parts.append(torch.cat(maps, dim=1).mean(1).cpu())
        return torch.cat(parts)

    def attribute(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Relevance (N, S, S) of one class each, of images (N, 3, S, S) as the model asks for them."""
        relevance: Tensor = self.explainer(inputs, targets)[1]
        return relevance.sum(1)

    def cut(self, picture: FloatArray) -> tuple[Tensor, list[Window]]:
        """Input images (N, 3, S, S) of a picture (H, W, 3), and where its windows lie; none if resized.

        A picture smaller than a window is continued by its mirror.
        """
        size = self.spec.size
        if not self.spec.windows:
            return to_tensor(picture, size)[None], []
        missing = [(0, max(size - length, 0)) for length in picture.shape[:2]]
        whole = to_tensor(np.pad(picture, [*missing, (0, 0)], mode="symmetric"))
        places = windows(whole.shape[1], whole.shape[2], size, size // 2)
        return torch.stack(
            [whole[:, place.top : place.top + size, place.left : place.left + size] for place in places]
        ), places

    def evidence(self, picture: FloatArray, classes: Sequence[int]) -> Evidence:
        """Logits of a picture (H, W, 3) in [0, 1], and the relevance of some classes."""
        images, places = self.cut(picture)
        found = Evidence(self.logits(images).amax(0).double().numpy())
        for k in classes:
            found.maps[k] = self.explain(picture, images, places, k)
        return found

    def maps(
        self, picture: FloatArray, images: Tensor, places: list[Window], passing: NDArray[np.bool_]
    ) -> dict[int, FloatArray]:
        """Relevance (H, W) of each class that some of the images pass, smoothed as masks want it.

        Args:
            picture: (H, W, 3).
            images: what `cut` gave, N of them.
            places: likewise.
            passing: (N, K), which images to explain for which class.
        """
        return {
            int(k): smooth(self.explain(picture, images, places, int(k), passing[:, k]), self.spec.sigma)
            for k in np.flatnonzero(passing.any(axis=0))
        }

    def explain(
        self,
        picture: FloatArray,
        images: Tensor,
        places: list[Window],
        k: int,
        passing: NDArray[np.bool_] | None = None,
    ) -> FloatArray:
        """Relevance (H, W) of class k in a picture that was cut into `images` at `places`.

        Args:
            picture: (H, W, 3).
            images: what `cut` gave.
            places: likewise.
            k: the class.
            passing: which images to explain; the others have no relevance. None: all.
        """
        height, width = picture.shape[:2]
        maps = torch.zeros(len(images), *images.shape[2:])
        chosen = torch.arange(len(images)) if passing is None else torch.from_numpy(np.flatnonzero(passing))
        if len(chosen):
            maps[chosen] = self.relevance(images[chosen], torch.full((len(chosen),), k))
        if not places:
            return resize_map(maps, height, width)[0].numpy()
        blend = Blend((height, width), taper=0.25)
        for values, place in zip(maps, places, strict=True):
            blend.add(place, values.numpy())
        return blend.result()


class MapReader(Reader):
    """A segmenter and how pictures become its input; a pixel's relevance is its chance to show the class.

    The model takes normalised images (N, 3, H, W) to logits (N, K, H, W).
    """

    def require(self, classes: int) -> None:
        """Nothing: its maps need no explanation."""

    @torch.inference_mode()
    def logits(self, images: Tensor) -> Tensor:
        """Logits (N, K) of images (N, 3, S, S) in [0, 1]: how much of a class their strongest places show."""
        parts = [
            image_logits(self.model(self.normalise(part.to(self.device))))
            for part in images.split(self.batch_size)
        ]
        return torch.cat(parts).cpu()

    def attribute(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Chance (N, S, S) that a pixel shows one class each, of images (N, 3, S, S) as the model asks."""
        chances: Tensor = self.model(inputs).sigmoid()
        return chances[torch.arange(len(targets)), targets]


def composite_of(name: str, spec: Input) -> lrp.Composite:
    """The composite of a run; `epsilon_gamma_box` needs no range here, since the run knows its input's."""
    if name == lrp.composites.epsilon_gamma_box.__name__:
        if spec.levelled:
            return lrp.composites.epsilon_gamma_box(-1 / FLOOR, 1 / FLOOR)
        low = tuple((0 - mean) / std for mean, std in zip(spec.mean, spec.std, strict=True))
        high = tuple((1 - mean) / std for mean, std in zip(spec.mean, spec.std, strict=True))
        return lrp.composites.epsilon_gamma_box(low, high)
    return lrp.composites.named(name)


class Segmenter:
    """Images to masks: a model, its relevance and its thresholds.

    Args:
        reader: the model.
        classes: defect classes, in the order of the logits.
        calibration: the thresholds.
    """

    def __init__(self, reader: Reader, classes: tuple[str, ...], calibration: Calibration) -> None:
        self.reader = reader
        self.classes = classes
        self.calibration = calibration

    @property
    def intensity(self) -> Intensity:
        """How pictures are read."""
        return self.reader.spec.intensity

    def segment_images(self, images: Sequence[FloatArray]) -> list[Segmentation]:
        """A result for each picture (H, W, 3) in [0, 1], of any size.

        A picture whose scores are all below their gates is clean: its mask is empty and nothing is explained.
        """
        if not images:
            return []
        cuts = [self.reader.cut(image) for image in images]
        logits, novelty = self.reader.look(torch.cat([inputs for inputs, _ in cuts]))
        counts = [len(inputs) for inputs, _ in cuts]
        found = [
            self._segment(image, inputs, places, rows.double().numpy())
            for image, (inputs, places), rows in zip(images, cuts, logits.split(counts), strict=True)
        ]
        if novelty is None:
            return found
        return [
            _doubted(one, float(part.max())) for one, part in zip(found, novelty.split(counts), strict=True)
        ]

    def _segment(
        self, picture: FloatArray, inputs: Tensor, places: list[Window], rows: NDArray[np.float64]
    ) -> Segmentation:
        maps = self.reader.maps(picture, inputs, places, self.calibration.candidates(rows))
        height, width = picture.shape[:2]
        return self.decide(rows.max(axis=0), maps, (height, width))

    def decide(
        self, logits: NDArray[np.float64], maps: Mapping[int, FloatArray], shape: tuple[int, int]
    ) -> Segmentation:
        """What the thresholds make of the evidence in a picture.

        Args:
            logits: (K,).
            maps: smoothed relevance (H, W) of each class that passes its gate.
            shape: (H, W).
        """
        mask = combine(maps, {k: self._thresholds[k] for k in maps}, shape)
        strongest = max(maps, key=lambda k: self.calibration.standardised(logits)[k]) if maps else None
        return Segmentation(
            mask=mask,
            relevance=None if strongest is None else maps[strongest],
            scores={
                name: self._thresholds[k].probability(float(logits[k])) for k, name in enumerate(self.classes)
            },
            score=float(self.calibration.defect_probability(logits[None])[0]),
            label="defect" if mask.any() else "clean",
            components=find_components(mask, self.classes),
            maps={self.classes[k]: relevance for k, relevance in maps.items()},
        )

    @cached_property
    def _thresholds(self) -> list[ClassThresholds]:
        return [self.calibration.classes[name] for name in self.classes]


def _doubted(found: Segmentation, novelty: float) -> Segmentation:
    """The same with its novelty, and unsure beyond the limit: it may be a defect that no class names."""
    reason = f"unlike all training pictures (novelty {novelty:.2f}, limit 1)" if novelty > 1 else ""
    return replace(found, novelty=novelty, unsure=reason)


class Run:
    """A trained run on disk: its model, its thresholds, and what it was trained on."""

    def __init__(self, path: Path, metadata: Metadata, reader: Reader) -> None:
        self.path = path
        self.metadata = metadata
        self.reader = reader

    @cached_property
    def segmenter(self) -> Segmenter:
        """What makes masks.

        Raises:
            RunError: the run has no thresholds yet.
        """
        if self.metadata.calibration is None:
            raise RunError(f"{self.path} has no thresholds. Choose them: relmask calibrate {self.path} DATA")
        return Segmenter(self.reader, self.metadata.classes, self.metadata.calibration)

    def with_calibration(self, calibration: Calibration) -> "Run":
        """The same run with other thresholds; nothing is written."""
        return Run(self.path, self.metadata.model_copy(update={"calibration": calibration}), self.reader)

    def read(self, path: Path | str) -> FloatArray:
        """A file as an array (H, W, 3) in [0, 1], on the run's scale.

        Raises:
            ImageError: it cannot be read.
        """
        return read_image(Path(path), self.metadata.input.intensity)

    def segment(self, picture: Path | str | FloatArray) -> Segmentation:
        """Segment one picture: a file, or an array (H, W, 3) in [0, 1].

        Raises:
            ImageError: the file cannot be read.
        """
        if not isinstance(picture, np.ndarray):
            picture = self.read(picture)
        return self.segmenter.segment_images([picture])[0]


def load(
    run: Path | str, *, device: str = "auto", model: nn.Module | None = None, batch_size: int = 8
) -> Run:
    """Load a run that `train` wrote.

    Args:
        run: its folder.
        device: "auto", "cpu", "cuda" or another that torch knows.
        model: the module, where the run was trained on a user's own.
        batch_size: images, or windows, at once.

    Raises:
        RunError: not a run, or damaged.
        UsageError: no such device.
    """
    path = Path(run)
    metadata = read_metadata(path)
    network = load_model(path, metadata, model)
    reader = reader_of(network, metadata.input, metadata.composite, find_device(device), batch_size)
    return Run(path, metadata, reader)


def reader_of(
    model: nn.Module, spec: Input, composite: str, device: torch.device, batch_size: int = 8
) -> Reader:
    """The reader that fits a model: its maps are used as they are where it has some, else it is explained."""
    kind = MapReader if isinstance(model, UNet) else Reader
    return kind(model, spec, composite, device, batch_size)


def find_device(name: str) -> torch.device:
    """The device of that name; "auto" is CUDA where there is some, else the CPU.

    Raises:
        UsageError: torch does not know it, or this machine does not have it.
    """
    try:
        device = torch.device(("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name)
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        first = str(error).splitlines()[0]
        raise UsageError(f"No device {name!r} here ({first}). Choose auto, cpu or cuda.") from error
    return device
