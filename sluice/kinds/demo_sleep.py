"""`demo.sleep`: work that only waits, like a call to another service; thousands at once cost little."""

import asyncio
from time import monotonic

from pydantic import BaseModel, ConfigDict, Field

from sluice import Context, handler

STEP_S = 1.0


class Nap(BaseModel):
    """How long to sleep."""

    model_config = ConfigDict(strict=True, extra="forbid", json_schema_extra={"examples": [{"seconds": 0.5}]})

    seconds: float = Field(ge=0, le=3600, description="Seconds to sleep", examples=[0.5])


class Slept(BaseModel):
    """How long it took."""

    slept_s: float = Field(description="Seconds that passed", examples=[0.5])


@handler("demo.sleep", timeout_s=3700)
async def sleep(nap: Nap, context: Context) -> Slept:
    """Sleep for some seconds, reporting progress."""
    began = monotonic()
    while (left := began + nap.seconds - monotonic()) > 0:
        await asyncio.sleep(min(left, STEP_S))
        context.progress(100 * min(1.0, (monotonic() - began) / nap.seconds), "sleeping")
    return Slept(slept_s=round(monotonic() - began, 3))
