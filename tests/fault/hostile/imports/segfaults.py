"""Reads where nothing is."""

from __future__ import annotations

import ctypes

from sluice import handler
from tests.fault.hostile.case import Ask, Reply


@handler("hostile.import")
async def innocent(ask: Ask) -> Reply:
    return Reply()


ctypes.string_at(0)  # here
