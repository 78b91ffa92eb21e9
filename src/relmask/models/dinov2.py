"""DINOv2 (Oquab et al. 2023): a vision transformer that was trained without labels, on patches of 14 pixels.

Attention keeps query, key and value apart, as Hugging Face's files do; Meta's files, which stack them, are
taken apart by `translate`.
"""

import re
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from relmask.errors import UsageError
from relmask.models.trunk import Backbone

PATCH = 14
"""Side of a patch in pixels."""
TRAINED = 37
"""Patches along a side of the images that it was trained on last, 518 px: so many positions are learned."""

HUGGING_FACE = (
    (r"^(dinov2|backbone)\.", ""),
    (r"^embeddings\.cls_token$", "class_token"),
    (r"^embeddings\.position_embeddings$", "positions"),
    (r"^embeddings\.patch_embeddings\.projection\.", "patches."),
    (r"^encoder\.layer\.(\d+)\.", r"blocks.\1."),
    (r"\.attention\.attention\.", ".attention."),
    (r"\.attention\.output\.dense\.", ".attention.output."),
    (r"\.layer_scale([12])\.lambda1$", r".scale\1"),
    (r"\.mlp\.(fc[12])\.", r".\1."),
    (r"^layernorm\.", "norm."),
    (r"^classifier\.", "head."),
)
"""Patterns in Hugging Face's names (`Dinov2Model`, `Dinov2ForImageClassification`), and names here."""
META = (
    (r"^backbone\.", ""),
    (r"^cls_token$", "class_token"),
    (r"^pos_embed$", "positions"),
    (r"^patch_embed\.proj\.", "patches."),
    (r"\.attn\.proj\.", ".attention.output."),
    (r"\.ls([12])\.gamma$", r".scale\1"),
    (r"\.mlp\.(fc[12])\.", r".\1."),
    (r"^linear_head\.", "head."),
)
"""Patterns in Meta's names, which timm has as well, and names here."""
STACKED = ".attn.qkv."
"""In Meta's names: query, key and value, one below the other."""
UNUSED = ("embeddings.mask_token", "mask_token")
"""Ends of names of what only its training reads."""


class Attention(nn.Module):
    """Self-attention with several heads."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.output = (nn.Linear(width, width) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        """Tokens (N, T, C) to tokens (N, T, C)."""
        query, key, value = (
            part(x).unflatten(2, (self.heads, -1)).transpose(1, 2)
            for part in (self.query, self.key, self.value)
        )
        mixed = functional.scaled_dot_product_attention(query, key, value)
        output: Tensor = self.output(mixed.transpose(1, 2).flatten(2))
        return output


class Block(nn.Module):
    """Attention and a perceptron, each behind a norm and added to its input by a learned scale."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attention = Attention(width, heads)
        self.scale1 = nn.Parameter(torch.ones(width))
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)
        self.scale2 = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """Tokens (N, T, C) to tokens (N, T, C)."""
        x = x + self.attention(self.norm1(x)) * self.scale1
        added: Tensor = self.fc2(functional.gelu(self.fc1(self.norm2(x)))) * self.scale2
        return x + added


class DinoV2(Backbone):
    """Patches, positions and blocks of a vision transformer; the size of ViT-S/14 by default.

    A block's output is that of its patches as a map, behind the last norm, as both sources give intermediate
    layers; the class token stays inside. Whole, a linear layer reads the class token and the mean patch.
    """

    size = 448
    multiple = PATCH
    margin = 0  # nothing is padded with zeros

    def __init__(
        self,
        classes: int = 1000,
        deepest: int | None = None,
        *,
        width: int = 384,
        heads: int = 6,
        depth: int = 12,
    ) -> None:
        """Build all of it, or up to block `deepest` and without the head."""
        super().__init__((width,) * depth, (PATCH,) * depth)
        self.class_token = nn.Parameter(torch.zeros(1, 1, width))
        self.positions = nn.Parameter(torch.zeros(1, 1 + TRAINED**2, width))
        self.patches = nn.Conv2d(3, width, PATCH, stride=PATCH)
        built = depth if deepest is None else deepest + 1
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(built))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        if deepest is None:
            self.head = nn.Linear(2 * width, classes)
        self.initialise()

    @torch.no_grad()
    def initialise(self) -> None:
        """Truncated normal weights, as vision transformers are trained from scratch."""
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Conv2d) and module.bias is not None:
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)
        for tokens in (self.class_token, self.positions):
            nn.init.trunc_normal_(tokens, std=0.02)

    def maps(self, x: Tensor) -> Iterator[Tensor]:
        """Output (N, C, H / 14, W / 14) of each block that is built.

        Raises:
            UsageError: a side that is no multiple of 14.
        """
        grid = self._grid(x)
        for tokens in self._tokens(x, grid):
            yield self.norm(tokens)[:, 1:].transpose(1, 2).unflatten(2, grid)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, classes) of normalised images (N, 3, H, W), whose sides are multiples of 14.

        Raises:
            UsageError: a side that is not.
        """
        *_, tokens = self._tokens(x, self._grid(x))
        tokens = self.norm(tokens)
        logits: Tensor = self.head(torch.cat((tokens[:, 0], tokens[:, 1:].mean(1)), dim=1))
        return logits

    def _tokens(self, x: Tensor, grid: tuple[int, int]) -> Iterator[Tensor]:
        """Tokens (N, 1 + h * w, C) behind each block, the class token first."""
        first, rest = self._positions(grid)
        patches = self.patches(x).flatten(2).transpose(1, 2) + rest
        x = torch.cat(((self.class_token + first).expand(x.shape[0], -1, -1), patches), dim=1)
        for block in self.blocks:
            x = block(x)
            yield x

    def _positions(self, grid: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """What position adds to the class token (1, 1, C), and to the patches of a grid (1, h * w, C)."""
        first, rest = self.positions[:, :1], self.positions[:, 1:]
        square = rest.transpose(1, 2).unflatten(2, (TRAINED, TRAINED))
        resized = functional.interpolate(square, size=grid, mode="bicubic", align_corners=False)
        return first, resized.flatten(2).transpose(1, 2)

    @staticmethod
    def _grid(x: Tensor) -> tuple[int, int]:
        height, width = x.shape[2:]
        if height % PATCH or width % PATCH:
            raise UsageError(
                f"DINOv2 sees patches of {PATCH} x {PATCH} px, and an image of {height} x {width} px is not "
                f"made of whole ones. Choose sides that are multiples of {PATCH}, like {DinoV2.size}."
            )
        return height // PATCH, width // PATCH


def translate(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights in Hugging Face's or Meta's naming under the names here; those here stay as they are."""
    patterns = HUGGING_FACE if any("embeddings." in name for name in state) else META
    found: dict[str, Tensor] = {}
    for name, value in state.items():
        if name.endswith(UNUSED):
            continue
        for pattern, here in patterns:
            name = re.sub(pattern, here, name)
        if STACKED in name:
            for part, rows in zip(("query", "key", "value"), value.chunk(3), strict=True):
                found[name.replace(STACKED, f".attention.{part}.")] = rows
        else:
            found[name] = value
    return found
