"""A model and how pictures become its input: picture -> logits and relevance, before any threshold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from relmask import lrp
from relmask.data.resizing import resize_map, to_tensor
from relmask.data.standardisation import FLOOR, levelled
from relmask.data.tiles import Blend, Window, windows
from relmask.errors import UsageError
from relmask.inference.forks import entered
from relmask.masks.growth import core, grown
from relmask.masks.inpainting import all_painted_over
from relmask.masks.propagation import spread
from relmask.masks.refinement import guided, smooth
from relmask.models.bundle import Input
from relmask.models.guided import GuidedClassifier, PlaceEvidence

FloatArray = NDArray[np.float32]

NOTHING: Mapping[int, float | None] = {}
MIRRORS: tuple[tuple[int, ...], ...] = ((), (2,), (3,), (2, 3))
"""Axes along which images (N, C, H, W) are mirrored."""


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
        """Images (N, 3, H, W) in [0, 1] as the model asks for them; every use of the model begins here.

        Raises:
            ForkError: in a forked process whose parent had used relmask in several threads.
        """
        entered()
        if self.spec.levelled:
            return levelled(images)
        return (images - self._mean) / self._std

    @torch.inference_mode()
    def logits(self, images: Tensor) -> Tensor:
        """Logits (N, K) of images (N, 3, S, S) in [0, 1]."""
        parts = [self.model(self.normalise(part.to(self.device))) for part in images.split(self.batch_size)]
        return torch.cat(parts).cpu()

    @torch.inference_mode()
    def held(self, images: Tensor) -> Tensor:
        """What relevance starts from, (N, K), of images (N, 3, S, S) in [0, 1]; see `explained`."""
        start = self.explained
        parts = [start(self.normalise(part.to(self.device))) for part in images.split(self.batch_size)]
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

    def drawn(self, images: Tensor, targets: Tensor) -> list[FloatArray]:
        """Relevance (S, S) of one class each, refined as masks want it, of images (N, 3, S, S) in [0, 1]."""
        grey, maps = images.mean(1).numpy(), self.relevance(images, targets).numpy()
        return [
            guided(smooth(values, self.spec.sigma), level, self.spec.guide)
            for values, level in zip(maps, grey, strict=True)
        ]

    def grown(
        self,
        images: Tensor,
        targets: Tensor,
        maps: Sequence[FloatArray],
        strange: float,
        clean: Tensor | None = None,
    ) -> list[FloatArray]:
        """What `drawn` gave, raised where the image stays strange, see `relmask.masks.growth`.

        With as many clean images, only where it stays stranger than those do, painted over at the same
        places: what painting leaves is no defect.
        """
        before = self.strangeness(images, targets)
        if before is None:
            return list(maps)
        cores = [core(values) for values in maps]
        after = self.strangeness(all_painted_over(images, cores), targets)
        assert after is not None
        if clean is not None:
            usual = self.strangeness(all_painted_over(clean, cores), targets)
            assert usual is not None
            after = np.where(after > usual, after, 0)
        return [grown(*parts, strange) for parts in zip(maps, before, after, strict=True)]

    def completed(
        self, images: Tensor, targets: Tensor, maps: Sequence[FloatArray], strange: float | None
    ) -> list[FloatArray]:
        """What `drawn` gave of large defects, `grown` unless `strange` is None, and `spread`."""
        whole = maps if strange is None else self.grown(images, targets, maps, strange)
        return self.spread(images, whole)

    @torch.inference_mode()
    def spread(self, images: Tensor, maps: Sequence[FloatArray]) -> list[FloatArray]:
        """Relevance (S, S) of images (N, 3, S, S) in [0, 1] spread over what looks alike in each.

        As it is where the model has no features, or sees windows.
        """
        model = self.model
        if self.spec.windows or not isinstance(model, GuidedClassifier):
            return list(maps)
        features = [
            model.features(self.normalise(part.to(self.device))).cpu()
            for part in images.split(self.batch_size)
        ]
        return [spread(*pair) for pair in zip(maps, torch.cat(features).numpy(), strict=True)]

    @torch.inference_mode()
    def strangeness(self, images: Tensor, targets: Tensor) -> FloatArray | None:
        """Novelty (N, S, S) of the places of images (N, 3, S, S) in [0, 1], for one class each.

        None where the model cannot tell, or sees windows.
        """
        model = self.model
        if self.spec.windows or not isinstance(model, GuidedClassifier) or model.novelty is None:
            return None
        found = [torch.zeros(0, model.novelty.groups, *images.shape[2:])]
        for part in images.split(self.batch_size):
            novelty = model.novelty(model.features(self.normalise(part.to(self.device))))
            found.append(functional.interpolate(novelty, images.shape[2:], mode="bilinear").cpu())
        groups = targets if model.novelty.groups > 1 else torch.zeros_like(targets)
        return torch.cat(found)[torch.arange(len(images)), groups].numpy()

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
        return torch.stack([whole[:, *place.inside(size)] for place in places]), places

    def evidence(self, picture: FloatArray, classes: Sequence[int]) -> Evidence:
        """Logits of a picture (H, W, 3) in [0, 1], and the relevance of some classes."""
        images, places = self.cut(picture)
        found = Evidence(self.logits(images).amax(0).double().numpy())
        for k in classes:
            found.maps[k] = self.explain(picture, images, places, k)
        return found

    def maps(
        self,
        picture: FloatArray,
        images: Tensor,
        places: list[Window],
        passing: NDArray[np.bool_],
        large: Mapping[int, float | None] = NOTHING,
    ) -> dict[int, FloatArray]:
        """Relevance (H, W) of each class that some of the images pass, as masks want it.

        Args:
            picture: (H, W, 3).
            images: what `cut` gave, N of them.
            places: likewise.
            passing: (N, K), which images to explain for which class.
            large: classes whose relevance is completed, and the novelty above which it grows, if any.
        """
        classes = np.flatnonzero(passing.any(axis=0)).tolist()
        if places:
            return {
                k: smooth(self.explain(picture, images, places, k, passing[:, k]), self.spec.sigma)
                for k in classes
            }
        height, width = picture.shape[:2]
        found = {}
        for k in classes:
            targets = torch.tensor([k])
            maps = self.drawn(images, targets)
            if k in large:
                maps = self.completed(images, targets, maps, large[k])
            found[k] = resize_map(torch.from_numpy(maps[0])[None], height, width)[0].numpy()
        return found

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


def composite_of(name: str, spec: Input) -> lrp.Composite:
    """The composite of a run; `epsilon_gamma_box` needs no range here, since the run knows its input's."""
    if name == lrp.composites.epsilon_gamma_box.__name__:
        if spec.levelled:
            return lrp.composites.epsilon_gamma_box(-1 / FLOOR, 1 / FLOOR)
        low = tuple((0 - mean) / std for mean, std in zip(spec.mean, spec.std, strict=True))
        high = tuple((1 - mean) / std for mean, std in zip(spec.mean, spec.std, strict=True))
        return lrp.composites.epsilon_gamma_box(low, high)
    return lrp.composites.named(name)


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
