"""A classifier that LRP explains: picture -> logits and relevance, before any threshold."""

from collections.abc import Iterable, Sequence
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.nn import functional

from relmask import lrp
from relmask.arrays import FloatArray
from relmask.data.standardisation import FLOOR
from relmask.errors import UsageError
from relmask.inference.model import MIRRORS, Prediction
from relmask.inference.relevance import RelevanceModel
from relmask.models.bundle import Input
from relmask.models.guided import GuidedClassifier, LocationEvidence
from relmask.models.image_novelty import descriptors


class ExplainedClassifier(RelevanceModel):
    """A classifier and its relevance.

    Args:
        network: normalised images (N, 3, H, W) -> logits (N, K).
        spec: how pictures become its input.
        composite: the rules that explain it, by name or as they are.
        device: where it runs.
        batch_size: images, or windows, at once.

    Attributes:
        mirrors: axes along which images are mirrored; relevance is the mean over them.
    """

    mirrors = MIRRORS

    def __init__(
        self,
        network: nn.Module,
        spec: Input,
        composite: str | lrp.Composite,
        device: torch.device,
        batch_size: int = 8,
    ) -> None:
        super().__init__(network.to(device).eval(), spec, device, batch_size)
        self.composite = composite
        self._guided = network if isinstance(network, GuidedClassifier) else None

    def with_network(self, network: nn.Module) -> "ExplainedClassifier":
        """Another network read and explained in the same way."""
        return ExplainedClassifier(network, self.spec, self.composite, self.device, self.batch_size)

    def with_composite(self, composite: str | lrp.Composite) -> "ExplainedClassifier":
        """The same network explained by other rules."""
        return ExplainedClassifier(self.network, self.spec, composite, self.device, self.batch_size)

    @property
    def explained_head(self) -> nn.Module:
        """What relevance starts from: the evidence of a guided classifier, else the logits."""
        if self._guided is None:
            return self.network
        return LocationEvidence(self._guided.scores, power=0.5 if self.spec.windows else 1.0).eval()

    @cached_property
    def explainer(self) -> lrp.Explainer:
        """The compiled classifier; made when the first image is explained."""
        compiled = lrp.compile(
            self.explained_head, self.example(), composite_of(self.composite, self.spec), sizes=False
        )
        return compiled.to(self.device)

    def example(self) -> Tensor:
        """Two normalised images (2, 3, S, S), as the classifier is traced with."""
        return self.normalise(torch.zeros(2, 3, self.spec.size, self.spec.size, device=self.device))

    def require(self, classes: int) -> None:
        """Check, before it is trained, that the network can be, will be explainable, and has a logit a class.

        Raises:
            UsageError: nothing to train, another number of logits, or no such composite.
            UnsupportedModel: a module that LRP cannot explain, like one that ends in softmax.
        """
        composite = composite_of(self.composite, self.spec)
        if self._guided is not None:
            return
        parameters = list(self.network.parameters())
        if not any(parameter.requires_grad for parameter in parameters):
            raise UsageError(
                "The module has nothing to train: let some of its parameters require a gradient."
            )
        if any(parameter.is_inference() for parameter in parameters):
            raise UsageError(
                "The module was made under torch.inference_mode and cannot be trained: make it outside."
            )
        images = torch.zeros(2, 3, self.spec.size, self.spec.size, device=self.device)
        logits, _ = lrp.compile(self.network, images, composite, sizes=False).to(self.device)(images, 0)
        if logits.shape[1] != classes:
            raise UsageError(
                f"The module gives {logits.shape[1]} logits, but the data have {classes} defect classes: it "
                "needs one logit for each of them, in alphabetical order, and none for the clean class."
            )

    @torch.inference_mode()
    def logits(self, images: Tensor) -> Tensor:
        """Logits (N, K) of images (N, 3, S, S) in [0, 1]."""
        return self._batched(self.network, images)

    @torch.inference_mode()
    def evidence(self, images: Tensor) -> Tensor:
        """What relevance starts from, (N, K), of images (N, 3, S, S) in [0, 1]; see `explained_head`."""
        return self._batched(self.explained_head, images)

    @torch.inference_mode()
    def predict(self, images: Tensor) -> Prediction:
        """Logits (N, K) of images (N, 3, S, S) in [0, 1], and image novelty (N,), see `Segmentation`."""
        network = self._guided
        if network is None or network.nearest is None:
            return Prediction(self.logits(images), None)
        logits, novelty = [], []
        for part in images.split(self.batch_size):
            features = network.features(self.normalise(part.to(self.device)))
            logits.append(network.logits(features))
            novelty.append(network.nearest.novelty(features))
        return Prediction(torch.cat(logits).cpu(), torch.cat(novelty).cpu())

    @torch.inference_mode()
    def relevance(self, images: Tensor, targets: Tensor) -> Tensor:
        """Relevance (N, S, S) of one class each, in logits a pixel, of images (N, 3, S, S) in [0, 1].

        The mean over the image's four mirrors averages out what the grid of the strides puts into relevance.
        """
        parts = []
        for some, classes in zip(images.split(self.batch_size), targets.split(self.batch_size), strict=True):
            inputs, targeted = self.normalise(some.to(self.device)), classes.to(self.device)
            maps = [self.attribute(inputs.flip(dims), targeted)[:, None].flip(dims) for dims in self.mirrors]
            parts.append(torch.cat(maps, dim=1).mean(1).cpu())
        return torch.cat(parts)

    def attribute(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Relevance (N, S, S) of one class each, of normalised images (N, 3, S, S)."""
        relevance: Tensor = self.explainer(inputs, targets)[1]
        return relevance.sum(1)

    @torch.inference_mode()
    def novelty_map(self, images: Tensor, targets: Tensor) -> FloatArray | None:
        """Novelty (N, S, S) of the locations of images (N, 3, S, S) in [0, 1], for one class each.

        None where the network cannot tell, or sees windows.
        """
        network = self._guided
        if self.spec.windows or network is None or network.novelty is None:
            return None
        found = [torch.zeros(0, network.novelty.groups, *images.shape[2:])]
        for part in images.split(self.batch_size):
            novelty = network.novelty(network.features(self.normalise(part.to(self.device))))
            found.append(functional.interpolate(novelty, images.shape[2:], mode="bilinear").cpu())
        groups = targets if network.novelty.groups > 1 else torch.zeros_like(targets)
        return torch.cat(found)[torch.arange(len(images)), groups].numpy()

    @torch.inference_mode()
    def as_if_unseen(self, images: Iterable[Tensor], groups: Sequence[str], clean: Tensor) -> Tensor:
        """What to add (N, 1) to the logits of images that were trained on; see `NearestImages`."""
        if self._guided is None or self._guided.nearest is None:
            return super().as_if_unseen(images, groups, clean)
        kept = [descriptors(self._batched(self._guided.features, part)) for part in images]
        return self._guided.novelty_score.as_if_unseen(torch.cat(kept).float(), groups, clean)

    def warm_up(self) -> None:
        """Compile the explanation."""
        _ = self.explainer

    def describe(self, images: Tensor, k: int) -> str:
        """Layer by layer: its rule, and what it kept of the relevance of class k in images (N, 3, S, S)."""
        return str(self.explainer.ledger(self.normalise(images.to(self.device)), k))

    def _batched(self, network: nn.Module, images: Tensor) -> Tensor:
        parts = [network(self.normalise(part.to(self.device))) for part in images.split(self.batch_size)]
        return torch.cat(parts).cpu()


def composite_of(composite: str | lrp.Composite, spec: Input) -> lrp.Composite:
    """The composite of a run; `epsilon_gamma_box` needs no range here, since the run knows its input's."""
    if composite == lrp.composites.epsilon_gamma_box.__name__:
        if spec.standardised:
            return lrp.composites.epsilon_gamma_box(-1 / FLOOR, 1 / FLOOR)
        low = tuple((0 - mean) / std for mean, std in zip(spec.mean, spec.std, strict=True))
        high = tuple((1 - mean) / std for mean, std in zip(spec.mean, spec.std, strict=True))
        return lrp.composites.epsilon_gamma_box(low, high)
    return lrp.composites.named(composite) if isinstance(composite, str) else composite
