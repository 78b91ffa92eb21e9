"""A picture beside its relevance, as a PNG file."""

from pathlib import Path

import numpy as np
from PIL import Image

from relmask.arrays import FloatArray
from relmask.files import whole
from relmask.report import overlay, panel


def write_heatmap(path: Path, image: FloatArray, relevance: FloatArray, full_scale: float) -> None:
    """Write a picture (H, W, 3) in [0, 1] beside its relevance (H, W); `full_scale` is drawn in full colour.

    Raises:
        UnwritableName: the file cannot have this name.
        OutError: it cannot be written for another reason.
    """
    plain = np.rint(image * 255).astype(np.uint8)
    with whole(path) as part:
        Image.fromarray(panel([plain, overlay(image, relevance, full_scale)])).save(part, format="PNG")
