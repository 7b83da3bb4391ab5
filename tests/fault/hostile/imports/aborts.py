"""Aborts while it is imported."""

from __future__ import annotations

import os

from sluice import handler
from tests.fault.hostile.case import Ask, Reply


@handler("hostile.import")
async def innocent(ask: Ask) -> Reply:
    return Reply()


os.abort()  # here
