"""The folder that a training writes to."""

from relmask.models import bundle
from relmask.models.kept_scores import SCORES
from relmask.out import Contents

CHECK = "check.json"
CHECKPOINTS = "checkpoints"
SIZES = "sizes.json"
TABLES = ("split.csv", "history.csv", SCORES)
REPORT = "report.html"

RUN = Contents(
    "a run",
    "training.json",
    (bundle.METADATA, bundle.WEIGHTS, *TABLES, REPORT, CHECK, SIZES, f"{CHECKPOINTS}/**/*.pt"),
    alone=True,
)
