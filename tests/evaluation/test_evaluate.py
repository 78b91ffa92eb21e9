import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

import relmask
from relmask.data.index import Sample, read_index, with_splits
from relmask.data.reading import Intensity
from relmask.data.splits import Split, SplitLine, assign, read_split, write_split
from relmask.errors import DataError, OutError
from relmask.evaluation.controls import CONTROLS
from relmask.evaluation.evaluate import choose, evaluate_index, shared_groups
from relmask.inference.run import Run
from relmask.inference.segmenter import Segmentation
from relmask.masks.thresholds import Calibration, ClassThresholds
from relmask.models import bundle
from relmask.synthetic.surfaces import CLASSES, write_surfaces
from tests.jobs.fakes import METADATA


def sample(name: str, split: str | None = None, group: str | None = None) -> Sample:
    return Sample(Path("/data") / name, name, frozenset(), group or name, split)


def line(split: str, group: str) -> SplitLine:
    return SplitLine(frozenset(), group, split)


def test_an_image_that_was_trained_on_is_never_tested() -> None:
    samples = (sample("a.png", "test"), sample("b.png", "train"))
    lines = {"a.png": line("train", "a"), "b.png": line("test", "b")}
    assert choose(samples, "test", lines) == (samples[1],)
    assert choose(samples, "train", lines) == (samples[0],)


def test_images_that_the_run_does_not_know_go_by_the_index_and_new_ones_are_tested() -> None:
    samples = (sample("a.png", "val"), sample("b.png"), sample("c.png", "test"))
    assert choose(samples, "test", {}) == samples[1:]


def test_a_part_that_was_trained_on_under_another_name_is_found() -> None:
    samples = (sample("new.png", group="part-1"), sample("other.png", group="part-2"))
    lines = {"old.png": line("train", "part-1"), "other.png": line("test", "part-2")}
    assert shared_groups(samples, "test", lines) == {"part-1"}


def darkest(images: Sequence[NDArray[np.float32]]) -> list[Segmentation]:
    """Masks the darkest pixels as a crack, of each picture that has some."""
    found = []
    for image in images:
        relevance = 0.5 - image.mean(-1)
        mask = (relevance > 0.35).astype(np.uint8)
        score = float(mask.any())
        found.append(
            Segmentation(mask, relevance, {"crack": score}, score, "defect" if score else "clean", ())
        )
    return found


def fake_run(folder: Path, drawn: str = "given") -> Run:
    folder.mkdir(parents=True, exist_ok=True)
    for name in (bundle.METADATA, bundle.WEIGHTS):
        (folder / name).write_text(folder.name)
    thresholds = ClassThresholds(clean_median=0, clean_spread=1, gate=0, level=0.2, slope=1, offset=0)
    calibration = Calibration(
        classes=dict.fromkeys(CLASSES, thresholds),
        false_alarms=0.01,
        slope=1,
        offset=0,
        saw_masks=False,
        negatives=9,
        groups=9,
        cross_fitted=False,
    )
    model = SimpleNamespace(
        cut=lambda image: (None, []), explain=lambda image, images, places, k: 0.5 - image.mean(-1)
    )
    segmenter = SimpleNamespace(
        segment_images=darkest, classes=CLASSES, intensity=Intensity(), calibration=calibration, model=model
    )
    return cast(
        Run,
        SimpleNamespace(
            path=folder, segmenter=segmenter, metadata=METADATA.model_copy(update={"split": drawn})
        ),
    )


def test_masks_that_training_saw_are_told_though_thresholds_come_from_labels(tmp_path: Path) -> None:
    write_surfaces(tmp_path / "data", images=48, size=64)
    index = read_index(tmp_path / "data")
    write_split(assign(index), tmp_path / "run" / "split.csv")
    run = fake_run(tmp_path / "run")
    run.metadata = run.metadata.model_copy(update={"trained_on_masks": True})
    metrics = evaluate_index(run, index, "test", tmp_path / "out", controls=CONTROLS)
    assert metrics.threshold.saw_masks
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "True masks helped to train this run" in page
    assert '<th scope="row">relmask</th><td>saw true masks</td>' in page
    assert "from labels alone" not in page


