"""Never finishes."""

from __future__ import annotations

import time

from sluice import handler
from tests.fault.hostile.case import Ask, Reply


@handler("hostile.import")
async def innocent(ask: Ask) -> Reply:
    return Reply()


time.sleep(600)  # here
