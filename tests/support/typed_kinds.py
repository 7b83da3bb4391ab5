"""Kinds of all types and model configurations: one row each, with an input and the answer to it.

Each handler returns what it was given. Inputs and answers are JSON as clients see it.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from ipaddress import IPv4Address
from typing import Annotated, Any, Generic, Literal, NamedTuple, TypeVar
from uuid import UUID

from pydantic import (
    AfterValidator,
    AliasChoices,
    AliasPath,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    HttpUrl,
    Json,
    RootModel,
    Secret,
    SecretStr,
    Tag,
    UrlConstraints,
    computed_field,
    field_serializer,
    model_serializer,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic.dataclasses import dataclass as checked_dataclass
from typing_extensions import TypedDict

from sluice import handler
from sluice.handler import AnyHandler

T = TypeVar("T")


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    LOW = 1


class Rights(enum.Flag):
    READ = 1
    WRITE = 2


class Point(NamedTuple):
    x: int
    y: int = 0


class Box(TypedDict, total=False):
    width: int


@dataclass
class Plain:
    size: int = 1


@checked_dataclass
class Checked:
    size: Annotated[int, Field(alias="Size")] = 1


class Inner(BaseModel):
    """Looks different as input and as output."""

    long_name: int = Field(1, alias="longName")

    @computed_field
    def twice(self) -> int:
        return 2 * self.long_name


class Scalars(BaseModel):
    whole: int
    real: float
    text: str
    truth: bool
    nothing: None
    exact: Decimal
    day: date
    at: datetime
    hour: time
    lasts: timedelta
    id: UUID
    raw: bytes
    colour: Colour
    level: Level
    word: Literal["a", 1]
    address: IPv4Address
    anything: Any


class Containers(BaseModel):
    some: set[int]
    frozen: frozenset[str]
    pair: tuple[int, str]
    many: tuple[int, ...]
    by_day: dict[date, list[int]]
    by_number: dict[int, str]
    by_level: dict[Level, str]
    rights: Rights
    point: Point
    box: Box
    plain: Plain
    checked: Checked


class Defaults(BaseModel):
    given: int
    usual: int = 7
    made: list[int] = Field(default_factory=lambda: [1])
    maybe: int | None = None


class Aliases(BaseModel):
    both: int = Field(alias="Both")
    apart: int = Field(validation_alias="apartIn", serialization_alias="apartOut")
    choice: int = Field(validation_alias=AliasChoices(AliasPath("deep", "er"), "choiceIn"))
    inner: Inner


class ByName(BaseModel):
    model_config = ConfigDict(populate_by_name=True)
    both: int = Field(alias="Both")


class OnlyByName(BaseModel):
    model_config = ConfigDict(validate_by_name=True, validate_by_alias=False, serialize_by_alias=False)
    both: int = Field(alias="Both")


class Camel(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, serialize_by_alias=True, extra="forbid")
    long_name: int
    inner_part: Inner


class Left(BaseModel):
    """Some of it stays inside."""

    shown: int
    hidden: int = Field(5, exclude=True)
    unless_none: int | None = Field(None, exclude_if=lambda value: value is None)


class Computed(BaseModel):
    model_config = ConfigDict(extra="forbid")
    side: int

    @computed_field(alias="Area")
    def area(self) -> int:
        return self.side**2


class Allowing(BaseModel):
    model_config = ConfigDict(extra="allow")
    known: int


class Ignoring(BaseModel):
    model_config = ConfigDict(extra="ignore")
    known: int


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]
    tricks: list[str]


class Pets(BaseModel):
    one: Annotated[Cat | Dog, Field(discriminator="kind")]
    other: Annotated[
        Annotated[Cat, Tag("c")] | Annotated[Dog, Tag("d")],
        Discriminator(lambda value: "c" if "cat" in str(value) else "d"),
    ]
    either: int | str
    first: Annotated[int | str, Field(union_mode="left_to_right")]


class Numbers(RootModel[list[int]]):
    """Nothing but a list."""


class Of(BaseModel, Generic[T]):
    item: T


class Tree(BaseModel):
    name: str
    below: list[Tree] = []


class Early(BaseModel):
    """Its validators see values before pydantic does, and hand on what JSON has no type for."""

    day: Annotated[date, BeforeValidator(lambda value: value)]
    pair: tuple[int, Decimal]

    @model_validator(mode="before")
    @classmethod
    def look(cls, value: Any) -> Any:
        return value


class Written(BaseModel):
    """Is written otherwise than it is read."""

    day: date
    number: Annotated[int, AfterValidator(abs)]

    @field_serializer("day")
    def write_day(self, day: date) -> int:
        return day.year


class AsWhole(BaseModel):
    a: int

    @model_serializer
    def write(self) -> dict[str, int]:
        return {"b": self.a}


class Formats(BaseModel):
    model_config = ConfigDict(ser_json_timedelta="float", ser_json_bytes="base64", val_json_bytes="base64")
    lasts: timedelta
    raw: bytes
    packed: Json[list[int]]


class Lengths(BaseModel):
    """Bounds values whose text in JSON has another length."""

    model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")
    raw: Annotated[bytes, Field(min_length=3, max_length=3)]
    pin: Annotated[SecretStr, Field(max_length=4)]
    secret: Secret[int]
    link: Annotated[HttpUrl, UrlConstraints(max_length=13)]


class Strict(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)
    number: Annotated[int, Field(strict=False)]
    few: Annotated[list[int], Field(max_length=3)]


SCALARS = {
    "whole": 2**53 - 1,
    "real": 0.1,
    "text": "ä😀",
    "truth": True,
    "nothing": None,
    "exact": "100.10",
    "day": "2026-01-31",
    "at": "2026-01-31T12:00:00.5+02:00",
    "hour": "12:30:00",
    "lasts": "P1DT0.5S",
    "id": "12345678-1234-5678-1234-567812345678",
    "raw": "bytes",
    "colour": "red",
    "level": 1,
    "word": 1,
    "address": "127.0.0.1",
    "anything": {"a": [1.5, None]},
}
CONTAINERS = {
    "some": [1],
    "frozen": ["a"],
    "pair": [1, "a"],
    "many": [1, 2],
    "by_day": {"2026-01-31": [1]},
    "by_number": {"1": "a"},
    "by_level": {"1": "a"},
    "rights": 3,
    "point": [1, 2],
    "box": {"width": 1},
    "plain": {"size": 2},
    "checked": {"Size": 3},
}
CAT, DOG = {"kind": "cat", "lives": 9}, {"kind": "dog", "tricks": ["sit"]}
PETS = {"one": CAT, "other": DOG, "either": "1", "first": "1"}
TREE = {"name": "a", "below": [{"name": "b", "below": []}]}


class Row(NamedTuple):
    """A kind, an input that it takes, and its answer: the input itself if none is named."""

    model: type[BaseModel]
    given: Any
    answer: Any = None

    @property
    def name(self) -> str:
        """The kind."""
        return f"typed.{self.model.__name__.split('[')[0].lower()}"

    @property
    def answered(self) -> Any:
        """The answer."""
        return self.given if self.answer is None else self.answer


ROWS = [
    Row(Scalars, SCALARS, SCALARS | {"at": "2026-01-31T12:00:00.500000+02:00"}),
    Row(Containers, CONTAINERS),
    Row(Defaults, {"given": 1}, {"given": 1, "usual": 7, "made": [1], "maybe": None}),
    Row(
        Aliases,
        {"Both": 1, "apartIn": 2, "choiceIn": 3, "inner": {"longName": 4}},
        {"Both": 1, "apartOut": 2, "choice": 3, "inner": {"longName": 4, "twice": 8}},
    ),
    Row(ByName, {"Both": 1}),
    Row(OnlyByName, {"both": 1}, {"Both": 1}),
    Row(
        Camel,
        {"longName": 1, "innerPart": {"longName": 2}},
        {"longName": 1, "innerPart": {"longName": 2, "twice": 4}},
    ),
    Row(Left, {"shown": 1, "hidden": 2}, {"shown": 1}),
    Row(Computed, {"side": 3}, {"side": 3, "Area": 9}),
    Row(Allowing, {"known": 1, "more": "x"}),
    Row(Ignoring, {"known": 1, "more": "x"}, {"known": 1}),
    Row(Pets, PETS),
    Row(Numbers, [1, 2]),
    Row(Of[dict[str, Decimal]], {"item": {"a": "1.50"}}),
    Row(Tree, TREE),
    Row(Early, {"day": "2026-01-31", "pair": [1, "2.50"]}),
    Row(Written, {"day": "2026-01-31", "number": -3}, {"day": 2026, "number": 3}),
    Row(AsWhole, {"a": 1}, {"b": 1}),
    Row(
        Formats,
        {"lasts": "PT1.5S", "raw": "_w==", "packed": "[1]"},
        {"lasts": 1.5, "raw": "_w==", "packed": [1]},
    ),
    Row(
        Lengths,
        {"raw": "YWJj", "pin": "1234", "secret": 1, "link": "https://ab.cd"},
        {"raw": "YWJj", "pin": "*" * 10, "secret": "*" * 10, "link": "https://ab.cd/"},
    ),
    Row(Strict, {"number": 1, "few": [1]}),
]


def _kind_of(row: Row) -> AnyHandler:
    def give_back(given: Any) -> Any:
        return given

    give_back.__annotations__ = {"given": row.model, "return": row.model}
    give_back.__module__ = __name__
    decorate: Callable[[Any], AnyHandler] = handler(row.name)
    return decorate(give_back)


KINDS = {row.name: _kind_of(row) for row in ROWS}
globals().update({f"kind_{index}": kind for index, kind in enumerate(KINDS.values())})


class Wrong(BaseModel):
    """What is to be wrong with the output."""

    what: str


class Exact(BaseModel):
    """An output that is wrong in one field."""

    whole: int = Field(0, ge=-(2**70))
    real: float | None = 0.0
    text: str = ""
    raw: bytes = b""
    few: list[int] = Field(default_factory=list, max_length=1, serialization_alias="Few")
    anything: Any = None


_DOES: dict[str, tuple[dict[str, Any], str]] = {
    "large": ({"whole": 2**53}, "/whole"),
    "larger": ({"whole": 2**64}, "/whole"),
    "largest": ({"whole": 2**70}, "/whole"),
    "negative": ({"whole": -(2**70)}, "/whole"),
    "nan": ({"real": float("nan")}, "/real"),
    "nul": ({"text": "\0"}, "/text"),
    "surrogate": ({"text": "\udcff"}, "/text"),
    "bytes": ({"raw": b"\xff"}, "/raw"),
    "too many": ({"few": [1, 2]}, "/Few"),
    "inside": ({"anything": {"a/b": [2**53]}}, "/anything/a~1b/0"),
    "object": ({"anything": object()}, "/anything"),
}
WRONG_OUTPUTS = {what: pointer for what, (_, pointer) in _DOES.items()}


@handler("typed.wrong")
def go_wrong(given: Wrong) -> Exact:
    """Return what cannot be sent."""
    return Exact.model_construct(**_DOES[given.what][0])
