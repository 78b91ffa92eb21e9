"""A model whose relevance is known."""

import torch
from torch import Tensor, nn

from relmask.data.reading import Intensity
from relmask.inference.relevance import RelevanceModel
from relmask.masks.settings import MaskSettings
from relmask.models.bundle import Input


class Coloured(RelevanceModel):
    """What is red is relevant for the first class, what is green for the second; the logit is the most of it.

    Args:
        side: of the input, in pixels.
        windows: are larger pictures seen through windows?
        masks: how relevance becomes masks.
    """

    def __init__(self, side: int, *, windows: bool = False, masks: MaskSettings | None = None) -> None:
        spec = Input(
            size=side, windows=windows, mean=(0,) * 3, std=(1,) * 3, masks=masks, intensity=Intensity()
        )
        super().__init__(nn.Identity(), spec, torch.device("cpu"), batch_size=4)

    def logits(self, images: Tensor) -> Tensor:
        return images[:, :2].amax((2, 3))

    def relevance(self, images: Tensor, targets: Tensor) -> Tensor:
        return images[torch.arange(len(images)), targets]
