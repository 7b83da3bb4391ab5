"""Stops its process."""

from __future__ import annotations

import os
import signal

from sluice import handler
from tests.fault.hostile.case import Ask, Reply


@handler("hostile.import")
async def innocent(ask: Ask) -> Reply:
    return Reply()


os.kill(os.getpid(), signal.SIGSTOP)  # here
