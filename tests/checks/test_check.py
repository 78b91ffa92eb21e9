import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage
from typer.testing import CliRunner

import relmask
from relmask.arrays import FloatArray
from relmask.checks import Check, check_samples, chosen
from relmask.cli import app
from relmask.data.index import read_index
from relmask.data.splits import read_split
from relmask.errors import DataError
from relmask.inference.explained import ExplainedClassifier
from relmask.inference.run import Run
from relmask.lrp.composites import Composite, kind
from relmask.lrp.rules import Flat
from relmask.models.guided import GuidedClassifier
from relmask.training.train import train
from tests.effort import LITTLE


def judged(run: Run, parts: Path, **choices: object) -> Check:
    samples = chosen(read_index(parts).samples, read_split(run.path / "split.csv"))
    return check_samples(run, samples, pictures=4, stages=2, **choices)  # type: ignore[arg-type]


def outcome(found: Check) -> dict[str, bool | None]:
    return {finding.name: finding.passed for finding in found.findings}


def changed(run: Run, composite: Composite | None = None) -> Run:
    """A copy of a run whose network can be spoiled, with other rules if some are given."""
    classifier = run.classifier.with_network(copy.deepcopy(run.model.network))
    return Run(run.path, run.metadata, classifier.with_composite(composite) if composite else classifier)


def edges(image: np.ndarray) -> np.ndarray:
    grey = image.mean(-1)
    strength = np.hypot(ndimage.sobel(grey, 0), ndimage.sobel(grey, 1))
    mask: np.ndarray = strength > np.quantile(strength, 0.95)
    return mask


def test_masks_of_a_run_that_learned_are_evidence(trained: Run, parts: Path) -> None:
    found = judged(trained, parts)
    assert found.passed, found.verdict
    assert found.verdict == (
        "The masks are evidence of what the classifier learned. This rests on 4 masks alone: a check of more "
        "can still fail."
    )
    assert len(found.pictures) == len(found.deletion) == len(found.conserved) == 4
    assert [step.redrawn for step in found.cascade] == [2, 35]
    assert Check.model_validate_json(found.model_dump_json()) == found


@pytest.mark.parametrize("seed", [0, 1])
def test_a_random_head_is_no_evidence(trained: Run, parts: Path, seed: int) -> None:
    run = changed(trained)
    assert isinstance(run.model.network, GuidedClassifier)
    torch.manual_seed(seed)
    run.model.network.start_again()
    found = judged(run, parts)
    assert not found.passed
    assert outcome(found)["labels"] is False
    assert found.verdict.startswith("The masks are no evidence of what the classifier learned.")


def test_novelty_that_tells_defective_pictures_apart_does_not_make_a_head_know_labels(
    trained: Run, parts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = changed(trained)
    assert isinstance(run.model.network, GuidedClassifier)
    torch.manual_seed(0)
    run.model.network.start_again()
    plain, found = ExplainedClassifier.logits, [False]
    defective = {run.read(s.path).tobytes() for s in read_index(parts).samples if s.labels}

    def strange(self: ExplainedClassifier, images: torch.Tensor) -> torch.Tensor:
        seen = [image.permute(1, 2, 0).contiguous().numpy().tobytes() in defective for image in images]
        found.extend(seen)
        return plain(self, images) + 100 * torch.tensor(seen).float()[:, None]

    monkeypatch.setattr(ExplainedClassifier, "logits", strange)
    assert outcome(judged(run, parts))["labels"] is False
    assert any(found)


def test_flat_rules_are_no_evidence(trained: Run, parts: Path) -> None:
    flat = Composite("flat", ((kind("convolution"), Flat()), (kind("linear"), Flat())))
    found = judged(changed(trained, flat), parts)
    assert outcome(found)["weights"] is False
    assert [one.iou for one in found.weights] == pytest.approx([1] * 4, abs=0.02)


def test_area_that_any_relevance_would_get_is_no_evidence(
    trained: Run, parts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def everywhere(relevance: FloatArray, *_: object) -> FloatArray:
        return np.full(relevance.shape, 2, np.float32)

    monkeypatch.setattr("relmask.inference.relevance.support", everywhere)
    found = judged(trained, parts)
    assert sum(area.added for area in found.areas) > 0.5 * sum(area.mask for area in found.areas)
    assert outcome(found)["area"] is False


def test_edges_are_no_evidence(trained: Run, parts: Path) -> None:
    found = judged(trained, parts, draw=edges)
    assert not found.passed
    assert (outcome(found)["head"], outcome(found)["layers"], outcome(found)["weights"]) == (False,) * 3
    assert outcome(found)["conserved"] is None


def test_without_any_mask_there_is_no_evidence(trained: Run, parts: Path) -> None:
    found = judged(trained, parts, draw=lambda image: np.zeros(image.shape[:2], bool))
    assert outcome(found)["masks"] is False
    assert (found.cascade, found.deletion) == ((), ())


def test_test_pictures_are_never_looked_at(trained: Run, parts: Path) -> None:
    lines = read_split(trained.path / "split.csv")
    samples = chosen(read_index(parts).samples, lines)
    places = [lines[sample.name].split for sample in samples]
    assert set(places) == {"val", "train"}
    assert places == sorted(places, reverse=True)


def test_pictures_that_cannot_be_read_are_left_out(trained: Run, parts: Path, tmp_path: Path) -> None:
    (tmp_path / "crack").mkdir()
    (tmp_path / "crack" / "a.png").touch()
    (tmp_path / "ok").mkdir()
    (tmp_path / "ok" / "b.png").touch()
    with pytest.raises(DataError, match="None of the pictures"):
        check_samples(trained, read_index(tmp_path).samples)


def test_the_command_writes_the_check_and_exits_with_1_if_it_failed(
    trained: Run, parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relmask, "load", lambda path, **options: trained, raising=False)
    command = ["check", str(trained.path), str(parts), "--pictures", "2", "-o", str(tmp_path / "check.json")]
    result = CliRunner().invoke(app, [*command, "-q"])
    assert result.exit_code == 0, result.stdout
    assert "The masks are evidence" in result.stdout
    assert Check.model_validate_json((tmp_path / "check.json").read_text(encoding="utf-8")).passed
    spoiled = changed(trained)
    assert isinstance(spoiled.model.network, GuidedClassifier)
    spoiled.model.network.start_again()
    monkeypatch.setattr(relmask, "load", lambda path, **options: spoiled, raising=False)
    result = CliRunner().invoke(app, [*command, "-q", "--json", "--overwrite"])
    assert result.exit_code == 1
    assert not Check.model_validate_json(result.stdout).passed


def test_a_training_checks_itself_and_warns(parts: Path, tmp_path: Path, narrow_weights: Path) -> None:
    choices: dict[str, Any] = {"backbone": "vgg-narrow", "weights": narrow_weights, "size": 64, "epochs": 1}
    effort = replace(LITTLE, checked=2)
    with pytest.warns(UserWarning, match="no evidence"):  # it has learned next to nothing
        run = train(parts, tmp_path / "run", false_alarms=0.4, effort=effort, **choices)
    found = Check.model_validate_json((run.path / "check.json").read_text(encoding="utf-8"))
    assert not found.passed
    assert "Are the masks evidence?" in (run.path / "report.html").read_text(encoding="utf-8")
