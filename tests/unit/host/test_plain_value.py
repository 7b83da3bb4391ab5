"""Plain values."""

from __future__ import annotations

import math

import orjson
import ormsgpack
from hypothesis import given

from sluice.host.plain_value import plain_text, plain_value
from tests.unit.host.odd_values import ANY_VALUE, Colour, Halved, Silent, Size


@given(ANY_VALUE)
def test_any_value_can_be_sent_and_written(value: object) -> None:
    plain = plain_value(value, 50)
    assert type(plain) in (str, int, float, bool, type(None))
    assert ormsgpack.unpackb(ormsgpack.packb(plain)) == plain
    assert orjson.loads(orjson.dumps(plain)) == plain
    assert not isinstance(plain, str) or (len(plain) <= 50 and "\0" not in plain)


def test_numbers_stay_numbers() -> None:
    assert [plain_value(value, 9) for value in (1, -(2**63), 1.5, True, None)] == [
        1,
        -(2**63),
        1.5,
        True,
        None,
    ]
    plain = [plain_value(value, 9) for value in (Size.LARGE, Halved(0.5))]
    assert plain == [7, 0.5]
    assert list(map(type, plain)) == [int, float]


def test_numbers_that_json_has_not_are_text() -> None:
    assert [plain_value(value, 99) for value in (2**70, math.nan, -math.inf)] == [str(2**70), "nan", "-inf"]
    assert plain_value(10**5000, 99) == "<int without text: ValueError>"


def test_text_is_cut_and_cleaned() -> None:
    assert plain_text("caf\udce9\0 and more", 7) == "caf?\ufffd …"
    assert plain_text(Colour.RED, 9) == "red"


def test_what_has_no_text_says_so() -> None:
    assert plain_text(Silent(), 99) == "<Silent without text: ValueError>"
