"""How Python collects garbage in a process that makes tens of thousands of short-lived objects a second."""

from __future__ import annotations

import gc

THRESHOLDS = (5_000, 10, 5)
"""Larger rounds than usual, yet so that what is left of errors (cycles of tracebacks and frames) is gone before the heap
grows by it: in an hour of faults processes stay level. Measured, rounds of 20,000, 50 and 100 spare 10 to 20 µs of
processor time per job in each process, and grow by 1.5 MiB in ten minutes of faults.
"""


def settle_garbage_collection() -> None:
    """Once the process has started: what lives as long as it does is never looked at again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
