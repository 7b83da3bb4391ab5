"""Give large blocks of memory back to the system as soon as they are free."""

from __future__ import annotations

import ctypes
from contextlib import suppress

M_MMAP_THRESHOLD = -3  # malloc.h
LARGE = 1024 * 1024


def return_large_blocks() -> None:
    """Call once the process starts, in one that holds bodies of many megabytes.

    By itself glibc raises its threshold with the first large block that is freed. Later ones are then cut from the heap,
    which keeps what lies below its last block in use: as much as was held at the worst moment. Other C libraries lack this.
    """
    with suppress(AttributeError):
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, LARGE)
