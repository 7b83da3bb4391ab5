"""Exits while it is imported."""

from __future__ import annotations

import sys

from sluice import handler
from tests.fault.hostile.case import Ask, Reply


@handler("hostile.import")
async def innocent(ask: Ask) -> Reply:
    return Reply()


sys.exit(3)  # here
