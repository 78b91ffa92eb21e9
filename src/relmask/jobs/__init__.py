"""Many pictures at once: folders, globs and files in; masks or heatmaps and a table, in a folder, out.

A job that was stopped goes on where it was, pictures that cannot be read are listed and the rest is done, and
memory does not grow with the number of pictures.
"""

from relmask.jobs.convert import Converted, convert_files
from relmask.jobs.explain import Explained, explain_files
from relmask.jobs.segment import Outcome, segment_files

__all__ = ["Converted", "Explained", "Outcome", "convert_files", "explain_files", "segment_files"]
