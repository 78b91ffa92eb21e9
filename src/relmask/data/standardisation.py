"""The light of a picture taken off it, for networks that would learn it by heart."""

from torch import Tensor

FLOOR = 0.02
"""Spread that is added to a picture's own, so that the noise of an even picture stays small."""


def standardised(images: Tensor) -> Tensor:
    """Take the mean of each channel off each picture, and divide by its standard deviation.

    A picture sees nothing of the others in its batch. What covers all of a picture evenly is lost: a darker
    picture, or one of another colour, looks like any other.

    Args:
        images: (N, C, H, W) in [0, 1]; left as they are.

    Returns:
        (N, C, H, W), no value further than 1 / `FLOOR` from 0.

    Example:
        >>> import torch
        >>> standardised(torch.tensor([[[[0.48, 0.52]]]]))
        tensor([[[[-0.5000,  0.5000]]]])
    """
    centred = images - images.mean((2, 3), keepdim=True)
    spread = centred.square().mean((2, 3), keepdim=True).sqrt()
    return centred / (spread + FLOOR)
