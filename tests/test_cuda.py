"""What a GPU gives is what the CPU gives. Skipped where there is none."""

from pathlib import Path

import numpy as np
import pytest
import torch

import relmask
from relmask.data.index import read_index
from relmask.inference.run import Run
from relmask.lrp import compile
from relmask.training.distil import distil
from relmask.training.train import train
from tests.effort import LITTLE
from tests.lrp.architectures import example, network

pytestmark = [
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here"),
    pytest.mark.usefixtures("full_precision"),
]
COMPOSITES = ["relmask", "epsilon_plus", "epsilon_alpha2_beta1"]


@pytest.fixture
def full_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    """No convolution is rounded to TF32."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


@pytest.mark.parametrize("composite", COMPOSITES)
@pytest.mark.parametrize("name", ["vgg", "resnet", "mobilenet v3", "convnext", "u-net", "volume"])
def test_relevance_is_that_of_the_cpu(name: str, composite: str) -> None:
    model, images = network(name).double(), example(name).double()
    expected = compile(model, images, composite)(images, 0)
    on_gpu = compile(model.cuda(), images.cuda(), composite)(images.cuda(), 0)
    for got, wanted in zip(on_gpu, expected, strict=True):
        assert got.is_cuda
        torch.testing.assert_close(got.cpu(), wanted, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("composite", COMPOSITES)
def test_bfloat16_and_channels_last_give_nearly_the_same_map(composite: str) -> None:
    model, images = network("vgg").float().cuda(), example("vgg").float().cuda()
    expected = compile(model, images, composite)(images, 0)[1]
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    images = images.contiguous(memory_format=torch.channels_last)
    explainer = compile(model, images, composite)
    relevance = explainer(images, 0)[1]
    assert relevance.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(relevance, expected, rtol=1e-3, atol=1e-6)
    with torch.autocast("cuda", dtype=torch.bfloat16), torch.inference_mode():
        rounded = explainer(images, 0)[1]
    pair = torch.stack((rounded.float().flatten(), expected.flatten()))
    assert float(torch.corrcoef(pair)[0, 1]) > 0.98


@pytest.fixture
def run(parts: Path, narrow_weights: Path, tmp_path: Path) -> Run:
    """Trained on the GPU."""
    return train(
        parts,
        tmp_path / "run",
        backbone="vgg-narrow",
        weights=narrow_weights,
        size=32,
        epochs=2,
        false_alarms=0.4,
        device="cuda",
        effort=LITTLE,
    )


def test_a_run_of_the_gpu_says_the_same_on_the_cpu(parts: Path, run: Run) -> None:
    assert run.model.device.type == "cuda"
    there = relmask.load(run.path, device="cpu")
    for sample in read_index(parts).part("test"):
        picture = run.read(sample.path)
        found, expected = (each.segmenter.segment_images([picture])[0] for each in (run, there))
        np.testing.assert_allclose(list(found.scores.values()), list(expected.scores.values()), atol=1e-3)
        assert np.mean(found.mask != expected.mask) < 0.01


def test_a_student_learns_on_the_gpu(parts: Path, run: Run, tmp_path: Path) -> None:
    student = distil(run, parts, tmp_path / "student", epochs=1, device="cuda", effort=LITTLE)
    assert student.model.device.type == "cuda"
    assert student.metadata.calibration is not None
