"""The garbage collector after the start of a process."""

import gc

from sluice.core.runtime.garbage_collection import THRESHOLDS, settle_garbage_collection


def test_what_was_there_at_the_start_is_frozen_and_rounds_are_large() -> None:
    before = gc.get_threshold()
    try:
        settle_garbage_collection()
        assert gc.get_freeze_count() > 1_000
        assert gc.get_threshold() == THRESHOLDS
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)
