from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from relmask.arrays import FloatArray
from relmask.data.index import Sample, read_index
from relmask.data.tiles import Blend, Window
from relmask.inference.run import Run
from relmask.masks.thresholds import ClassThresholds
from relmask.training.pixel_dataset import VOID
from relmask.training.pseudo_labels import PseudoLabels


def test_the_label_is_taken_at_its_word(trained: Run, parts: Path) -> None:
    index = read_index(parts)
    for sample in index.samples:
        values = PseudoLabels(trained, ())(sample, trained.read(sample.path))
        shown = set(np.unique(values).tolist()) - {0, VOID}
        named = {trained.metadata.classes.index(name) + 1 for name in sample.labels}
        assert shown <= named
        assert shown or not named or (values == VOID).all(), "a class without any relevance may be anywhere"


LEVEL_ONE = ClassThresholds(clean_median=0, clean_spread=1, gate=0, level=1, slope=1, offset=0)


class Brightness:
    """Support of a patch is four times its brightness, and of overlapping ones their mean."""

    def __init__(self) -> None:
        self.pictures: list[FloatArray] = []

    def maps(
        self, picture: FloatArray, images: Tensor, places: list[Window], passing: NDArray[np.bool_]
    ) -> dict[int, FloatArray]:
        blend = Blend(picture.shape[:2])
        for image, place, shown in zip(images.numpy(), places, passing, strict=True):
            blend.add(place, 4 * image.mean(0) * shown[0])
        return {0: blend.result()}

    def support(
        self, maps: dict[int, FloatArray], picture: FloatArray, floors: Mapping[int, float]
    ) -> dict[int, FloatArray]:
        self.pictures.append(picture)
        return maps


def run_on_patches(pictures: Mapping[Path, FloatArray], level: ClassThresholds = LEVEL_ONE) -> Run:
    spec = SimpleNamespace(windows=True, size=8)
    calibration = SimpleNamespace(classes={"crack": level}, floors={0: level.floor})
    stand_in: Any = SimpleNamespace(
        metadata=SimpleNamespace(input=spec, classes=("crack",)),
        model=Brightness(),
        segmenter=SimpleNamespace(calibration=calibration),
        read=lambda path: pictures[path],
    )
    return cast(Run, stand_in)


def patches(labels: Sequence[str], values: Sequence[float]) -> tuple[list[Sample], dict[Path, FloatArray]]:
    """Patches of 8 px of one picture, each 4 px right of the last, and what they show."""
    samples = [
        Sample(
            Path(f"a_y0_x{4 * i}.png"), f"patches/a_y0_x{4 * i}.png", frozenset(filter(None, [label])), "a"
        )
        for i, label in enumerate(labels)
    ]
    shown = [np.full((8, 8, 3), value, np.float32) for value in values]
    return samples, {sample.path: picture for sample, picture in zip(samples, shown, strict=True)}


def test_overlapping_patches_share_their_relevance() -> None:
    samples, pictures = patches(["crack", "crack"], [0.1, 1.0])
    first, second = samples
    own = PseudoLabels(run_on_patches(pictures), samples)
    values = own(first, pictures[first.path])
    assert (values[:, :4] == 0).all(), "only the first patch shows it, and says little"
    assert (values[:, 4:] == 1).all(), "the mean of both is twice the level"
    assert (own(second, pictures[second.path]) == 1).all()
    alone = PseudoLabels(run_on_patches(pictures), [first])
    assert (alone(first, pictures[first.path]) == VOID).all(), "the label says that there is a crack"


def test_the_support_of_patches_is_that_of_the_picture_that_they_were_cut_from() -> None:
    samples, pictures = patches(["crack", "crack", "crack"], [0.0, 0.0, 0.0])
    whole = np.random.default_rng(0).random((8, 16, 3)).astype(np.float32)
    for i, sample in enumerate(samples):
        pictures[sample.path] = whole[:, 4 * i : 4 * i + 8]
    run = run_on_patches(pictures)
    PseudoLabels(run, samples)(samples[0], pictures[samples[0].path])
    [seen] = cast(Brightness, run.model).pictures
    assert np.array_equal(seen, whole)


def test_what_a_clean_patch_covers_is_background() -> None:
    samples, pictures = patches(["crack", ""], [1.0, 1.0])
    values = PseudoLabels(run_on_patches(pictures), samples)(samples[0], pictures[samples[0].path])
    assert (values[:, 4:] == 0).all()
    assert (values[:, :3] == 1).all()


def test_near_the_level_it_is_unsure() -> None:
    samples, pictures = patches(["crack"], [0.0])
    picture = pictures[samples[0].path]
    picture[0] = np.array([0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.6, 1.0])[:, None]
    values = PseudoLabels(run_on_patches(pictures), samples)(samples[0], picture)
    # Four times that is 0.2, 0.4, 0.6, 0.8, 1, 1.2, 2.4, 4; the level is 1.
    assert values[0].tolist() == [0, 0, VOID, VOID, VOID, 1, 1, 1]
    assert (values[1:] == 0).all()


def test_where_support_stays_below_the_level_its_peak_is_unsure_and_nothing_is_sure() -> None:
    samples, pictures = patches(["crack"], [0.0])
    picture = pictures[samples[0].path]
    picture[0] = np.array([0.05, 0.1, 0.15, 0.2, 0.05, 0.0, 0.0, 0.0])[:, None]
    values = PseudoLabels(run_on_patches(pictures), samples)(samples[0], picture)
    assert values[0].tolist() == [0, 0, VOID, VOID, 0, 0, 0, 0]
    assert (values[1:] == 0).all()
