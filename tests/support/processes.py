"""Processes that tests did not start themselves."""

from __future__ import annotations

from pathlib import Path


def lives(pid: int) -> bool:
    """Tell whether there is such a process that is not merely waiting to be buried."""
    try:
        return ") Z" not in Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):  # gone, or gone while it was read
        return False
