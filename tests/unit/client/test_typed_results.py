"""What `as_` makes of a result, which has come as JSON."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import Enum
from uuid import UUID

import pytest
from pydantic import BaseModel, ConfigDict

from sluice.client import ResultInvalid, Sluice
from sluice.client.testing import FakeSluice


class Colour(Enum):
    """A text of a few."""

    RED = "red"


class Receipt(BaseModel):
    """A model that takes nothing for something else, with values that JSON has only as texts and lists."""

    model_config = ConfigDict(strict=True, val_json_bytes="base64")
    at: datetime
    id: UUID
    pair: tuple[int, int]
    tags: set[str]
    colour: Colour
    data: bytes


GIVEN = {
    "at": "2026-01-02T03:04:05Z", "id": "00000000-0000-0000-0000-000000000005", "pair": [1, 2], "tags": ["a"], "colour": "red", "data": "AAE=",
}  # fmt: skip


@pytest.fixture
def sluice() -> Sluice:
    fake = FakeSluice()
    fake.on("shop.pay", lambda given: given)
    return fake


def test_a_strict_model_takes_what_json_has_for_its_values(sluice: Sluice) -> None:
    made = Receipt(
        at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), id=UUID(int=5), pair=(1, 2), tags={"a"}, colour=Colour.RED, data=b"\0\1"
    )  # fmt: skip
    assert sluice.run("shop.pay", GIVEN, as_=Receipt) == made
    assert sluice.run("shop.pay", {"all": [GIVEN]}, as_=dict[str, list[Receipt]]) == {"all": [made]}


def test_a_strict_model_takes_nothing_else(sluice: Sluice) -> None:
    with pytest.raises(ResultInvalid, match="pair"):
        sluice.run("shop.pay", GIVEN | {"pair": ["1", "2"]}, as_=Receipt)
