"""Pictures as tensors of the size that a network takes."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from relmask.arrays import FloatArray


def to_tensor(picture: FloatArray, size: int | None = None) -> Tensor:
    """Picture (H, W, 3) as (3, size, size), or (3, H, W) where size is None; antialiased, range kept."""
    tensor = torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)
    if size is None or tensor.shape[1:] == (size, size):
        return tensor.contiguous()
    return functional.interpolate(
        tensor[None], size=(size, size), mode="bilinear", align_corners=False, antialias=True
    )[0]


def resize_map(values: Tensor, height: int, width: int) -> Tensor:
    """Maps (N, h, w) as (N, height, width), bilinearly; densities are kept, sums are not."""
    if values.shape[1:] == (height, width):
        return values
    resized = functional.interpolate(
        values[:, None], size=(height, width), mode="bilinear", align_corners=False, antialias=True
    )
    return resized[:, 0]
