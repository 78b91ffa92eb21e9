"""What cheaper explanations cost: maps and masks of a trained run, explained again in several ways.

    python benchmarks/lrp_options.py runs/quality/tile-0/run ../shared/data/magnetic-tile

Prints one JSON line a figure: processor seconds for an image (or window) explained, the correlation with the
run's own maps (median over what was explained), and scores of the masks of the test split. `own` thresholds
are the run's; others are chosen anew, from labels, for maps of this kind (gates stay as they are).
"""

import argparse
import json
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

import relmask
from relmask.calibration.calibrate import calibrate
from relmask.data.index import Index, read_index
from relmask.data.splits import read_split
from relmask.evaluation.evaluate import choose
from relmask.evaluation.measure import measure
from relmask.inference.explained import ExplainedClassifier
from relmask.inference.segmenter import Run, Segmenter
from relmask.masks.refinement import smooth
from relmask.masks.thresholds import Calibration
from relmask.models.bundle import Architecture


@dataclass(frozen=True)
class Way:
    """How to explain.

    Args:
        name: of the way.
        mirrors: views of an image whose maps are averaged, four in a run.
        stop: module at whose output the way back ends.
        bfloat16: under autocast.
    """

    name: str
    mirrors: int = 4
    stop: str | None = None
    bfloat16: bool = False


def ways(stops: list[str]) -> list[Way]:
    return [
        Way("as it is"),
        *(Way(f"stop at {stop}", stop=stop) for stop in stops),
        Way("bfloat16", bfloat16=True),
        Way("one view", mirrors=1),
    ]


