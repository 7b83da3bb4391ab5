"""`demo.sum`: the smallest possible kind; its cost is that of Sluice itself."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from sluice import handler

LARGEST = 2**53 - 1
"""Many JSON readers round larger numbers."""

Whole = Annotated[int, Field(ge=-LARGEST // 10_000, le=LARGEST // 10_000)]


class Numbers(BaseModel):
    """Whole numbers to add."""

    model_config = ConfigDict(
        strict=True, extra="forbid", json_schema_extra={"examples": [{"values": [1, 2, 3]}]}
    )

    values: list[Whole] = Field(
        min_length=1, max_length=10_000, description="1 to 10,000 whole numbers", examples=[[1, 2, 3]]
    )


class Total(BaseModel):
    """Their sum."""

    total: int = Field(description="The sum of the values", examples=[6])


@handler("demo.sum", timeout_s=30)
async def add_up(numbers: Numbers) -> Total:
    """Add up whole numbers."""
    return Total(total=sum(numbers.values))
