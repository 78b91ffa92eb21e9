import csv
import importlib.util
import json
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from relmask.cli import app
from relmask.errors import DataError, OutError, UsageError
from relmask.evaluation import comparison
from relmask.evaluation.comparison import METHODS, ROWS, Row
from relmask.evaluation.comparison.predictions import RawPredictions
from relmask.evaluation.comparison.settings import Settings
from relmask.inference.explained import ExplainedClassifier
from tests.effort import LITTLE

compare = partial(comparison.compare, effort=LITTLE)
FAST: dict[str, Any] = {
    "size": 64,
    "epochs": 1,
    "false_alarms": 0.4,
    "backbone": "vgg-narrow",
    "batch_size": 4,
}
SOME = (
    "relmask",
    "relmask/epsilon_plus",
    "darkness",
    "random-head",
    "one-class",
    "seibold2022",
    "forest2024",
)


@pytest.fixture(scope="module")
def compared(parts: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Row]]:
    out = tmp_path_factory.mktemp("compared") / "out"
    return out, compare(parts, out, SOME, **FAST)


def row(rows: list[Row], method: str, threshold: str = "labels") -> Row:
    return next(row for row in rows if (row.method, row.threshold) == (method, threshold))


def test_comparison_json_keeps_its_contract(compared: tuple[Path, list[Row]]) -> None:
    out, rows = compared
    found = json.loads((out / "comparison.json").read_text(encoding="utf-8"))
    assert ROWS.validate_python(found) == rows
    assert [(line["method"], line["threshold"]) for line in found] == [
        (name, threshold) for name in METHODS if name in SOME for threshold in ("labels", "best")
    ]
    keys = {"method", "threshold", "saw", "train_seconds", "seconds_per_image", "pixel", "per_class"}
    for line in found:
        assert set(line) >= keys | {"mean_iou", "clean", "image", "ci95"}
        assert set(line["pixel"]) == {"iou", "f1", "precision", "recall", "f1_tol2", "ap", "aupro"}


def test_all_methods_are_judged_on_the_same_whole_pictures(compared: tuple[Path, list[Row]]) -> None:
    _, rows = compared
    assert len({(row.images, row.clean.images) for row in rows}) == 1


def test_the_best_thresholds_are_never_worse(compared: tuple[Path, list[Row]]) -> None:
    _, rows = compared
    for name in SOME:
        given, best = (row(rows, name, threshold) for threshold in ("labels", "best"))
        assert (best.pixel.iou or 0) >= (given.pixel.iou or 0)
        assert (best.mean_iou or 0) >= (given.mean_iou or 0)


def test_a_classifier_that_is_explained_otherwise_keeps_its_scores(compared: tuple[Path, list[Row]]) -> None:
    _, rows = compared
    same = [row(rows, name) for name in ("relmask", "relmask/epsilon_plus", "random-head")]
    assert len({line.image.auroc for line in same}) == len({line.train_seconds for line in same}) == 1
    assert row(rows, "darkness").train_seconds is None
    assert row(rows, "seibold2022").train_seconds != same[0].train_seconds


def test_without_classes_there_is_no_mean_over_them(compared: tuple[Path, list[Row]]) -> None:
    _, rows = compared
    assert row(rows, "darkness").per_class == row(rows, "one-class").per_class == {}
    assert row(rows, "darkness").mean_iou is None
    assert set(row(rows, "relmask").per_class) == {"crack", "patch", "pit"}


def test_as_published_forest_masks_every_clean_picture(compared: tuple[Path, list[Row]]) -> None:
    assert row(compared[1], "forest2024").clean.empty_share == 0.0


def test_table_and_page_hold_every_method_and_need_no_network(compared: tuple[Path, list[Row]]) -> None:
    out, rows = compared
    with (out / "comparison.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    assert [(line["method"], line["threshold"]) for line in lines] == [
        (row.method, row.threshold) for row in rows
    ]
    assert float(lines[0]["train_seconds"]) == pytest.approx(rows[0].train_seconds, rel=1e-3)
    page = (out / "comparison.html").read_text(encoding="utf-8")
    assert all(f'<th scope="row">{name}</th>' in page and f">{name}</button>" in page for name in SOME)
    assert "://" not in page


