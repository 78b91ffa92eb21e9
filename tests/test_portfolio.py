"""The benchmark that changes are judged by: what it keeps, what it does again, and its page."""

import json
from pathlib import Path
from typing import Any

import pytest

import portfolio
import portfolio_page
import relmask
from portfolio import RESULT, Judge, Result
from portfolio_page import Figure
from portfolio_sets import SETS, PortfolioSet, generated
from relmask.synthetic.surfaces import write_surfaces
from tests.effort import LITTLE

METHODS = ("relmask", "random-head", "one-class", "unet")
FIGURES = {
    *("auroc", "recall_at_gate", "iou", "mean_iou", "f1", "f1_tol2", "clean_empty", "peak_on_defect"),
    *("train_seconds", "seconds_per_image"),
}
FAST: dict[str, Any] = {
    "size": 64,
    "epochs": 1,
    "false_alarms": 0.4,
    "backbone": "vgg-narrow",
    "batch_size": 4,
}
TINY = PortfolioSet(
    "parts of 64 px",
    generated("tiny", lambda folder: write_surfaces(folder, images=64, size=64)),
    settings=FAST,
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


def test_a_random_head_has_the_scores_and_gates_of_the_trained_one(
    measured: tuple[Path, dict[str, Result]],
) -> None:
    trained, random = (measured[1][method].metrics for method in ("relmask", "random-head"))
    assert trained is not None
    assert random is not None
    for figure in ("auroc", "recall_at_gate", "per_class"):
        assert getattr(random.image, figure) == getattr(trained.image, figure)


def test_a_finished_method_is_read_and_nothing_is_trained(
    measured: tuple[Path, dict[str, Result]], monkeypatch: pytest.MonkeyPatch
) -> None:
    out, results = measured
    monkeypatch.setattr(Judge, "shared", property(lambda self: pytest.fail("it trains")))
    for method, result in results.items():
        assert judge(out).result(method) == result


def gates(out: Path) -> dict[str, float]:
    content = json.loads((out / "tiny-0" / "work" / "classifier" / "relmask.json").read_text())
    return {name: one["gate"] for name, one in content["calibration"]["classes"].items()}


def test_networks_are_judged_anew_without_training_and_stay_as_they_are(
    measured: tuple[Path, dict[str, Result]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, results = measured
    path = out / "tiny-0" / "work" / "classifier" / "relmask.json"
    before = path.read_bytes()
    monkeypatch.setattr(
        "relmask.evaluation.comparison.shared.train", lambda *_, **__: pytest.fail("it trains")
    )
    again, known = judge(tmp_path, out).result("relmask").metrics, results["relmask"].metrics
    assert again is not None
    assert known is not None
    of_maps = {"accuracy": None, "peak_on_defect": None}
    assert again.image.model_copy(update=of_maps) == known.image.model_copy(update=of_maps)
    assert gates(tmp_path) == gates(out)
    assert path.read_bytes() == before


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
    for one in content["calibration"]["classes"].values():
        one["gone"] = 1
    path.write_text(json.dumps({**content, "format": 1, "gone": 1}))
    portfolio.take_networks(source, tmp_path / "work")
    calibration = relmask.load(path.parent).segmenter.calibration
    assert {name: one.gate for name, one in calibration.classes.items()} == gates(measured[0])


def test_a_set_without_clean_pictures_has_no_one_class_detector(tmp_path: Path) -> None:
    cells = PortfolioSet("", SETS["cells"].source, settings=FAST)
    found = Judge(tmp_path, "cells", cells, 0, Path("nowhere"), effort=LITTLE).result("one-class")
    assert not [*found.figures()]
    assert "clean pictures" in found.note


@pytest.mark.parametrize(
    "name", ["tile", "tile-grouped-1", "tile-grouped-2", "tile-random", "crackforest", "coffee", "wbc"]
)
def test_the_real_sets_have_what_is_asked_of_them(name: str, shared_data: Path, tmp_path: Path) -> None:
    split = SETS[name].split(shared_data, tmp_path, 0)
    assert split.grouped == (name != "tile-random")
    assert split.index.part("test")


def line(
    name: str, value: float | None, seed: int = 0, method: str = "relmask", **other: object
) -> list[Figure]:
    """All figures of a method on a set, all with one value."""
    return [
        {
            "set": name,
            "seed": seed,
            "method": method,
            "figure": figure,
            "value": value,
            "low": None if value is None else value - 0.1,
            "high": None if value is None else value + 0.1,
            "commit": "1bd5f58",
        }
        | other
        for figure in portfolio_page.COLUMNS
    ]


def test_the_page_shows_the_worst_set_first_by_the_mean_over_seeds() -> None:
    lines = [*line("wbc", 0.2), *line("wbc", 0.6, seed=1), *line("coffee", 0.3), *line("meat", None)]
    text = portfolio_page.as_page(lines)
    shown = [
        row.split(" | ")[:2] for row in text.split("## relmask")[1].split("##")[0].splitlines()[4:] if row
    ]
    assert shown == [["| meat", "0"], ["| coffee", "0"], ["| wbc", "0"], ["| wbc", "1"]]
    assert "0.30 (0.20 to 0.40)" in text
    assert "Not measured yet: tile, " in text


def test_the_page_keeps_what_was_not_measured_again(tmp_path: Path) -> None:
    kept, page = tmp_path / "kept.jsonl", tmp_path / "page.md"
    portfolio_page.update_page([*line("wbc", 0.2), *line("wbc", 0.5, method="unet")], kept, page)
    portfolio_page.update_page([*line("wbc", 0.4, commit="2222222")], kept, page)
    found = portfolio_page.read_figures(kept)
    assert {(one["method"], one["value"], one["commit"]) for one in found} == {
        ("relmask", 0.4, "2222222"),
        ("unet", 0.5, "1bd5f58"),
    }
    assert page.read_text(encoding="utf-8") == portfolio_page.as_page(found)


def test_the_page_of_the_documentation_shows_the_figures_that_are_kept() -> None:
    text = portfolio_page.PAGE.read_text(encoding="utf-8")
    assert text == portfolio_page.as_page(portfolio_page.read_figures()), "run portfolio.py --page"
