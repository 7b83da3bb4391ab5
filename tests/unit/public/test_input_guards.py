"""What pydantic alone would take, and the schema of an input does not show."""

from __future__ import annotations

import json
from collections import OrderedDict, defaultdict
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum, Flag, IntEnum, StrEnum
from typing import Annotated, Any, Literal, NamedTuple
from uuid import UUID

import pytest
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Json,
    RootModel,
    StringConstraints,
    create_model,
)
from pydantic.dataclasses import dataclass
from typing_extensions import TypedDict

from sluice.errors import BadInput
from sluice.handler import handler
from sluice.handler_io import check_input, read_input
from sluice.input_guards import reader_of


class Nothing(BaseModel):
    """An output."""


class Level(IntEnum):
    LOW = 1
    HIGH = 2


class Share(Enum):
    NONE = 0.0
    HALF = 0.5


class Rights(Flag):
    READ = 1
    WRITE = 2


class Word(StrEnum):
    A = "a"


class Point(NamedTuple):
    at: date


class Typed(TypedDict):
    at: date


@dataclass
class Plain:
    at: date


class Deep(BaseModel):
    """Has all places, and fields with names from pydantic's schemas."""

    at: date = date(2026, 1, 31)
    below: list[Deep] = []
    point: Point = Point(date(2026, 1, 31))
    typed: Typed | None = None
    plain: Plain | None = None
    default: date | None = None
    type: date | None = None
    config: date | None = None
    keys_schema: date | None = None
    level: Level = Level.LOW
    other: Level = Level.LOW
    numbers: dict[int, dict[date, int]] = {}


def read(type_: Any, raw: str, config: Any = None) -> Any:
    """What both readers make of this JSON for a value of this type, or why the API refuses it."""
    return _read(create_model("Given", __config__=config, v=(type_, ...)), f'{{"v":{raw}}}', "v")


def read_deep(raw: str) -> Any:
    return _read(Deep, raw, "at")


def _read(model: type[BaseModel], raw: str, field: str) -> Any:
    def work(given: Any) -> Any:
        """Do nothing."""

    work.__annotations__ = {"given": model, "return": Nothing}
    kind = handler("t.kind")(work)
    try:
        value = check_input(kind, raw.encode())
    except BadInput as refused:
        return str(refused)
    assert read_input(kind, raw.encode()) == value
    return getattr(value, field)


TIME = "/v: Write it as ISO 8601 does, such as 2030-01-31T12:00:00Z; digits alone could be of any unit."
DATE = "Write it as ISO 8601 does, such as 2030-01-31; digits alone could be of any unit."
DURATION = "/v: Write it as ISO 8601 does, such as PT1H30M; digits alone could be of any unit."


@pytest.mark.parametrize("digits", ["1700000000", "2000000000000", "-5", "+5", "0", "1.5", "20260131"])
def test_digits_are_no_time(digits: str) -> None:
    assert read(datetime, f'"{digits}"') == read(AwareDatetime, f'"{digits}"') == TIME
    assert read(date, f'"{digits}"') == f"/v: {DATE}"
    assert read(timedelta, f'"{digits}"') == DURATION
    for union in (datetime | str, str | datetime, date | timedelta | str):
        assert read(union, f'"{digits}"') == digits
    assert read(Annotated[date, BeforeValidator(lambda value: value)], f'"{digits}"') == f"/v: {DATE}"
    assert read(dict[date, int], f'{{"{digits}":1}}') == f"/v/{digits}/[key]: {DATE}"


@pytest.mark.parametrize("text", ["10:00", "1 day", "1 days, 10:00", "3d"])
def test_a_duration_is_no_time_of_day_or_number_of_days(text: str) -> None:
    assert read(timedelta, f'"{text}"') == DURATION


def test_times_are_taken_as_iso_8601_writes_them() -> None:
    at = datetime.fromisoformat("2026-01-31T10:00")
    for text in ("2026-01-31T10:00", "2026-01-31 10:00:00", "2026-01-31t10:00:00.0"):
        assert read(datetime, f'"{text}"') == read(datetime | str, f'"{text}"') == at
    assert read(dict[date, int], '{"2026-01-31":1}') == {at.date(): 1}
    assert read(timedelta, '"P1DT1.5S"') == -read(timedelta, '"-P1DT1.5S"') == timedelta(days=1, seconds=1.5)
    early = Annotated[date, BeforeValidator(lambda value: value)]
    assert read(early, '"2026-01-31"') == at.date()


def test_what_is_wrong_with_a_time_is_said_where_it_stands() -> None:
    assert read(datetime, '"2026-13-31T10:00"') == (
        "/v: Input should be a valid datetime, month value is outside expected range of 1-12"
    )
    assert read(datetime, "5") == "/v: Input should be a valid datetime"
    late = Annotated[date, Field(ge=date(2026, 1, 1))]
    assert read(late, '"2025-01-01"') == "/v: Input should be greater than or equal to 2026-01-01"
    assert read(date | int, '"x"') == f"/v/date: {DATE}; /v/int: Input should be a valid integer"


