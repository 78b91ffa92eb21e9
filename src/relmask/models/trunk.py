"""The part of a backbone that features are read from."""

from torch import Tensor, nn

Triple = tuple[float, float, float]


class Trunk(nn.Module):
    """A backbone up to its deepest tap; nothing deeper is built or computed.

    `forward` takes images (N, 3, H, W) in [0, 1], normalised as `(image - mean) / std`, and gives one
    (N, channels[i], H / strides[i], W / strides[i]) per tap, shallow to deep, sizes rounded up or down
    as the backbone does.

    Attributes:
        taps: indices of the tapped blocks, from 0.
        channels: of each tap.
        strides: pixels of the image a place of each tap.
        mean: of the backbone's training images, a channel.
        std: likewise.
    """

    def __init__(
        self,
        taps: tuple[int, ...],
        channels: tuple[int, ...],
        strides: tuple[int, ...],
        mean: Triple,
        std: Triple,
    ) -> None:
        super().__init__()
        if not taps or list(taps) != sorted(set(taps)) or not 0 <= taps[0] <= taps[-1] < len(channels):
            raise ValueError(f"taps must be rising block indices from 0 to {len(channels) - 1}, got {taps}")
        self.taps = taps
        self.channels = tuple(channels[tap] for tap in taps)
        self.strides = tuple(strides[tap] for tap in taps)
        self.mean = mean
        self.std = std

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """One feature map a tap, shallow to deep."""
        raise NotImplementedError
