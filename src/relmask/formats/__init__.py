"""Files that other programs read: masks and relevance as images. Each file is whole or absent."""

from relmask.formats.rasters import write_mask, write_relevance

__all__ = ["write_mask", "write_relevance"]
