"""Pictures for a page: what was found in them, small, and a gallery with a slider from view to view."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from relmask.masks.colours import class_colours
from relmask.report.html import Section, legend
from relmask.report.overlays import (
    FloatArray,
    LabelArray,
    Pixels,
    data_uri,
    fitted,
    overlay,
    painted,
)

LONGEST = 320
"""Pixels of the longer side of a picture on a page."""


@dataclass(frozen=True, slots=True)
class Shot:
    """A picture with what was found in it, no larger than LONGEST.

    Attributes:
        image: (h, w, 3).
        relevance: (h, w) in logits a pixel, or a student's probabilities; None where it was not computed.
        mask: (h, w), 0 = background, k = k-th class.
        truth: likewise; None where nobody drew it.
    """

    image: Pixels
    relevance: NDArray[np.float32] | None
    mask: LabelArray
    truth: LabelArray | None = None

    @classmethod
    def of(
        cls,
        image: FloatArray,
        relevance: FloatArray | None,
        mask: LabelArray,
        truth: LabelArray | None = None,
    ) -> Self:
        """Make a picture (H, W, 3) in [0, 1] and its maps (H, W) small; thin parts of masks stay visible."""
        small = fitted(np.round(image * 255).clip(0, 255).astype(np.uint8), LONGEST)
        size = small.shape[:2]
        return cls(
            small,
            None if relevance is None else _averaged(relevance, size),
            _thickened(mask, size),
            None if truth is None else _thickened(truth, size),
        )

    def views(self, limit: float) -> dict[str, Pixels]:
        """The picture, its relevance with `limit` in full colour, its mask, and the true one if known."""
        image = self.image.astype(np.float32) / 255
        found = {
            "picture": self.image,
            "relevance": overlay(image, self.relevance, limit),
            "mask": painted(image, self.mask),
        }
        return found if self.truth is None else {**found, "true mask": painted(image, self.truth)}


def limit(shots: Sequence[Shot]) -> float:
    """Value of a heatmap to show in full colour, one for all shots: 0.5 % of their pixels exceed it."""
    maps = [shot.relevance.ravel() for shot in shots if shot.relevance is not None]
    return max(1e-12, float(np.quantile(np.abs(np.concatenate(maps)), 0.995))) if maps else 1.0


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture of a gallery.

    Attributes:
        name: of the picture.
        views: pictures (h, w, 3) of one size by name; the slider goes from the first to the last.
        tags: short remarks, each good, bad or neither.
    """

    name: str
    views: Mapping[str, Pixels]
    tags: Sequence[tuple[str, Literal["good", "bad", ""]]] = ()


def colours(classes: Sequence[str]) -> dict[str, list[int]]:
    """Class to the colour that its masks have, red, green and blue."""
    return dict(zip(classes, class_colours(len(classes))[1:].tolist(), strict=True))


def how_to_read(classes: Sequence[str], full: float) -> Section:
    """The colours of masks and of heatmaps, whose values are in full colour from `full` on."""
    note = (
        f"Heatmap: red pixels speak for a defect, blue pixels against it; full colour is {full:.2g} logits a "
        "pixel, or that probability where the run is a student."
    )
    return legend("How to read the pictures", colours(classes), note=note)


def gallery(title: str, pictures: Sequence[Picture], *, note: str = "", aside: bool = False) -> Section:
    """Pictures whose views lie beside each other or, where scripts run, over each other with a slider.

    Args:
        title: of the section.
        pictures: in their order; each view becomes a JPEG within the page.
        note: a sentence above them.
        aside: begin with the views beside each other.
    """
    names = list(dict.fromkeys(name for picture in pictures for name in picture.views))
    shots = "".join(_figure(picture, names) for picture in pictures)
    stops = "".join(f'<button type="button">{escape(name)}</button>' for name in names)
    under = f"<p class=note>{escape(note)}</p>" if note else ""
    return Section(
        title,
        f'{under}<div class="gallery"><div class="tools" hidden>'
        f'<input type="range" min="0" max="{len(names) - 1}" step="0.1" value="0" '
        f'aria-label="{escape(title)}: what the pictures show"><div class="stops">{stops}</div>'
        f'<label><input type="checkbox"{" checked" if aside else ""}> side by side</label></div>'
        f'<div class="shots">{shots}</div></div>',
    )


def _figure(picture: Picture, names: Sequence[str]) -> str:
    views = "".join(
        f'<div class="view" data-stop="{names.index(name)}">'
        f'<img decoding="async" alt="{escape(name)} of {escape(picture.name)}" '
        f'src="{data_uri(image)}" width="{image.shape[1]}" height="{image.shape[0]}">'
        f'<span aria-hidden="true">{escape(name)}</span></div>'
        for name, image in picture.views.items()
    )
    tags = "".join(f'<span class="tag {kind}">{escape(text)}</span>' for text, kind in picture.tags)
    return (
        f'<figure class="shot"><div class="views">{views}</div>'
        f"<figcaption><b>{escape(picture.name)}</b><br>{tags}</figcaption></figure>"
    )


def _averaged(values: FloatArray, size: tuple[int, int]) -> NDArray[np.float32]:
    small = Image.fromarray(np.asarray(values, np.float32))
    return np.asarray(small.resize((size[1], size[0]), Image.Resampling.BOX), np.float32)


def _thickened(mask: LabelArray, size: tuple[int, int]) -> LabelArray:
    """Mask (H, W) at a smaller size; a pixel has the highest value of those that it covers."""
    rows, columns = (np.arange(small) * full // small for small, full in zip(size, mask.shape, strict=True))
    found: LabelArray = np.maximum.reduceat(np.maximum.reduceat(mask, rows, axis=0), columns, axis=1)
    return found
