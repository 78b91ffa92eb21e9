"""Memory that is kept between one batch and the next."""

import contextlib
import ctypes

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # malloc.h
LARGEST = 2**31 - 1, 2**25
"""Largest block sizes in bytes that mallopt takes, now and before glibc 2.35."""


def keep_freed_memory() -> None:
    """Let glibc keep what is freed, for the next tensor of its size.

    By default it hands every large block back to the kernel, which clears it page by page when the next
    batch asks for it again: half of the time of a forward pass on a virtual machine. Elsewhere (musl, macOS,
    Windows) nothing is done. For a command, not for a library: it is a choice for the whole process.
    """
    with contextlib.suppress(OSError, AttributeError, TypeError):  # no such function; TypeError: Windows
        mallopt = ctypes.CDLL(None).mallopt
        if any(mallopt(MMAP_THRESHOLD, size) for size in LARGEST):
            mallopt(TRIM_THRESHOLD, LARGEST[0])
