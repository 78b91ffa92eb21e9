"""A run as an auto-annotation function of CVAT's SDK and command line (docs.cvat.ai, "Auto-annotation API").

    cvat-cli task auto-annotate 12 --function-module relmask.serve.cvat -p run=str:path/to/run

The task needs the run's classes as labels, each with the number attribute `score`, as in the labels.json that
`relmask convert --to cvat` writes; without the attribute, add --allow-unmatched-labels. `pip install
'relmask[cvat]'` brings CVAT's SDK.
"""

from collections.abc import Iterator

import cvat_sdk.auto_annotation as cvataa
from cvat_sdk import models
from cvat_sdk.attributes import attribute_vals_from_dict, number_attribute_values
from PIL import Image

from relmask.data.decoding import pixels_of
from relmask.data.reading import scaled
from relmask.formats.annotation import Region, parts
from relmask.formats.cvat import SCORE, percent
from relmask.formats.polygons import without_holes
from relmask.formats.runs import counts
from relmask.inference.run import Run, load

_SCORE_ID = 0


class Function:
    """What CVAT calls: `spec` says what a run finds, `detect` finds it in a picture."""

    def __init__(self, run: Run) -> None:
        self._run = run

    @property
    def spec(self) -> cvataa.DetectionFunctionSpec:
        """The run's classes as labels, with the probability of the class in percent as an attribute."""
        score = cvataa.number_attribute_spec(SCORE, _SCORE_ID, number_attribute_values(0, 100))
        classes = self._run.segmenter.classes
        return cvataa.DetectionFunctionSpec(
            labels=[cvataa.label_spec(name, k, attributes=[score]) for k, name in enumerate(classes)]
        )

    def detect(
        self, context: cvataa.DetectionFunctionContext, image: Image.Image
    ) -> list[models.LabeledShapeRequest]:
        """Masks, one a connected part, of the classes that are probable enough; or polygons, where CVAT asks.

        Polygons have no holes: a part with holes becomes several.
        """
        segmenter = self._run.segmenter
        picture = scaled(pixels_of(image), segmenter.intensity)
        (found,) = segmenter.segment_images([picture])
        least = context.conf_threshold or 0
        return [
            shape
            for region in parts(found.mask, segmenter.classes)
            if found.scores[region.label] >= least
            for shape in self._shapes(region, found.scores[region.label], context.conv_mask_to_poly)
        ]

    def _shapes(self, region: Region, score: float, polygons: bool) -> Iterator[models.LabeledShapeRequest]:
        label = self._run.segmenter.classes.index(region.label)
        height, width = region.inside.shape
        if polygons:
            for loop in without_holes(region.inside):
                corners = [
                    float(value) for x, y in loop.tolist() for value in (x + region.left, y + region.top)
                ]
                yield cvataa.polygon(label, corners, attributes=_scored(score))
        else:
            box = [region.left, region.top, region.left + width - 1, region.top + height - 1]
            runs = counts(region.inside, (height, width)).tolist()
            points = [float(value) for value in (*runs, *box)]
            yield cvataa.mask(label, points, attributes=_scored(score))


def _scored(score: float) -> list[models.AttributeValRequest]:
    found: list[models.AttributeValRequest] = attribute_vals_from_dict({_SCORE_ID: percent(score)})
    return found


def create(run: str, device: str = "auto", batch_size: int = 8) -> Function:
    """The function of a run; CVAT calls this with what stands behind `-p`.

    Args:
        run: folder that `relmask train` wrote.
        device: auto, cpu, cuda or another that torch knows.
        batch_size: windows at once.

    Raises:
        RunError: not a run, damaged, or without thresholds.
        UsageError: no such device.
    """
    return Function(load(run, device=device, batch_size=batch_size))
