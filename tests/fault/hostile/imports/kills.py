"""Kills its whole process group."""

from __future__ import annotations

import os
import signal

from sluice import handler
from tests.fault.hostile.case import Ask, Reply


@handler("hostile.import")
async def innocent(ask: Ask) -> Reply:
    return Reply()


os.killpg(0, signal.SIGKILL)  # here
