"""Does a mask change when layers lose what they learned (Adebayo et al. 2018)?

Only weights are redrawn. Every other step from image to mask is taken as for the mask of the run, whatever
the score: a gate that a random head does not pass would end the comparison before it began. As many pixels
are taken as the mask has, so that nothing but their place is compared.
"""

from collections.abc import Sequence

import numpy as np

from relmask.arrays import FloatingArray
from relmask.checks.likeness import highest, overlap, rank_correlation
from relmask.checks.subjects import Judged, Subject
from relmask.checks.verdict import Area, Finding, Step
from relmask.progress import Progress

DEPENDS = 0.7
"""Highest IoU of a mask with that of a model that forgot. Trained runs had 0.05 to 0.5, edges have 1."""
HEADS = 2
"""Random heads that all have to mask a pixel that does without labels: one may meet a defect by chance."""
TRIES = 4
"""Redrawn models that are tried until one has evidence in a picture: without any there is no mask."""
ADDED = 0.1
"""Share of a class's masks that is added to plain relevance from which on the added area is judged."""
INDEPENDENT = 0.5
"""Largest share of the added area that may be there whatever the head learned: most of it must not."""


def randomised(
    subject: Subject, judged: Sequence[Judged], stages: int, seed: int, progress: Progress
) -> tuple[tuple[Step, ...], tuple[Area, ...]]:
    """Compare masks with those of ever more random models; nothing without any mask.

    Args:
        subject: what drew the masks.
        judged: the masks.
        stages: how often to redraw layers: the head, ever more of the rest, at last all; at least 2.
        seed: of the new weights; each mask gets its own.
        progress: called after every mask.
    """
    counts = sorted({round(value) for value in np.linspace(subject.head, subject.layers, stages)})
    steps = np.zeros((len(judged), len(counts), 2))
    areas = []
    for number, one in enumerate(judged):
        seeds = range(seed + TRIES * number, seed + TRIES * (number + 1))
        heads = _redrawn(subject, one, counts[0], seeds, HEADS if one.drawn.added.any() else 1)
        deeper = [_redrawn(subject, one, count, seeds, 1) for count in counts[1:]]
        steps[number] = [np.mean([_compared(one, other) for other in maps], 0) for maps in (heads, *deeper)]
        if one.drawn.plain is not None:
            areas.append(_area(one, heads))
        progress("randomising layers", number + 1, len(judged))
    if not judged:
        return (), ()
    means = zip(counts, steps.mean(axis=0).tolist(), strict=True)
    return (
        tuple(
            Step(redrawn=count, layers=subject.layers, iou=iou, rank_correlation=rank)
            for count, (iou, rank) in means
        ),
        tuple(areas),
    )


def dependence(steps: Sequence[Step]) -> tuple[Finding, Finding]:
    """Do masks depend on what the head, and what all layers learned?"""
    if not steps:
        none = "There is no mask to judge."
        return Finding(name="head", passed=None, says=none), Finding(name="layers", passed=None, says=none)
    head, layers = steps[0].iou, steps[-1].iou
    return (
        Finding(
            name="head",
            passed=head <= DEPENDS,
            figure=head,
            limit=DEPENDS,
            says=f"With a random head, masks overlap those of the run with an IoU of {head:.2f} "
            f"(at most {DEPENDS}).",
        ),
        Finding(
            name="layers",
            passed=layers <= DEPENDS,
            figure=layers,
            limit=DEPENDS,
            says=f"With all layers random, the IoU is {layers:.2f} (at most {DEPENDS}).",
        ),
    )


def added_area(areas: Sequence[Area]) -> Finding:
    """Does what was added to plain relevance depend on what the head learned, in each class?"""
    if not areas:
        return Finding(name="area", passed=None, says="There is no mask that relevance made.")
    found = [_class_area(label, areas) for label in sorted({area.label for area in areas})]
    judged = [one for one in found if one.added > ADDED * one.mask]
    if not judged:
        return Finding(
            name="area",
            passed=True,
            figure=0.0,
            limit=INDEPENDENT,
            says="Plain relevance covers the masks: there is no added area that could do without labels.",
        )
    worst = max(judged, key=lambda one: one.independent / one.added)
    figure = worst.independent / worst.added
    return Finding(
        name="area",
        passed=figure <= INDEPENDENT,
        figure=figure,
        limit=INDEPENDENT,
        says=f"Plain relevance covers {1 - worst.added / worst.mask:.0%} of the masks of {worst.label}; of "
        f"the added area {figure:.0%} is masked with random heads, too (at most {INDEPENDENT:.0%}).",
    )


def _class_area(label: str, areas: Sequence[Area]) -> Area:
    own = [area for area in areas if area.label == label]
    return Area(
        picture="",
        label=label,
        mask=sum(area.mask for area in own),
        added=sum(area.added for area in own),
        independent=sum(area.independent for area in own),
    )


def _redrawn(
    subject: Subject, one: Judged, count: int, seeds: Sequence[int], wanted: int
) -> list[FloatingArray]:
    """Maps of so many models that have evidence in the picture, as far as there are, else one without."""
    maps: list[FloatingArray] = []
    for seed in seeds:
        maps.append(subject.redrawn(one.image, one.k, count, seed))
        found = [values for values in maps if values.max() > 0]
        if len(found) == wanted:
            break
    return found or maps[:1]


def _compared(one: Judged, other: FloatingArray) -> tuple[float, float]:
    mask = one.drawn.mask
    alike = overlap(mask, highest(other, int(mask.sum())))
    return alike, rank_correlation(one.drawn.map, other)


def _area(one: Judged, heads: Sequence[FloatingArray]) -> Area:
    added, pixels = one.drawn.added, int(one.drawn.mask.sum())
    with_all = np.logical_and.reduce([added, *(highest(values, pixels) for values in heads)])
    total, met, chance = int(added.sum()), int(with_all.sum()), (pixels / added.size) ** len(heads)
    beyond = max(met - chance * total, 0) / (1 - chance) if chance < 1 else met
    return Area(picture=one.name, label=one.label, mask=pixels, added=total, independent=beyond)
