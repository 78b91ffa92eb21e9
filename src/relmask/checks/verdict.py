"""What check.json holds, and the sentence over it."""

from collections.abc import Sequence

from pydantic import Field

from relmask.record import Record
from relmask.words import counted

ENOUGH = 8
"""Number of masks that a check judges by default. A short check of four has passed where eight failed."""


class Finding(Record):
    """One test."""

    name: str
    passed: bool | None = Field(description="None: it could not be made.")
    figure: float | None = None
    limit: float | None = None
    says: str = Field(description="In words.")


class Step(Record):
    """The masks without what some layers learned, against those of the whole model; means over pictures.

    Both masks are drawn by the same steps and have the same number of pixels.
    """

    redrawn: int = Field(description="Layers whose weights were redrawn, counted from the last.")
    layers: int = Field(description="Layers in all.")
    iou: float = Field(description="Of the masks.")
    rank_correlation: float = Field(description="Of all pixels of the maps behind the masks (Spearman).")


class Area(Record):
    """What a mask has beside plain relevance, in pixels of the model's input."""

    picture: str
    label: str
    mask: int = Field(description="Pixels of the mask.")
    added: int = Field(description="Pixels of it that Otsu's threshold of plain relevance does not cover.")
    independent: float = Field(
        description="Added pixels that are masked with each random head, too, less what chance alone meets."
    )


class Weights(Record):
    """Relevance of one picture against relevance that passed random weights on its way back."""

    picture: str
    label: str
    iou: float = Field(description="Of as many of the highest pixels as the mask has.")
    rank_correlation: float = Field(description="Of all pixels (Spearman).")


class Deletion(Record):
    """What inpainting does to the score of one picture, in logits."""

    picture: str
    label: str
    score: float
    without_mask: float = Field(description="The score once the mask is inpainted.")
    without_copies: tuple[float, ...] = Field(description="Once a moved copy of the mask is.")

    @property
    def beaten(self) -> bool:
        """Does it fall more than the copies make it fall on average?"""
        return self.without_mask < sum(self.without_copies) / len(self.without_copies)


class Check(Record):
    """The content of check.json."""

    passed: bool
    verdict: str
    findings: tuple[Finding, ...]
    cascade: tuple[Step, ...]
    areas: tuple[Area, ...] = ()
    weights: tuple[Weights, ...] = ()
    deletion: tuple[Deletion, ...]
    conserved: tuple[float, ...] = Field(description="Share of the evidence that arrived, per picture.")
    pictures: tuple[str, ...] = Field(description="Whose masks were judged.")
    labelled: int = Field(description="Pictures whose labels were compared with their scores.")
    seconds: float

    @property
    def failures(self) -> tuple[str, ...]:
        """What the tests that failed say."""
        return tuple(finding.says for finding in self.findings if finding.passed is False)


def in_words(findings: Sequence[Finding], masks: int) -> tuple[bool, str]:
    """Whether all passed, and why.

    Args:
        findings: of all tests.
        masks: number of masks that were judged. A verdict that rests on fewer than `ENOUGH` says so.
    """
    failed = [finding.says for finding in findings if finding.passed is False]
    open_ = [finding.name for finding in findings if finding.passed is None]
    if failed:
        return False, "The masks are no evidence of what the classifier learned. " + " ".join(failed)
    rest = f" Not tested: {', '.join(open_)}." if open_ else ""
    if masks < ENOUGH:
        rest += f" This rests on {counted(masks, 'mask')} alone: a check of more can still fail."
    return True, "The masks are evidence of what the classifier learned." + rest