@pytest.fixture
def evaluated(tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    write_surfaces(tmp_path / "data", images=48, size=64)
    index = read_index(tmp_path / "data")
    write_split(assign(index), tmp_path / "run" / "split.csv")
    evaluate_index(fake_run(tmp_path / "run"), index, "test", tmp_path / "out", controls=CONTROLS)
    return tmp_path, json.loads((tmp_path / "out" / "metrics.json").read_text(encoding="utf-8"))


def test_metrics_json_keeps_its_contract(evaluated: tuple[Path, dict[str, Any]]) -> None:
    metrics = evaluated[1]
    pixel = {"iou", "f1", "precision", "recall", "f1_tol2", "ap", "aupro"}
    assert set(metrics) == {
        *("split", "grouped", "groups", "images", "pixel", "per_class", "mean_iou", "clean", "image"),
        *("threshold", "ci95", "seconds_per_image"),
    }
    assert set(metrics["pixel"]) == pixel
    assert {name: set(scores) for name, scores in metrics["per_class"].items()} == dict.fromkeys(
        CLASSES, pixel
    )
    assert set(metrics["ci95"]) >= {"iou", "f1", "f1_tol2", "mean_iou", "auroc", "empty_share"}
    assert set(metrics["clean"]) == {"images", "empty_share"}
    assert {"auroc", "accuracy"} <= set(metrics["image"])
    assert set(metrics["threshold"]) == {"level", "saw_masks"}
    assert (metrics["split"], metrics["grouped"]) == ("test", True)


def test_the_report_shows_the_controls_beside_the_run(evaluated: tuple[Path, dict[str, Any]]) -> None:
    page = (evaluated[0] / "out" / "report.html").read_text(encoding="utf-8")
    assert all(f'<th scope="row">{name}</th>' in page for name in ("relmask", "darkness", "otsu"))
    assert "every figure is too good" not in page


def test_a_random_split_is_marked_as_leaky(evaluated: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = evaluated
    run = fake_run(folder / "run", drawn="random")
    metrics = evaluate_index(run, read_index(folder / "data"), "test", folder / "leaky")
    assert not metrics.grouped
    assert "every figure is too good" in (folder / "leaky" / "report.html").read_text(encoding="utf-8")


def test_an_evaluation_of_another_run_is_refused_until_overwritten_and_leaves_no_picture(
    evaluated: tuple[Path, dict[str, Any]],
) -> None:
    folder, _ = evaluated
    index, other = read_index(folder / "data"), fake_run(folder / "other")
    write_split(assign(index), folder / "other" / "split.csv")
    stale = folder / "out" / "worst" / "01-of-the-first-run.png"
    stale.write_bytes(b"")
    with pytest.raises(OutError, match=r"(?s)other settings:\n  run: changed since\n.*--overwrite"):
        evaluate_index(other, index, "test", folder / "out")
    assert stale.exists()
    evaluate_index(other, index, "test", folder / "out", overwrite=True)
    assert not stale.exists()
    assert "relmask evaluate: masks of" in (folder / "out" / "report.html").read_text(encoding="utf-8")


def test_the_same_evaluation_is_made_anew_in_place_of_the_old_one(
    evaluated: tuple[Path, dict[str, Any]],
) -> None:
    folder, _ = evaluated
    names = {path.name for path in (folder / "out" / "worst").iterdir()}
    (folder / "out" / "worst" / "99-older.png").write_bytes(b"")
    (folder / "out" / "worst" / "mine.txt").write_bytes(b"")
    evaluate_index(
        fake_run(folder / "run"), read_index(folder / "data"), "test", folder / "out", controls=CONTROLS
    )
    assert {path.name for path in (folder / "out" / "worst").iterdir()} == names | {"mine.txt"}


def test_a_report_of_somebody_else_is_not_replaced(evaluated: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = evaluated
    (folder / "theirs").mkdir()
    (folder / "theirs" / "report.html").write_text("theirs")
    for overwrite in (False, True):
        with pytest.raises(OutError, match=r"report\.html, which this command did not write"):
            evaluate_index(
                fake_run(folder / "run"),
                read_index(folder / "data"),
                "test",
                folder / "theirs",
                overwrite=overwrite,
            )
    assert (folder / "theirs" / "report.html").read_text() == "theirs"


def test_a_part_without_pictures_binds_out_to_nothing(evaluated: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = evaluated
    index = read_index(folder / "data")
    index = with_splits(index, ["test"] * len(index.samples))
    write_split(Split(index, True, ()), folder / "all" / "split.csv")
    with pytest.raises(DataError, match="No image"):
        evaluate_index(fake_run(folder / "all"), index, "val", folder / "empty")
    evaluate_index(fake_run(folder / "all"), index, "test", folder / "empty")


def test_masks_that_are_named_and_not_there_are_named(evaluated: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = evaluated
    run, index = fake_run(folder / "run"), read_index(folder / "data")
    lost = next(s for s in choose(index.samples, "test", read_split(run.path / "split.csv")) if s.labels)
    (mask,) = (folder / "data").rglob(f"masks/{Path(lost.name).stem}.png")
    mask.unlink()
    with pytest.warns(UserWarning, match=rf"not there \(1\):\n.*no such file \(mask of {lost.name}\)"):
        evaluate_index(run, index, "test", folder / "less")


def test_the_public_call_reads_data_and_judges_as_the_inner_one(
    evaluated: tuple[Path, dict[str, Any]],
) -> None:
    folder, before = evaluated
    metrics = relmask.evaluate(fake_run(folder / "run"), folder / "data", folder / "again", controls=True)
    again = json.loads(metrics.model_dump_json())
    assert {**again, "seconds_per_image": 0} == {**before, "seconds_per_image": 0}
    assert (folder / "again" / "report.html").is_file()
