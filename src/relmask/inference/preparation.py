"""How a picture becomes a model's input: normalised, and resized or cut into windows."""

import numpy as np
import torch
from torch import Tensor

from relmask.arrays import FloatArray
from relmask.data.resizing import to_tensor
from relmask.data.standardisation import standardised
from relmask.data.tiles import Window, windows
from relmask.inference.forks import entered
from relmask.models.bundle import Input


class Preparation:
    """How a picture becomes a model's input.

    Args:
        spec: size, windows and normalisation.
        device: where the model runs.
    """

    def __init__(self, spec: Input, device: torch.device) -> None:
        self.spec = spec
        self.device = device
        self._mean = torch.tensor(spec.mean, device=device).view(3, 1, 1)
        self._std = torch.tensor(spec.std, device=device).view(3, 1, 1)

    def normalise(self, images: Tensor) -> Tensor:
        """Images (N, 3, H, W) in [0, 1], normalised as the network expects them; every use of it begins here.

        Raises:
            ForkError: in a forked process whose parent had used relmask in another thread.
        """
        entered()
        if self.spec.standardised:
            return standardised(images)
        return (images - self._mean) / self._std

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
