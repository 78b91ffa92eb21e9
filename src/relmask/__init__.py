"""relmask: pixel masks from image-level labels.

    run = relmask.train("parts/", out="run")          # or relmask.load("run")
    result = run.segment("new/001.png")               # .mask .relevance .scores .status .components
    explanation = relmask.explain(model, images, target=3)  # .logits .relevance .conserved

Names load on first use, so that importing relmask costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from relmask import lrp
    from relmask.calibration.calibrate import calibrate
    from relmask.calibration.heatmaps import HeatmapThresholds, calibrate_heatmaps
    from relmask.checks.check import check
    from relmask.evaluation.comparison.compare import compare
    from relmask.evaluation.evaluate import evaluate
    from relmask.inference.run import Run, load
    from relmask.inference.segmenter import Segmentation, Segmenter
    from relmask.jobs import Converted, Explained, Outcome, convert_files, explain_files, segment_files
    from relmask.lrp.explain import explain
    from relmask.training.distil import distil
    from relmask.training.train import train

__version__ = "0.1.0"

_HOMES = {
    "Converted": "relmask.jobs",
    "Explained": "relmask.jobs",
    "HeatmapThresholds": "relmask.calibration.heatmaps",
    "Outcome": "relmask.jobs",
    "Run": "relmask.inference.run",
    "Segmentation": "relmask.inference.segmenter",
    "Segmenter": "relmask.inference.segmenter",
    "calibrate": "relmask.calibration.calibrate",
    "calibrate_heatmaps": "relmask.calibration.heatmaps",
    "check": "relmask.checks.check",
    "compare": "relmask.evaluation.comparison.compare",
    "convert_files": "relmask.jobs",
    "distil": "relmask.training.distil",
    "evaluate": "relmask.evaluation.evaluate",
    "explain": "relmask.lrp.explain",
    "explain_files": "relmask.jobs",
    "load": "relmask.inference.run",
    "segment_files": "relmask.jobs",
    "train": "relmask.training.train",
}

__all__ = [
    "Converted",
    "Explained",
    "HeatmapThresholds",
    "Outcome",
    "Run",
    "Segmentation",
    "Segmenter",
    "__version__",
    "calibrate",
    "calibrate_heatmaps",
    "check",
    "compare",
    "convert_files",
    "distil",
    "evaluate",
    "explain",
    "explain_files",
    "load",
    "lrp",
    "segment_files",
    "train",
]


if not TYPE_CHECKING:  # so that mypy still finds names that do not exist

    def __getattr__(name: str) -> object:
        if name == "lrp":
            return import_module("relmask.lrp")
        if name not in _HOMES:
            raise AttributeError(f"module 'relmask' has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(_HOMES[name]), name)
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
