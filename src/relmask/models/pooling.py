"""From a map of scores to one score an image, looking first where the image is unlike clean ones."""

import torch
from torch import Tensor, nn


class GuidedPooling(nn.Module):
    """Pool s_c = sum_p w_cp m_cp with w_c = softmax_p(r_c m_c + lambda n).

    A learned mix between mean (r = 0) and max (r large): small defects want max-like pooling, large ones
    mean-like. The weights are a gate: they say where the score is read, and receive no relevance.
    """

    def __init__(self, classes: int, guidance: float = 1.0, sharpness: float = 0.3) -> None:
        super().__init__()
        self._begin = (sharpness, guidance)
        self.sharpness = nn.Parameter(torch.empty(classes))
        self.guidance = nn.Parameter(torch.empty(classes), requires_grad=guidance > 0)
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Begin again with the sharpness and the guidance that the pooling was made with."""
        self.sharpness.fill_(self._begin[0])
        self.guidance.fill_(self._begin[1])

    def forward(self, scores: Tensor, novelty: Tensor | None) -> Tensor:
        """Logits (N, K) of score maps (N, K, h, w) and novelty (N, 1 or K, h, w), None for no guidance."""
        return (self.weights(scores, novelty) * scores.flatten(2)).sum(2)

    def weights(self, scores: Tensor, novelty: Tensor | None) -> Tensor:
        """Share of each location in the score of its image: (N, K, h * w), summing to 1 over locations."""
        attention = self.sharpness[:, None, None] * scores
        if novelty is not None:
            attention = attention + self.guidance[:, None, None] * novelty
        return attention.flatten(2).softmax(2)
