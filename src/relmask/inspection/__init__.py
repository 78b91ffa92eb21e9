"""Many pictures at once: folders, globs and files in; masks, relevance and one table in a folder out.

A job that was stopped goes on where it was, pictures that cannot be read are listed and the rest is done, and
memory does not grow with the number of pictures.
"""

from relmask.inspection.job import Outcome, segment_files

__all__ = ["Outcome", "segment_files"]
