"""relmask: pixel masks from image-level labels.

    run = relmask.train("parts/", out="run")          # or relmask.load("run")
    result = run.segment("new/001.png")               # .mask .relevance .scores .label .components
    explanation = relmask.explain(model, images, target=3)  # .logits .relevance .conserved

Names load on first use, so that importing relmask costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from relmask import lrp
    from relmask.inspection import Converted, Explained, Outcome, convert_files, explain_files, segment_files
    from relmask.lrp.explain import explain
    from relmask.segmenter import Run, Segmentation, Segmenter, load
    from relmask.training.distil import distil
    from relmask.training.train import train

__version__ = "0.1.0"

_HOMES = {
    "Converted": "relmask.inspection",
    "Explained": "relmask.inspection",
    "Outcome": "relmask.inspection",
    "Run": "relmask.segmenter",
    "Segmentation": "relmask.segmenter",
    "Segmenter": "relmask.segmenter",
    "convert_files": "relmask.inspection",
    "distil": "relmask.training.distil",
    "explain": "relmask.lrp.explain",
    "explain_files": "relmask.inspection",
    "load": "relmask.segmenter",
    "segment_files": "relmask.inspection",
    "train": "relmask.training.train",
}

__all__ = [
    "Converted",
    "Explained",
    "Outcome",
    "Run",
    "Segmentation",
    "Segmenter",
    "__version__",
    "convert_files",
    "distil",
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
