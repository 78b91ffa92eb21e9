"""A classifier and its explanation as one ONNX graph."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from relmask.lrp import Explainer, compile
from relmask.lrp.composites import epsilon_gamma_box, named


class Network(nn.Module):
    """Batch norm, a residual sum, pooling, a linear head."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2)
        )
        self.body = nn.Sequential(nn.Conv2d(6, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 6, 1))
        self.head = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        logits: Tensor = self.head(torch.relu(x + self.body(x)).mean((2, 3)))
        return logits


class OfClass(nn.Module):
    """The explanation of class 1."""

    def __init__(self, explainer: Explainer) -> None:
        super().__init__()
        self.explainer = explainer

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        logits, relevance = self.explainer(images, 1)
        return logits, relevance


def run_onnx(path: Path, images: Tensor) -> Sequence[np.ndarray]:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    outputs: Sequence[np.ndarray] = session.run(None, {session.get_inputs()[0].name: images.numpy()})
    return outputs


@pytest.mark.parametrize(
    "composite",
    [named("epsilon_plus"), named("epsilon_alpha2_beta1"), epsilon_gamma_box(0.0, 1.0), named("relmask")],
    ids=lambda composite: composite.name,
)
def test_onnx_runtime_gives_the_same_logits_and_relevance_for_any_batch(
    composite: object, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    explainer = compile(Network().eval(), torch.rand(2, 3, 16, 12), composite)  # type: ignore[arg-type]
    path = tmp_path / "explainer.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own
        exported = torch.onnx.export(
            OfClass(explainer),
            (torch.rand(2, 3, 16, 12),),
            dynamo=True,
            verbose=False,
            dynamic_shapes=({0: torch.export.Dim.DYNAMIC},),
        )
        assert exported is not None
        exported.save(path)
    for count in (2, 5):
        images = torch.rand(count, 3, 16, 12)
        logits, relevance = (torch.from_numpy(output) for output in run_onnx(path, images))
        expected = explainer(images, 1)
        torch.testing.assert_close(logits, expected[0], rtol=1e-4, atol=1e-5)
        scale = float(expected[1].abs().max())
        torch.testing.assert_close(relevance, expected[1], rtol=1e-4, atol=1e-4 * scale)
