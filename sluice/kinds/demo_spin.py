"""`demo.spin`: work that uses processor time, to see that nothing else slows down."""

from time import process_time

from pydantic import BaseModel, ConfigDict, Field

from sluice import Context, handler

ROUND = 20_000


class Spin(BaseModel):
    """How much to burn."""

    model_config = ConfigDict(strict=True, extra="forbid", json_schema_extra={"examples": [{"seconds": 0.5}]})

    seconds: float = Field(ge=0, le=600, description="Seconds of processor time to burn", examples=[0.5])


class Spun(BaseModel):
    """What was burnt."""

    iterations: int = Field(description="Steps that were computed", examples=[4_000_000])
    cpu_s: float = Field(description="Seconds of processor time that were used", examples=[0.5])


@handler("demo.spin", runs_in="process", timeout_s=3600)
def spin(wanted: Spin, context: Context) -> Spun:
    """Burn processor time in a process of its own, reporting progress."""
    began = process_time()
    iterations, number = 0, 1
    while (used := process_time() - began) < wanted.seconds:
        for _ in range(ROUND):
            number = (number * 1_103_515_245 + 12_345) % 2_147_483_648
        iterations += ROUND
        context.progress(100 * used / wanted.seconds, f"{iterations} steps")
    return Spun(iterations=iterations, cpu_s=round(used, 3))
