"""Run the consumer process: it runs jobs until SIGTERM."""

from __future__ import annotations

import os

import uvloop

from consumer.start import prepare
from consumer.worker import Worker
from sluice.adapters.logs import say_why
from sluice.core.runtime.large_blocks import return_large_blocks
from sluice.core.runtime.standard_streams import open_closed_streams
from sluice.core.taken_names import refuse_what_hides_us
from sluice.errors import SluiceError, StartRefused

NICE = 5
"""So that work takes no processor time from an api on the same machine; hosts are nicer still."""


def main(debug: bool = False) -> int:
    """Run one consumer; return exit status 0 after a stop, 1 if a part of it broke, 2 if the start was refused.

    `debug`: handlers run in this very process, where `breakpoint()` works.
    """
    open_closed_streams()
    try:
        refuse_what_hides_us()
        worker = Worker(prepare(debug), debug)
        os.nice(NICE)
        return_large_blocks()
        uvloop.run(worker.run())
    except StartRefused as error:
        say_why(error)
        return 2
    except SluiceError as error:
        say_why(error)
        return 1
    return 0