@pytest.mark.parametrize(
    ("raw", "at"),
    [
        ('{"at":"0"}', "/at"),
        ('{"below":[{"below":[{"at":"0"}]}]}', "/below/0/below/0/at"),
        ('{"point":["0"]}', "/point/0"),
        ('{"typed":{"at":"0"}}', "/typed/at"),
        ('{"plain":{"at":"0"}}', "/plain/at"),
        ('{"default":"0"}', "/default"),
        ('{"type":"0"}', "/type"),
        ('{"config":"0"}', "/config"),
        ('{"keys_schema":"0"}', "/keys_schema"),
        ('{"numbers":{"1":{"0":1}}}', "/numbers/1/0/[key]"),
    ],
)
def test_digits_are_no_date_in_any_place(raw: str, at: str) -> None:
    assert read_deep(raw) == f"{at}: {DATE}"
    assert read_deep(raw.replace('"0"', '"2026-01-31"')) == date(2026, 1, 31)


def test_a_complex_number_is_no_number() -> None:
    assert read(complex, '"1+2j"') == 1 + 2j
    assert read(complex, "1") == read(complex, "1.5") == "/v: Send a complex number as a string, such as 1+2j"


OTHER = "/v: Send one of the values of the schema, of the same type: true is not 1, and 1.0 is not 1"


class One(BaseModel):
    kind: Literal[1]


class Two(BaseModel):
    kind: Literal[2]


@pytest.mark.parametrize(
    ("type_", "raw"),
    [
        (Literal[1, 2], "true"),
        (Literal[1, 2], "1.0"),
        (Literal[0], "false"),
        (Literal[0], "-0.0"),
        (Literal[True], "1"),
        (Literal[True], "1.0"),
        (Literal[1, True], "1.0"),
        (Literal["a", 1], "true"),
        (Literal[Level.LOW], "true"),
        (Level, "true"),
        (Level, "2.0"),
        (Share, "false"),
        (Rights, "true"),
        (Rights, "false"),
        (Rights, "3.0"),
        (Annotated[Level, BeforeValidator(lambda value: value)], "true"),
    ],
)
def test_a_value_of_another_type_is_another_value(type_: Any, raw: str) -> None:
    assert read(type_, raw) == OTHER
    assert read(type_ | None, raw) == OTHER
    assert read(list[type_], f"[{raw}]") == OTHER.replace("/v", "/v/0")


@pytest.mark.parametrize(
    ("type_", "raw", "value"),
    [
        (Literal[1, 2], "2", 2),
        (Literal[True], "true", True),
        (Literal["a", 1], '"a"', "a"),
        (Level, "2", Level.HIGH),
        (Share, "0", Share.NONE),
        (Share, "0.5", Share.HALF),
        (Rights, "3", Rights.READ | Rights.WRITE),
        (Rights, "0", Rights(0)),
        (Word, '"a"', Word.A),
        (Literal[1] | bool, "true", True),
        (Literal[1] | bool, "1", 1),
        (Literal[1] | float, "1.0", 1.0),
        (Level | bool, "true", True),
        (dict[Level, int], '{"1":2}', {Level.LOW: 2}),
    ],
)
def test_a_value_of_the_same_type_is_taken(type_: Any, raw: str, value: Any) -> None:
    taken = read(type_, raw)
    assert taken == value
    assert type(taken) is type(value)


def test_both_literals_that_are_equal_are_taken_as_they_are() -> None:
    assert [read(Literal[1, True], raw) for raw in ("1", "true")] == [1, True]
    assert read(Literal[1, True], "true") is True


def test_a_discriminator_is_compared_by_type() -> None:
    either = Annotated[One | Two, Field(discriminator="kind")]
    assert read(either, '{"kind":2}') == Two(kind=2)
    assert read(either, '{"kind":true}') == OTHER.replace("/v", "/v/1/kind")


def test_what_is_not_among_the_values_is_refused_in_pydantic_s_words() -> None:
    assert read(Literal[1, 2], "3") == read(Literal[1, 2], "3.5") == "/v: Input should be 1 or 2"


Lower = Annotated[str, AfterValidator(str.lower)]
Uuid = "12345678-1234-5678-1234-567812345678"


