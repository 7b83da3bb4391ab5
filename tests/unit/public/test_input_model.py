"""How an input is read at the door, and how the same bytes are read when its job runs."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, BeforeValidator, Field, ValidationError, WrapValidator, model_validator
from pydantic.dataclasses import dataclass

from sluice.input_model import read_leniently, read_strictly


class Looked(BaseModel):
    """Looked at before pydantic does."""

    day: date
    pair: tuple[int, bytes]
    some: set[Decimal]

    @model_validator(mode="before")
    @classmethod
    def look(cls, value: Any) -> Any:
        return value


class Single(BaseModel):
    before: Annotated[date, BeforeValidator(lambda value: value)]
    around: Annotated[dict[int, date], WrapValidator(lambda value, read: read(value))]


class Whole(BaseModel):
    number: int


class Either(BaseModel):
    either: Annotated[int | str, Field(union_mode="left_to_right")]


@dataclass
class Part:
    exact: Decimal


class Price(BaseModel):
    """Decimals in all places, and other numbers beside them."""

    exact: Decimal = Decimal(0)
    many: list[Decimal] = []
    by_name: dict[str, Decimal] = {}
    parts: list[Part] = []
    inside: Price | None = None
    either: Decimal | str = ""
    both: float | Decimal = 0.0
    real: float = 0.0
    anything: Any = None
    ratio: Fraction | None = None
    default: Decimal = Decimal(0)  # a word of pydantic's schemas, too


@pytest.mark.parametrize("read", [read_strictly, read_leniently])
def test_values_that_a_validator_hands_on_are_read_as_json_writes_them(read: Any) -> None:
    looked = read(Looked, b'{"day":"2026-01-31","pair":[1,"a"],"some":["1.50"]}')
    assert looked == Looked(day=date(2026, 1, 31), pair=(1, b"a"), some={Decimal("1.50")})
    single = read(Single, b'{"before":"2026-01-31","around":{"1":"2026-01-31"}}')
    assert single.around == {1: single.before} == {1: date(2026, 1, 31)}


def test_other_models_are_read_strictly_at_the_door_and_forgivingly_afterwards() -> None:
    with pytest.raises(ValidationError):
        read_strictly(Whole, b'{"number":"1"}')
    assert read_leniently(Whole, b'{"number":"1"}') == Whole(number=1)


def test_the_job_gets_what_the_door_read() -> None:
    raw = b'{"either":"1"}'
    assert read_strictly(Either, raw) == read_leniently(Either, raw) == Either.model_construct(either="1")


@pytest.mark.parametrize(
    ("raw", "at"),
    [
        (b'{"exact":100.10}', ("exact",)),
        (b'{"exact":0.12345678901234567890}', ("exact",)),
        (b'{"exact":1e3}', ("exact",)),
        (b'{"many":["1",2.5]}', ("many", 1)),
        (b'{"by_name":{"a":2.5}}', ("by_name", "a")),
        (b'{"parts":[{"exact":2.5}]}', ("parts", 0, "exact")),
        (b'{"inside":{"inside":{"exact":2.5}}}', ("inside", "inside", "exact")),
        (b'{"either":2.5}', ("either",)),
        (b'{"default":2.5}', ("default",)),
        (b'{"ratio":0.12345678901234567890}', ("ratio",)),
    ],
)
def test_a_decimal_with_a_fraction_is_no_number(raw: bytes, at: tuple[str | int, ...]) -> None:
    with pytest.raises(ValidationError, match="Send a decimal as a string") as refused:
        read_strictly(Price, raw)
    assert any(flaw["loc"][: len(at)] == at for flaw in refused.value.errors())


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b'{"exact":"0.12345678901234567890"}', Price(exact=Decimal("0.12345678901234567890"))),
        (b'{"exact":9007199254740991}', Price(exact=Decimal(9007199254740991))),
        (b'{"exact":"1","real":2.5,"both":2.5,"anything":[0.10]}', None),
        (b'{"either":"1.5e"}', Price(either="1.5e")),
        (b'{"ratio":"1/3","real":2.5}', Price(ratio=Fraction(1, 3), real=2.5)),
        (b'{"ratio":"0.12345678901234567890"}', Price(ratio=Fraction("0.12345678901234567890"))),
        (b'{"ratio":2,"real":2.5}', Price(ratio=Fraction(2), real=2.5)),
    ],
)
def test_a_string_or_a_whole_number_is_and_so_is_any_number_elsewhere(
    raw: bytes, value: Price | None
) -> None:
    read = read_strictly(Price, raw)
    assert value is None or read == value


def test_what_was_stored_before_still_runs() -> None:
    assert read_leniently(Price, b'{"exact":100.1}') == Price(exact=Decimal("100.1"))
