"""What a run holds: anything that scores pictures and says where each class is."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from relmask.arrays import FloatArray, Mask
from relmask.data.tiles import Window
from relmask.models.bundle import Input

if TYPE_CHECKING:
    from relmask.inference.relevance import RelevanceModel

MIRRORS: tuple[tuple[int, ...], ...] = ((), (2,), (3,), (2, 3))
"""Axes along which images (N, C, H, W) are mirrored; a map is the mean over them."""


class Prediction(NamedTuple):
    """Logits (N, K) of images, and their novelty (N,), None where the model cannot tell."""

    logits: Tensor
    image_novelty: Tensor | None


class Model(Protocol):
    """A network, how pictures become its input, and how it says where a class is.

    Attributes:
        network: what was trained.
        spec: how pictures become its input.
        device: where the network runs.
        batch_size: images, or windows, that go through it together.
    """

    spec: Input
    device: torch.device
    batch_size: int

    @property
    def unit(self) -> str:
        """Unit of the maps that masks are cut from, in words."""

    @property
    def cut_scale(self) -> float:
        """Value of such a map that is drawn in full colour."""

    @property
    def network(self) -> nn.Module:
        """What was trained."""

    @property
    def full_scale(self) -> float:
        """Value of relevance, or a probability, that a heatmap draws in full colour."""

    @property
    def relevance_model(self) -> "RelevanceModel | None":
        """The model itself where its maps are relevance, whose level has to be calibrated; else None."""

    def normalise(self, images: Tensor) -> Tensor:
        """Images (N, 3, H, W) in [0, 1], normalised as the network expects them."""

    def cut(self, picture: FloatArray) -> tuple[Tensor, list[Window]]:
        """Input images (N, 3, S, S) of a picture (H, W, 3), and where its windows lie; none if resized."""

    def logits(self, images: Tensor) -> Tensor:
        """Logits (N, K) of images (N, 3, S, S) in [0, 1]."""

    def predict(self, images: Tensor) -> Prediction:
        """Logits of images (N, 3, S, S) in [0, 1], and how novel each is as a whole."""

    def evidence(self, images: Tensor) -> Tensor:
        """What maps start from, (N, K), of images (N, 3, S, S) in [0, 1]."""

    def relevance(self, images: Tensor, targets: Tensor) -> Tensor:
        """A map (N, S, S) of one class each, as the model gives it, of images (N, 3, S, S) in [0, 1]."""

    def explain(
        self,
        picture: FloatArray,
        images: Tensor,
        places: list[Window],
        k: int,
        passing: Mask | None = None,
    ) -> FloatArray:
        """The map (H, W) of class k in a picture that was cut into `images` at `places`, as it is."""

    def maps(
        self, picture: FloatArray, images: Tensor, places: list[Window], passing: Mask
    ) -> dict[int, FloatArray]:
        """Relevance, or probability, (H, W) of each class that some of the images pass.

        Args:
            picture: (H, W, 3) in [0, 1].
            images: what `cut` gave, N of them.
            places: likewise.
            passing: (N, K), which images to look at for which class.
        """

    def support(
        self, maps: dict[int, FloatArray], picture: FloatArray, floors: Mapping[int, float]
    ) -> dict[int, FloatArray]:
        """What masks are cut from, (H, W) of each class.

        Args:
            maps: what `maps` gave.
            picture: (H, W, 3) in [0, 1].
            floors: of each class, the relevance that clean images have too.
        """

    def warm_up(self) -> None:
        """Do now what the first picture would wait for."""

    def with_composite(self, composite: str) -> "Model":
        """The same network explained by other rules.

        Raises:
            UsageError: the model is not explained by rules, or no such composite.
        """

    def describe(self, images: Tensor, k: int) -> str:
        """Layer by layer: the rule of each and what it kept of the relevance of class k, as a table.

        Raises:
            UsageError: the model is not explained by rules.
        """
