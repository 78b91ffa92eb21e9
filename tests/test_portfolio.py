"""The benchmark that changes are judged by: what it keeps, what it does again, and its page."""

import json
from pathlib import Path

import portfolio
import pytest
from portfolio import RESULT, Judge, Result
from portfolio_sets import SETS, PortfolioSet, generated
from relmask.synthetic.surfaces import write_surfaces
from tests.effort import LITTLE

METHODS = ("relmask", "random-head", "one-class", "unet")
FIGURES = {
    *("auroc", "recall_at_gate", "iou", "mean_iou", "f1", "f1_tol2", "clean_empty", "peak_on_defect"),
    *("train_seconds", "seconds_per_image"),
}
TINY = PortfolioSet(
    "parts of 64 px",
    generated("tiny", lambda folder: write_surfaces(folder, images=64, size=64)),
    settings={"size": 64, "epochs": 1, "false_alarms": 0.3},
)


def judge(out: Path, runs: Path | None = None) -> Judge:
    return Judge(out, "tiny", TINY, 0, Path("nowhere"), runs=runs, effort=LITTLE)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Result]]:
    out = tmp_path_factory.mktemp("portfolio")
    one = judge(out)
    return out, {method: one.result(method) for method in METHODS}


def test_every_method_has_every_figure_on_the_same_pictures(measured: tuple[Path, dict[str, Result]]) -> None:
    results = measured[1]
    assert len({result.metrics.images for result in results.values() if result.metrics}) == 1
    for method, result in results.items():
        figures = {line["figure"]: line["value"] for line in result.figures()}
        assert set(figures) >= FIGURES, method
        assert figures["train_seconds"] > 0
        assert figures["peak_on_defect"] is not None


def test_a_finished_method_is_read_and_nothing_is_trained(
    measured: tuple[Path, dict[str, Result]], monkeypatch: pytest.MonkeyPatch
) -> None:
    out, results = measured
    monkeypatch.setattr(Judge, "shared", property(lambda self: pytest.fail("it trains")))
    for method, result in results.items():
        assert judge(out).result(method) == result


def test_networks_are_judged_anew_without_training(
    measured: tuple[Path, dict[str, Result]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, results = measured
    before = json.loads((out / "tiny-0" / "work" / "classifier" / "relmask.json").read_text())
    monkeypatch.setattr("relmask.evaluation.comparison.shared.train", lambda *a, **k: pytest.fail("it trains"))
    found = judge(tmp_path, out).result("relmask")
    assert [line["value"] for line in found.figures() if line["figure"] == "iou"] == [
        line["value"] for line in results["relmask"].figures() if line["figure"] == "iou"
    ]
    assert json.loads((out / "tiny-0" / "work" / "classifier" / "relmask.json").read_text()) == before


@pytest.mark.parametrize(("known", "again"), [("other", True), ("this", False), ("this-dirty", True)])
def test_what_was_judged_at_this_very_commit_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, known: str, again: bool
) -> None:
    monkeypatch.setattr(portfolio, "commit", lambda: known.replace("other", "this"))
    earlier = Result(set="tiny", seed=0, method="relmask", commit=known, note="earlier")
    path = tmp_path / "tiny-0" / "relmask" / RESULT
    path.parent.mkdir(parents=True)
    path.write_text(earlier.model_dump_json())
    now = earlier.model_copy(update={"note": "now"})
    monkeypatch.setattr(Judge, "_measured", lambda self, method, commit: now)
    assert judge(tmp_path, tmp_path).result("relmask").note == ("now" if again else "earlier")


def test_networks_of_thresholds_with_other_fields_are_read(
    measured: tuple[Path, dict[str, Result]], tmp_path: Path
) -> None:
    source = measured[0] / "tiny-0" / "work"
    portfolio.take_networks(source, tmp_path / "work")
    path = tmp_path / "work" / "classifier" / "relmask.json"
    content = json.loads(path.read_text())
    gates = {name: one["gate"] for name, one in content["calibration"]["classes"].items()}
    for one in content["calibration"]["classes"].values():
        one["gone"] = 1
    path.write_text(json.dumps({**content, "format": 1, "gone": 1}))
    portfolio.take_networks(source, tmp_path / "work")
    calibration = portfolio.relmask.load(path.parent).segmenter.calibration
    assert {name: one.gate for name, one in calibration.classes.items()} == gates


def test_a_set_without_clean_pictures_has_no_one_class_detector(tmp_path: Path) -> None:
    cells = PortfolioSet("", SETS["cells"].source, settings={"size": 64, "epochs": 1, "false_alarms": 0.3})
    found = Judge(tmp_path, "cells", cells, 0, Path("nowhere"), effort=LITTLE).result("one-class")
    assert not [*found.figures()]
    assert "clean pictures" in found.note


@pytest.mark.parametrize("name", SETS)
def test_the_real_sets_have_what_is_asked_of_them(name: str, shared_data: Path, tmp_path: Path) -> None:
    if SETS[name].source(shared_data, tmp_path, 0).is_relative_to(tmp_path):
        pytest.skip("generated")
    split = SETS[name].split(shared_data, tmp_path, 0)
    assert split.grouped == (name != "tile-random")
    assert split.index.part("test")