def test_what_is_done_is_not_done_again(
    compared: tuple[Path, list[Row]], parts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any, **options: Any) -> None:  # noqa: ANN401 - takes whatever comes
        raise AssertionError("explained again")

    monkeypatch.setattr(ExplainedClassifier, "explain", fail)
    out, rows = compared
    assert compare(parts, out, SOME, **FAST) == rows


def test_a_stopped_comparison_goes_on_with_the_next_picture(
    parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[int] = []

    def keep(self: RawPredictions, number: int, *args: Any) -> None:  # noqa: ANN401 - as the original
        if len(kept) == 3:
            kept.append(-1)
            raise KeyboardInterrupt
        kept.append(number)
        original(self, number, *args)

    original = RawPredictions._keep
    monkeypatch.setattr(RawPredictions, "_keep", keep)
    with pytest.raises(KeyboardInterrupt):
        compare(parts, tmp_path / "out", ["relmask"], **FAST)
    rows = compare(parts, tmp_path / "out", ["relmask"], **FAST)
    assert kept[:5] == [0, 1, 2, -1, 3]
    assert sorted(kept[:3] + kept[4:]) == list(range(rows[0].images))
    assert not list((tmp_path / "out").rglob("*.npz"))


def test_a_slow_method_is_judged_on_fewer_pictures_and_says_so(parts: Path, tmp_path: Path) -> None:
    found = compare(parts, tmp_path, ["relmask", "occlusion"], minutes=0.001, **FAST)
    slow = row(found, "occlusion")
    assert "of 256 steps, as time allows" in slow.note
    assert "4 of " in slow.note
    assert slow.images == 4
    assert "test pictures, as time allows" in (tmp_path / "comparison.html").read_text(encoding="utf-8")


def test_from_patches_to_whole_pictures(parts: Path, tmp_path: Path) -> None:
    found = compare(
        parts, tmp_path, ["relmask", "darkness", "forest2024"], patches=32, **{**FAST, "size": None}
    )
    assert row(found, "relmask").images == row(found, "darkness").images > 4
    assert row(found, "relmask").clean.images > 0


def test_patches_make_clean_ones_of_pictures_that_are_all_defective(parts: Path, tmp_path: Path) -> None:
    header, *lines = (parts / "index.csv").read_text(encoding="utf-8").splitlines()
    cracked = [line.replace("images/", f"{parts}/images/") for line in lines if ",crack," in line]
    table = "\n".join([header, *cracked]).replace("masks/", f"{parts}/masks/")
    (tmp_path / "index.csv").write_text(table, encoding="utf-8")
    options = {**FAST, "size": None, "false_alarms": 0.0}
    found = compare(tmp_path, tmp_path / "out", ["darkness"], patches=32, **options)
    assert found[0].clean.images == 0
    with pytest.raises(DataError, match="none is clean"):
        compare(tmp_path, tmp_path / "whole", ["darkness"], **FAST)


def test_other_settings_are_refused_and_replaced_on_demand(
    compared: tuple[Path, list[Row]], parts: Path, tmp_path: Path
) -> None:
    for name in ("compare.json", "comparison.csv"):
        shutil.copy(compared[0] / name, tmp_path)
    with pytest.raises(OutError, match=r"(?s)other settings:\n  seed: 0, now 1\n.*--overwrite"):
        compare(parts, tmp_path, ["darkness"], seed=1, **FAST)
    compare(parts, tmp_path, ["darkness"], seed=1, overwrite=True, **FAST)
    assert json.loads((tmp_path / "compare.json").read_text(encoding="utf-8"))["seed"] == 1


def test_a_folder_with_other_files_is_left_alone(parts: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(OutError, match="other files"):
        compare(parts, tmp_path, ["darkness"], overwrite=True, **FAST)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_data_without_masks_are_refused_before_anything_is_trained(parts: Path, tmp_path: Path) -> None:
    lines = (parts / "index.csv").read_text(encoding="utf-8").splitlines()
    rows = [line.rpartition(",")[0] for line in lines]
    (tmp_path / "index.csv").write_text("\n".join(rows).replace("images/", f"{parts}/images/"))
    with pytest.raises(DataError, match="nothing to judge masks by"):
        compare(tmp_path, tmp_path / "out", **FAST)
    assert not (tmp_path / "out").exists()


def test_unknown_methods_and_settings_are_named(parts: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"No method lrp\. There are: relmask, "):
        compare(parts, tmp_path, ["lrp"], **FAST)
    with pytest.raises(UsageError, match=r"Patches of 32 px .* leave out --size"):
        compare(parts, tmp_path, patches=32, **FAST)
    with pytest.raises(UsageError, match="minutes"):
        compare(parts, tmp_path, ["darkness"], minutes=-1, **FAST)


def test_without_captum_the_extra_is_named_before_anything_is_trained(
    parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    result = CliRunner().invoke(app, ["compare", str(parts), "-o", str(tmp_path / "out"), "-q"])
    assert result.exit_code == 2
    assert "pip install 'relmask[compare]'" in result.stderr
    assert not (tmp_path / "out").exists()


def test_the_shell_prints_a_line_a_row(compared: tuple[Path, list[Row]], parts: Path) -> None:
    out, rows = compared
    options = [f"--{name.replace('_', '-')}={value}" for name, value in FAST.items()]
    arguments = ["compare", str(parts), "-o", str(out), "-q", "--methods", "darkness,seibold2022", *options]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert [tuple(line.split()[:2]) for line in result.stdout.splitlines()[1:-1]] == [
        (row.method, row.threshold) for row in rows
    ]
    as_json = CliRunner().invoke(app, [*arguments, "--json"])
    assert ROWS.validate_python(json.loads(as_json.stdout)["rows"]) == rows


def test_methods_are_added_to_what_is_there_and_a_method_may_have_nothing_to_say(
    parts: Path, tmp_path: Path
) -> None:
    first = compare(parts, tmp_path, ["darkness"], **FAST)
    with_default = compare(parts, tmp_path, ["relmask/relmask", "relmask/relmask_fine"], **FAST)
    assert [line.method for line in with_default] == ["relmask/relmask"] * 2 + ["darkness"] * 2
    assert with_default[2:] == first
    page = (tmp_path / "comparison.html").read_text(encoding="utf-8")
    assert "<dt>relmask/relmask_fine</dt><dd>It is the default of this classifier" in page


def test_settings_know_no_misspelt_name() -> None:
    with pytest.raises(ValueError, match="patch_size"):
        Settings(patch_size=3)  # type: ignore[call-arg]


def test_the_unet_is_trained_on_masks_and_says_so(parts: Path, tmp_path: Path) -> None:
    found = compare(parts, tmp_path, ["relmask", "unet", "student"], **FAST)
    assert row(found, "unet").saw == ("labels", "clean images", "masks")
    assert row(found, "student").saw == row(found, "relmask").saw == ("labels", "clean images")
    assert row(found, "unet").images == row(found, "student").images == row(found, "relmask").images
    student, own = row(found, "student").train_seconds, row(found, "relmask").train_seconds
    assert (student or 0) > (own or 0)
    page = (tmp_path / "comparison.html").read_text(encoding="utf-8")
    assert all(f"<figcaption>{name}</figcaption>" in page for name in ("classifier", "unet", "student"))


def test_without_training_masks_there_is_no_unet_and_the_page_says_why(parts: Path, tmp_path: Path) -> None:
    lines = (parts / "index.csv").read_text(encoding="utf-8").splitlines()
    kept = [line if ",test," in line else line.rpartition(",")[0] + "," for line in lines[1:]]
    text = "\n".join([lines[0], *kept]).replace("images/", f"{parts}/images/")
    (tmp_path / "index.csv").write_text(text.replace("masks/", f"{parts}/masks/"), encoding="utf-8")
    shutil.copy(parts / "classes.csv", tmp_path)
    found = compare(tmp_path, tmp_path / "out", ["darkness", "unet"], **FAST)
    assert {line.method for line in found} == {"darkness"}
    assert "has a mask to learn from" in (tmp_path / "out" / "comparison.html").read_text(encoding="utf-8")
