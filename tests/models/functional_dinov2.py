"""DINOv2 a second time: plain functions on a dictionary of weights in Hugging Face's naming.

With `attnlrp`, the gradient times the input is AttnLRP's relevance (Achtibat et al. 2024): the deviation of
a norm is a constant (section 3.3), an activation is a constant factor on its input, and each factor of a
product of two activations has half the gradient.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

Weights = dict[str, Tensor]


def random_weights(width: int, depth: int, classes: int | None = None, side: int = 37) -> Weights:
    """Weights under the names of Hugging Face's `Dinov2Model`, or of its classifier with some classes."""
    prefix = "" if classes is None else "dinov2."
    shapes = {
        "embeddings.cls_token": (1, 1, width),
        "embeddings.mask_token": (1, width),
        "embeddings.position_embeddings": (1, 1 + side**2, width),
        "embeddings.patch_embeddings.projection.weight": (width, 3, 14, 14),
        "embeddings.patch_embeddings.projection.bias": (width,),
    }
    for number in range(depth):
        layer = f"encoder.layer.{number}"
        for part in ("attention.attention.query", "attention.attention.key", "attention.attention.value"):
            shapes |= linear(f"{layer}.{part}", width, width)
        shapes |= linear(f"{layer}.attention.output.dense", width, width)
        shapes |= linear(f"{layer}.mlp.fc1", width, 4 * width) | linear(f"{layer}.mlp.fc2", 4 * width, width)
        for norm in ("norm1", "norm2"):
            shapes |= {f"{layer}.{norm}.weight": (width,), f"{layer}.{norm}.bias": (width,)}
        shapes |= {f"{layer}.layer_scale{which}.lambda1": (width,) for which in (1, 2)}
    shapes |= {"layernorm.weight": (width,), "layernorm.bias": (width,)}
    weights = {prefix + name: 0.2 * torch.randn(shape, dtype=torch.float64) for name, shape in shapes.items()}
    if classes is not None:
        head = {"classifier.weight": (classes, 2 * width), "classifier.bias": (classes,)}
        weights |= {name: torch.randn(shape, dtype=torch.float64) for name, shape in head.items()}
    return weights


def linear(name: str, inputs: int, outputs: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def in_metas_naming(weights: Weights) -> Weights:
    """The same weights as Meta's files have them: query, key and value stacked."""
    found = {}
    for name, value in weights.items():
        name = name.removeprefix("embeddings.").removeprefix("encoder.").replace("layer.", "blocks.")
        if ".query." in name:
            rows = [
                weights[f"encoder.{name}".replace("blocks.", "layer.").replace("query", part)]
                for part in ("query", "key", "value")
            ]
            found[name.replace("attention.attention.query", "attn.qkv")] = torch.cat(rows)
        elif ".key." not in name and ".value." not in name:
            for theirs, metas in (
                ("position_embeddings", "pos_embed"),
                ("patch_embeddings.projection", "patch_embed.proj"),
                ("attention.output.dense", "attn.proj"),
                ("layer_scale1.lambda1", "ls1.gamma"),
                ("layer_scale2.lambda1", "ls2.gamma"),
                ("layernorm", "norm"),
            ):
                name = name.replace(theirs, metas)
            found[name] = value
    return found


class FunctionalDinoV2:
    """The network of some weights.

    Args:
        weights: in Hugging Face's naming.
        heads: of its attention.
        attnlrp: give the gradients of AttnLRP, without changing any value.
    """

    def __init__(self, weights: Weights, heads: int, *, attnlrp: bool = False) -> None:
        self.weights = {name.removeprefix("dinov2."): value for name, value in weights.items()}
        self.heads = heads
        self.attnlrp = attnlrp
        self.depth = sum(name.endswith("layer_scale1.lambda1") for name in weights)

    def layers(self, images: Tensor) -> list[Tensor]:
        """Tokens (N, T, C) behind each layer and the last norm."""
        w = self.weights
        grid = [side // 14 for side in images.shape[2:]]
        patches = functional.conv2d(
            images,
            w["embeddings.patch_embeddings.projection.weight"],
            w["embeddings.patch_embeddings.projection.bias"],
            stride=14,
        )
        positions = w["embeddings.position_embeddings"]
        side = int((positions.shape[1] - 1) ** 0.5)
        square = positions[:, 1:].reshape(1, side, side, -1).permute(0, 3, 1, 2)
        square = functional.interpolate(square, size=grid, mode="bicubic", align_corners=False)
        rows = [w["embeddings.cls_token"][0].expand(len(images), 1, -1) + positions[:, :1]]
        rows += [(patches + square).flatten(2).transpose(1, 2)]
        x, found = torch.cat(rows, 1), []
        for number in range(self.depth):
            x = self.layer(x, f"encoder.layer.{number}")
            found.append(self.norm(x, "layernorm"))
        return found

    def logits(self, images: Tensor) -> Tensor:
        tokens = self.layers(images)[-1]
        return self.linear(torch.cat((tokens[:, 0], tokens[:, 1:].mean(1)), 1), "classifier")

    def layer(self, x: Tensor, name: str) -> Tensor:
        hidden = self.norm(x, f"{name}.norm1")
        q, k, v = (
            self.linear(hidden, f"{name}.attention.attention.{part}").chunk(self.heads, -1)
            for part in ("query", "key", "value")
        )
        heads = []
        for query, key, value in zip(q, k, v, strict=True):
            scores = self.product(query, key.mT) / query.shape[-1] ** 0.5
            heads.append(self.product(scores.softmax(-1), value))
        mixed = self.linear(torch.cat(heads, -1), f"{name}.attention.output.dense")
        x = x + mixed * self.weights[f"{name}.layer_scale1.lambda1"]
        hidden = self.linear(self.norm(x, f"{name}.norm2"), f"{name}.mlp.fc1")
        active = hidden * torch.special.ndtr(hidden)
        if self.attnlrp:
            active = hidden * (active / hidden).detach()
        return x + self.linear(active, f"{name}.mlp.fc2") * self.weights[f"{name}.layer_scale2.lambda1"]

    def linear(self, x: Tensor, name: str) -> Tensor:
        return x @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]

    def norm(self, x: Tensor, name: str) -> Tensor:
        centred = x - x.mean(-1, keepdim=True)
        deviation = (centred.square().mean(-1, keepdim=True) + 1e-6).sqrt()
        if self.attnlrp:
            deviation = deviation.detach()
        return centred / deviation * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]

    def product(self, a: Tensor, b: Tensor, of: Callable[[Tensor, Tensor], Tensor] = torch.matmul) -> Tensor:
        if not self.attnlrp:
            return of(a, b)
        return (of(a, b.detach()) + of(a.detach(), b)) / 2
