import numpy as np
import torch

from relmask.data.reading import Intensity
from relmask.inference.segmentation import SegmentationModel
from relmask.models.bundle import Input
from relmask.models.unet import image_logits, unet


def test_a_segmenter_gives_the_maps_of_all_classes_from_one_look() -> None:
    torch.manual_seed(0)
    network = unet("vgg-narrow", 3).eval()
    spec = Input(size=32, windows=True, mean=(0, 0, 0), std=(1, 1, 1), sigma=0, intensity=Intensity())
    reader = SegmentationModel(network, spec, "", torch.device("cpu"), batch_size=2)
    picture = np.random.default_rng(0).random((48, 40, 3)).astype(np.float32)
    images, places = reader.cut(picture)
    passing = np.ones((len(images), 3), bool)
    passing[0, 1] = passing[:, 2] = False
    seen: list[int] = []
    network.register_forward_hook(lambda _module, inputs, _output: seen.append(len(inputs[0])))
    found = reader.maps(picture, images, places, passing)
    assert sum(seen) == len(reader.mirrors) * len(images)
    assert list(found) == [0, 1]
    for k, values in found.items():
        np.testing.assert_allclose(
            values, reader.explain(picture, images, places, k, passing[:, k]), atol=1e-6
        )
    assert reader.logits(images).shape == image_logits(network(images)).shape