class Varied(ExplainedClassifier):
    """A run's reader that explains in another way; it remembers what it scored and explained."""

    def __init__(self, run: Run, way: Way, scored: dict[bytes, Tensor]) -> None:
        own = run.model
        super().__init__(own.model, own.spec, own.composite, own.device, own.batch_size)
        self.way, self.scored = way, scored
        self.mirrors = own.mirrors[: way.mirrors]
        self.found: dict[tuple[bytes, int], Tensor] = {}
        self.seconds = 0.0
        architecture = run.metadata.architecture
        self.margin = architecture.margin if isinstance(architecture, Architecture) else 0
        self._explained(torch.zeros(1, 3, self.spec.size, self.spec.size), torch.tensor([0]))  # compiles

    def logits(self, images: Tensor) -> Tensor:
        """As the run's reader."""
        keys = [image.numpy().tobytes() for image in images]
        new = [number for number, key in enumerate(keys) if key not in self.scored]
        if new:
            self.scored.update(
                zip([keys[number] for number in new], super().logits(images[new]), strict=True)
            )
        return torch.stack([self.scored[key] for key in keys])

    def relevance(self, images: Tensor, targets: Tensor) -> Tensor:
        """As the run's reader, in the way that was asked for."""
        keys = [(image.numpy().tobytes(), int(k)) for image, k in zip(images, targets, strict=True)]
        new = [number for number, key in enumerate(keys) if key not in self.found]
        if new:
            begun = time.process_time()
            found = self._explained(images[new], targets[new])
            self.seconds += time.process_time() - begun
            self.found.update(zip([keys[number] for number in new], found, strict=True))
        return torch.stack([self.found[key] for key in keys])

    def attribute(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """As the run's reader, or from where the way back stops, spread over the pixels below.

        Not `compile(stop=...)`: relmask's models continue images by their mirrors, so that a module's maps
        cover more than the image.
        """
        if self.way.stop is None:
            return super().attribute(inputs, targets)
        found = self.explainer.inner(inputs, self.way.stop, targets)[self.way.stop].sum(1, keepdim=True)
        size = [side + 2 * self.margin for side in inputs.shape[2:]]
        spread = F.interpolate(found, size=size, mode="bilinear", align_corners=False)
        spread = spread * (found[0].numel() / spread[0].numel())
        return F.pad(spread, (-self.margin,) * 4)[:, 0]

    def _explained(self, images: Tensor, targets: Tensor) -> Tensor:
        low = torch.autocast(self.device.type, torch.bfloat16) if self.way.bfloat16 else nullcontext()
        with low:
            return super().relevance(images, targets).float()


def likeness(own: Varied, other: Varied) -> float:
    """Median correlation of smoothed maps."""
    sigma = own.spec.sigma
    found = []
    for key in own.found.keys() & other.found.keys():
        pair = [torch.from_numpy(smooth(reader.found[key].numpy(), sigma)) for reader in (own, other)]
        both = torch.stack([one.flatten() for one in pair])
        if bool((both.std(1) > 0).all()):
            found.append(float(torch.corrcoef(both)[0, 1]))
    return statistics.median(found)


def relabelled(run: Run, reader: Varied) -> Calibration:
    """The run's thresholds, with seeds and extents that labels give for these maps."""
    own = run.metadata.calibration
    assert own is not None
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "run"
        shutil.copytree(run.path, copy)
        found = calibrate(Run(copy, run.metadata, reader), run.metadata.data)
    kept = ("seed", "extent", "extent_of")
    classes = {
        name: thresholds.model_copy(update={field: getattr(found.classes[name], field) for field in kept})
        for name, thresholds in own.classes.items()
    }
    return own.model_copy(update={"classes": classes})


def masks(
    run: Run, reader: Varied, calibration: Calibration, index: Index, every: int
) -> dict[str, float | None]:
    """Scores of the masks on the test split."""
    made = Segmenter(reader, run.metadata.classes, calibration)
    samples = choose(index.samples, "test", read_split(run.path / "split.csv"))[::every]
    measured = measure(made.segment_images, samples, index, classes=made.classes, intensity=made.intensity)
    pixel, per_class = measured.tally.pixel(), measured.tally.per_class()
    known = [scores.iou for scores in per_class.values() if scores.iou is not None]
    return {
        "f1": pixel.f1,
        "f1_tol2": pixel.f1_tol2,
        "iou": pixel.iou,
        "mean_iou": statistics.mean(known) if known else None,
    }


def measured(run: Run, index: Index, stops: list[str], every: int) -> Iterator[dict[str, object]]:
    own: Varied | None = None
    scored: dict[bytes, Tensor] = {}
    calibration = run.metadata.calibration
    assert calibration is not None
    for way in ways(stops):
        reader = Varied(run, way, scored)
        figures: dict[str, object] = {}
        for name, score in masks(run, reader, calibration, index, every).items():
            figures[f"{name}, own thresholds"] = score
        figures["seconds an image explained"] = reader.seconds / max(len(reader.found), 1)
        figures["explained"] = len(reader.found)
        own = own or reader
        figures["correlation"] = likeness(own, reader)
        for name, score in masks(run, reader, relabelled(run, reader), index, every).items():
            figures[f"{name}, thresholds from labels"] = score
        yield from ({"way": way.name, "figure": name, "value": value} for name, value in figures.items())
    images = list(scored)[:32]
    side = run.metadata.input.size
    some = torch.stack(
        [torch.frombuffer(bytearray(key), dtype=torch.float32).view(3, side, side) for key in images]
    )
    begun = time.process_time()
    run.model.logits(some)
    yield {
        "way": "skipped, for it is clean",
        "figure": "seconds an image scored",
        "value": (time.process_time() - begun) / len(some),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("data", type=Path, help="whole pictures with true masks")
    parser.add_argument("--stop", nargs="*", default=[], help="modules to stop the way back at")
    parser.add_argument("--every", type=int, default=1, help="only every so manieth test picture")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.set_flush_denormal(True)
    run = relmask.load(options.run, device=options.device)
    for figure in measured(run, read_index(options.data), options.stop, options.every):
        print(json.dumps({"run": str(options.run), **figure}), flush=True)


if __name__ == "__main__":
    main()
