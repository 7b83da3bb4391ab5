"""Never finishes, nor lets go of the interpreter."""

from __future__ import annotations

import re

from sluice import handler
from tests.fault.hostile.case import Ask, Reply


@handler("hostile.import")
async def innocent(ask: Ask) -> Reply:
    return Reply()


re.match("(a+)+$", "a" * 60 + "b")  # here