@pytest.mark.parametrize(
    ("key", "one", "other"),
    [
        (int, "1", "01"),
        (int, "1", " 1"),
        (Decimal, "1.0", "1.00"),
        (float, "1", "1e0"),
        (UUID, Uuid, Uuid.replace("-", "")),
        (bool, "true", "yes"),
        (datetime, "2026-01-31T12:00Z", "2026-01-31T13:00+01:00"),
        (timedelta, "PT60S", "PT1M"),
        (int | date, "1", "+1"),
        (Lower, "a", "A"),
        (Annotated[str, StringConstraints(strip_whitespace=True)], "a", "a "),
    ],
)
def test_keys_that_mean_the_same_are_refused_by_name(key: Any, one: str, other: str) -> None:
    words = f"The keys '{one}' and '{other}' mean the same: send one"
    raw = json.dumps({one: 1, other: 2})
    assert read(dict[key, int], raw) == f"/v: {words}"
    for other_type in (Mapping, OrderedDict, defaultdict):
        assert read(other_type[key, int], raw) == f"/v: {words}"
    assert read(list[dict[str, dict[key, int]]], f'[{{"a":{raw}}}]') == f"/v/0/a: {words}"
    assert len(read(dict[key, int], json.dumps({one: 1}))) == 1


def test_keys_are_read_with_the_configuration_of_their_model() -> None:
    words = "/v: The keys 'YQ==' and 'YQ' mean the same: send one"
    assert read(dict[bytes, int], '{"YQ==":1,"YQ":2}', ConfigDict(val_json_bytes="base64")) == words
    assert read(dict[bytes, int], '{"YQ==":1,"YQ":2}') == {b"YQ==": 1, b"YQ": 2}
    words = "/v: The keys 'a' and 'A' mean the same: send one"
    assert read(dict[str, int], '{"a":1,"A":2}', ConfigDict(str_to_lower=True)) == words
    assert read(dict[str, int], '{"a":1,"A":2}') == {"a": 1, "A": 2}
    lower = ConfigDict(str_to_lower=True)
    named = create_model("Given", __config__=lower, v=(dict[str, int], ...), config=(int, 0))
    assert _read(named, '{"v":{"a":1,"A":2}}', "v") == words


def test_equal_keys_are_found_in_recursive_models_and_roots() -> None:
    words = "/below/0/numbers: The keys '1' and '01' mean the same: send one"
    assert read_deep('{"below":[{"numbers":{"1":{},"01":{}}}]}') == words
    assert _read(RootModel[dict[int, int]], '{"1":1,"01":2}', "root") == words.replace("below/0/numbers", "")


JSON_OF: Any = Json


def test_equal_keys_are_found_in_json_in_a_string() -> None:
    for text in (
        '{"a":1,"a":2}',
        f'[{"1" * 5_000},{{"a":1,"a":2}}]',
        '{"b":1,"b":2,"a":1,"a":2}',
        '[{"c":{"a":1,"\\u0061":2}}]',
    ):
        given = json.dumps(text)
        assert read(JSON_OF[Any], given) == "/v: The JSON in it names the key 'a' twice in one object"
    assert read(JSON_OF[dict[int, int]], '"{\\"1\\":1,\\"01\\":2}"') == (
        "/v: The keys '1' and '01' mean the same: send one"
    )
    assert read(JSON_OF[Any], '"[{},{\\"a\\":[]}]"') == [{}, {"a": []}]
    for text in ("{", "[" * 100_000, "1" * 5_000 + "x"):
        assert read(JSON_OF[Any], json.dumps(text)).startswith("/v: Invalid JSON")
    assert read(JSON_OF[Any], "1") == "/v: JSON input should be string, bytes or bytearray"


def test_other_flaws_of_an_object_are_said_as_usual() -> None:
    assert read(dict[int, int], '{"1":1,"x":2}').startswith("/v/x/[key]: Input should be a valid integer")
    assert read(dict[int, int], '{"1":"a"}') == "/v/1: Input should be a valid integer"
    assert read(dict[int, int], "[1]") == "/v: Input should be an object"
    assert read(Annotated[dict[int, int], Field(max_length=1)], '{"1":1,"2":2}') == (
        "/v: Dictionary should have at most 1 item after validation, not more"
    )


class Unguarded(BaseModel):
    """Has nothing of which pydantic takes too much."""

    number: int
    words: list[str]
    by_word: dict[str, float]
    by_letter: dict[Literal["a", "b"], int]
    word: Literal["a"]
    other: Word


def test_models_with_nothing_to_guard_are_read_by_their_own_validator() -> None:
    assert reader_of(Unguarded) is Unguarded.__pydantic_validator__
    assert reader_of(Deep) is not Deep.__pydantic_validator__


class Old(BaseModel):
    at: datetime
    numbers: dict[int, int]
    level: Level


def test_what_was_stored_before_still_runs() -> None:
    def work(given: Old) -> Nothing:
        """Do nothing."""
        return Nothing()

    work.__annotations__ = {"given": Old, "return": Nothing}
    raw = b'{"at":"0","numbers":{"1":1,"01":2},"level":true}'
    stored = read_input(handler("t.old")(work), raw)
    assert stored == Old(at=datetime.fromisoformat("1970-01-01T00:00:00Z"), numbers={1: 2}, level=Level.LOW)
