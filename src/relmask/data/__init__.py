"""Takes DATA (a CSV, or folders of pictures), gives samples with labels and splits, and pictures as arrays.

Knows neither networks nor relevance. True masks are opened by `truth` alone.
"""

from relmask.data.index import Index, Sample, read_index
from relmask.data.reading import Intensity, measure_intensity, read_image
from relmask.data.splits import Split, assign, read_split, write_split
from relmask.data.truth import read_truth

__all__ = [
    "Index",
    "Intensity",
    "Sample",
    "Split",
    "assign",
    "measure_intensity",
    "read_image",
    "read_index",
    "read_split",
    "read_truth",
    "write_split",
]
