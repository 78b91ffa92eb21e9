"""Operators that are several others in one: the graph is opened up, so that each part has its own rule."""

import math
from collections.abc import Callable, Collection, Mapping
from typing import Any

import torch
from torch import Tensor

aten = torch.ops.aten


def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """Scaled dot-product attention as products and a softmax, as its documentation spells it out."""
    if enable_gqa:
        copies = query.shape[-3] // key.shape[-3]
        key, value = (part.repeat_interleave(copies, -3) for part in (key, value))
    scores = query @ key.transpose(-2, -1) * (1 / math.sqrt(query.shape[-1]) if scale is None else scale)
    if is_causal:
        attn_mask = scores.new_ones(scores.shape[-2:], dtype=torch.bool).tril()
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        scores = scores.masked_fill(~attn_mask, -math.inf)
    elif attn_mask is not None:
        scores = scores + attn_mask
    return scores.softmax(-1) @ value


def decompositions(known: Collection[object]) -> Mapping[Any, Callable[..., Any]]:
    """How to open up what is not `known`, as far as torch can."""
    opened = {
        target: parts
        for target, parts in torch.export.default_decompositions().items()
        if target not in known
    }
    return {**opened, aten.scaled_dot_product_attention.default: attention}
