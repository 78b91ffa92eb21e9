"""A trained run: its model, its thresholds, and pictures in any form in."""

import warnings
from pathlib import Path

import torch
from torch import nn

from relmask.arrays import FloatArray
from relmask.data.reading import read_image
from relmask.errors import RunError, UsageError
from relmask.inference.explained import ExplainedClassifier
from relmask.inference.model import Model
from relmask.inference.picture import Picture, as_image
from relmask.inference.segmentation import SegmentationModel
from relmask.inference.segmenter import Segmentation, Segmenter
from relmask.masks.gates import gated_anew, too_few_negatives
from relmask.models.bundle import Metadata, UNetArchitecture, load_model, read_metadata
from relmask.models.kept_scores import read_scores


class Run:
    """A trained run on disk: its model, its thresholds, and what it was trained on.

    Args:
        path: folder of the run.
        metadata: what relmask.json says.
        model: what scores and explains.
    """

    def __init__(self, path: Path, metadata: Metadata, model: Model) -> None:
        self.path = path
        self.metadata = metadata
        self.model = model
        self._segmenter: Segmenter | None = None

    @property
    def classifier(self) -> ExplainedClassifier:
        """The classifier that explanations start from.

        Raises:
            UsageError: the run is a student, which draws its masks itself.
        """
        if not isinstance(self.model, ExplainedClassifier):
            raise UsageError(
                f"{self.path} is a student: it draws its masks itself and explains nothing. Name the run "
                "that it was distilled from."
            )
        return self.model

    @property
    def segmenter(self) -> Segmenter:
        """What makes masks, with the thresholds that the run has now.

        Raises:
            RunError: the run has no thresholds yet.
        """
        if self.metadata.calibration is None:
            raise RunError(f"{self.path} has no thresholds. Choose them: relmask calibrate {self.path} DATA")
        if self._segmenter is None or self._segmenter.calibration is not self.metadata.calibration:
            self._segmenter = Segmenter(self.model, self.metadata.classes, self.metadata.calibration)
        return self._segmenter

    def segmenter_with(self, *, false_alarms: float | None = None, explain_clean: bool = False) -> Segmenter:
        """What makes masks for one job, with choices of its own; nothing is written into the run.

        Where too few groups of clean images support the rate, a warning says so, as after a training.

        Args:
            false_alarms: share of clean images that may get a mask, 0 <= share < 1. The gates are chosen anew
                from the scores that the run keeps, by the rule of a training. None: the run's own gates.
            explain_clean: explain the strongest class of an image that passes no gate.

        Raises:
            RunError: the run has no thresholds, or keeps no scores, as runs of earlier versions.
            UsageError: a share out of range.
        """
        if false_alarms is None and not explain_clean:
            return self.segmenter
        classes, calibration = self.metadata.classes, self.segmenter.calibration
        if false_alarms is not None:
            if not 0 <= false_alarms < 1:
                raise UsageError(f"--false-alarms must be at least 0 and below 1, got {false_alarms}.")
            calibration = gated_anew(calibration, read_scores(self.path, classes).scores, false_alarms)
            if said := too_few_negatives(calibration, self.metadata.clean):
                warnings.warn(said, stacklevel=2)
        return Segmenter(self.model, classes, calibration, explain_clean=explain_clean)

    def read(self, path: Path | str) -> FloatArray:
        """A file as an array (H, W, 3) in [0, 1], on the run's scale.

        Raises:
            ImageError: it cannot be read.
        """
        return read_image(Path(path), self.metadata.input.intensity)

    def segment(
        self, picture: Picture, *, false_alarms: float | None = None, explain_clean: bool = False
    ) -> Segmentation:
        """Segment one picture.

        Args:
            picture: a path; a PIL image; a numpy array (H, W), (H, W, 1) or (H, W, 3), uint8, uint16 or float
                in [0, 1]; or a tensor (H, W), (1, H, W) or (3, H, W) of these types.
            false_alarms: share of clean images that may get a mask, instead of the run's own.
            explain_clean: explain a picture that passes no gate, too; see `segmenter_with`.

        Raises:
            ImageError: the file cannot be read.
            UsageError: an array or a tensor of another shape, type or range, or such a share.
            RunError: the run has no thresholds, or no scores to choose other gates from.
        """
        segmenter = self.segmenter_with(false_alarms=false_alarms, explain_clean=explain_clean)
        return segmenter.segment_images([as_image(picture, self.metadata.input.intensity)])[0]


def load(
    run: Path | str, *, device: str = "auto", model: nn.Module | None = None, batch_size: int = 8
) -> Run:
    """Load a run that `train` or `distil` wrote.

    Args:
        run: folder of the run.
        device: "auto", "cpu", "cuda" or another that torch knows.
        model: the module, where the run was trained on a user's own.
        batch_size: images, or windows, at once.

    Raises:
        RunError: not a run, or damaged.
        UsageError: no such device.
    """
    path = Path(run)
    metadata = read_metadata(path)
    network = load_model(path, metadata, model)
    return Run(path, metadata, model_of(network, metadata, find_device(device), batch_size))


def model_of(network: nn.Module, metadata: Metadata, device: torch.device, batch_size: int = 8) -> Model:
    """The model of a run: a student's maps are used as they are, a classifier is explained."""
    if isinstance(metadata.architecture, UNetArchitecture):
        return SegmentationModel(network, metadata.input, device, batch_size)
    return ExplainedClassifier(network, metadata.input, metadata.composite, device, batch_size)


def find_device(name: str) -> torch.device:
    """The device of that name; "auto" is CUDA where there is some, else the CPU.

    Raises:
        UsageError: torch does not know it, or this machine does not have it.
    """
    try:
        device = torch.device(("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name)
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        first = str(error).splitlines()[0]
        raise UsageError(f"No device {name!r} here ({first}). Choose auto, cpu or cuda.") from error
    return device
