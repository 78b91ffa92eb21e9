"""Where a training computes, and in which precision."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch

from relmask.errors import UsageError

PRECISIONS: Mapping[str, torch.dtype | None] = {"32-true": None, "bf16-mixed": torch.bfloat16}
"""Type in which a training's large products are computed, by name; weights are float32 in any case."""


@dataclass(frozen=True)
class Arithmetic:
    """Where a training computes, and in which precision.

    Attributes:
        device: device that the network is on.
        dtype: type of the large products; None: float32.
    """

    device: torch.device
    dtype: torch.dtype | None = None

    def autocast(self) -> AbstractContextManager[object]:
        """The context in which logits and losses are computed."""
        return torch.autocast(self.device.type, self.dtype or torch.bfloat16, enabled=self.dtype is not None)


def arithmetic_of(device: torch.device, precision: str) -> Arithmetic:
    """The arithmetic of a device and a key of `PRECISIONS`.

    Raises:
        UsageError: no such precision.
    """
    if precision not in PRECISIONS:
        raise UsageError(f"No precision {precision!r}. There are: {', '.join(PRECISIONS)}.")
    return Arithmetic(device, PRECISIONS[precision])
