"""Raises what is no Exception."""

from __future__ import annotations

from sluice import handler
from tests.fault.hostile.case import Ask, Reply


@handler("hostile.import")
async def innocent(ask: Ask) -> Reply:
    return Reply()


raise BaseException("odd")  # here
