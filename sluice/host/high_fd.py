"""Keep descriptors where handlers do not reach them: what they close by number, in a loop, is lower."""

from __future__ import annotations

import fcntl
import os

HIGH_FD = 500


def copy_high(fd: int) -> int:
    """Copy a descriptor to a high number, for this process alone; to any if high ones are not allowed. Raises OSError."""
    try:
        return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, HIGH_FD)
    except OSError:
        return os.dup(fd)
