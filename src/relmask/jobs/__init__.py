"""Many pictures at once: takes folders, globs and files; leaves masks or heatmaps and a table in a folder.

A job that was stopped continues where it was. Pictures that cannot be read are listed, and the rest is done.
Memory does not grow with the number of pictures.
"""

from relmask.jobs.convert import Converted, convert_files
from relmask.jobs.explain import Explained, explain_files
from relmask.jobs.segment import Outcome, segment_files

__all__ = ["Converted", "Explained", "Outcome", "convert_files", "explain_files", "segment_files"]
