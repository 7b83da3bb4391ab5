"""What goes into and comes out of a handler."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from math import inf, nan
from typing import Annotated, Any

import orjson
import pytest
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    computed_field,
    field_serializer,
    field_validator,
    model_serializer,
)

from sluice.core.exception_groups import chain
from sluice.errors import BadInput, BadOutput, RetryLater
from sluice.handler import handler
from sluice.handler_io import MAX_OUTPUT, read_input, write_output


class Thing(BaseModel):
    """An input that is also an output."""

    number: float | None = 1
    more: Any = None


class Constants(BaseModel):
    """Writes NaN as JavaScript does."""

    model_config = ConfigDict(ser_json_inf_nan="constants")
    number: float = 1
    word: str = ""


class Sly(BaseModel):
    """Turns into NaN only while it is written."""

    model_config = ConfigDict(ser_json_inf_nan="constants")
    number: float = 1

    @field_serializer("number", when_used="json")
    def _turn(self, value: float) -> float:
        return nan


class Special(Thing):
    """Has more fields than were declared."""

    extra: int = 1


class Rude(BaseModel):
    """Fails while it is written."""

    number: int = 1

    @field_serializer("number")
    def _fail(self, value: int) -> int:
        raise RecursionError


@handler("t.thing")
async def thing(given: Thing) -> Thing:
    return given


@handler("t.constants")
async def constants(given: Thing) -> Constants:
    return Constants()


@handler("t.sly")
async def sly(given: Thing) -> Sly:
    return Sly()


@handler("t.rude")
async def rude(given: Thing) -> Rude:
    return Rude()


def test_reads_the_input_of_a_kind() -> None:
    assert read_input(thing, b'{"number":2}') == Thing(number=2)


@pytest.mark.parametrize("raw", [b"", b"{", b"null", b"[]", b'{"number":"secret"}', None])
def test_refuses_an_input_without_repeating_it(raw: bytes | None) -> None:
    with pytest.raises(BadInput) as refused:
        read_input(thing, raw)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("value", "raw"),
    [
        (Thing(), b'{"number":1.0,"more":null}'),
        (Thing(number=None), b'{"number":null,"more":null}'),
        (Thing(more="\\u0000"), b'{"number":1.0,"more":"\\\\u0000"}'),
        (Thing(more="null NaN Infinity"), b'{"number":1.0,"more":"null NaN Infinity"}'),
        (Thing(more=[{"a": (1, {2})}]), b'{"number":1.0,"more":[{"a":[1,[2]]}]}'),
        ({"number": 2}, b'{"number":2.0,"more":null}'),
        (Special(extra=7), b'{"number":1.0,"more":null}'),
    ],
)
def test_writes_an_output_as_declared(value: Any, raw: bytes) -> None:
    assert write_output(thing, value) == raw


A_WORD: Any = "x"


def endless() -> Iterable[Any]:
    """Return a list that contains itself."""
    ring: list[Any] = []
    ring.append(ring)
    return ring


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "returned NoneType and not Thing"),
        ([1], "returned list and not Thing"),
        (asyncio.sleep(0), "returned a coroutine and not Thing: a decorator between"),
        ({"number": "x"}, "/number: "),
        (Thing(number=nan), "NaN"),
        (Thing(more={"a": [(inf,)]}), "NaN"),
        (Thing(more={-inf}), "NaN"),
        (Thing(more="\udce4"), "surrogate"),
        (Thing(more="a\x00b"), r"U\+0000"),
        (Thing(more={"\\\x00": 1}), r"U\+0000"),
        (Thing(more=object()), "serialize"),
        (Thing(more=endless()), "Circular"),
        (Thing.model_construct(number=A_WORD), "number"),
        (Thing(more="x" * MAX_OUTPUT), f"at most {MAX_OUTPUT}"),
    ],
)
def test_refuses_what_cannot_be_sent_and_says_why(value: Any, words: str) -> None:
    with pytest.raises(BadOutput, match=words):
        write_output(thing, value)


def test_an_output_of_exactly_the_largest_size_is_kept() -> None:
    frame = len(write_output(thing, Thing(more="")))
    assert len(write_output(thing, Thing(more="x" * (MAX_OUTPUT - frame)))) == MAX_OUTPUT


def test_refuses_constants_that_are_not_json() -> None:
    with pytest.raises(BadOutput, match="NaN"):
        write_output(constants, Constants(number=nan))
    assert write_output(constants, Constants(word="Infinity")) == b'{"number":1.0,"word":"Infinity"}'


def test_refuses_what_turns_out_not_to_be_json() -> None:
    with pytest.raises(BadOutput, match="not valid JSON"):
        write_output(sly, Sly())


def test_refuses_an_output_that_fails_while_it_is_written() -> None:
    with pytest.raises(BadOutput):
        write_output(rude, Rude())


class Unspeakable(ValueError):
    """Cannot say what is wrong."""

    def __str__(self) -> str:
        raise KeyError("no words")


STUMBLES: dict[str, BaseException] = {
    "key": KeyError("a"),
    "divide": ZeroDivisionError(),
    "attribute": AttributeError("a"),
    "generator": GeneratorExit(),
    "cancelled": asyncio.CancelledError(),
    "group": BaseExceptionGroup("g", [KeyError("a")]),
    "type": TypeError("x"),
    "recursion": RecursionError("deep"),
    "surrogate": ValueError("\ud800"),
    "unspeakable": Unspeakable(),
    "exit": SystemExit(3),
    "interrupt": KeyboardInterrupt(),
    "later": RetryLater(5),
    "memory": MemoryError(),
}


class Stumbling(BaseModel):
    """Raises whatever it is told to, when it is read and when it is written."""

    how: str = ""
    write: bool = False

    @field_validator("how")
    @classmethod
    def _read(cls, how: str) -> str:
        raise STUMBLES[how]

    @field_serializer("how")
    def _write(self, how: str) -> str:
        raise STUMBLES[how]


@handler("t.stumbling")
async def stumbling(given: Stumbling) -> Stumbling:
    return given


@pytest.mark.parametrize("how", [how for how in STUMBLES if how != "memory"])
def test_a_validator_or_serializer_may_raise_anything(how: str) -> None:
    with pytest.raises(BadInput) as refused:
        read_input(stumbling, b'{"how":"%s"}' % how.encode())
    assert str(refused.value).split(":")[0] in (
        type(STUMBLES[how]).__name__,
        "KeyError",
        "UnicodeEncodeError",
    )
    for output in ({"how": how}, Stumbling.model_construct(how=how)):
        with pytest.raises(BadOutput) as unwritable:
            write_output(stumbling, output)
        for error in (refused.value, unwritable.value):
            assert len([*chain(error)]) > 1, "what it was: another job may have raised it, from outside"


def test_a_validator_without_memory_is_no_flaw_of_the_input() -> None:
    with pytest.raises(MemoryError):
        read_input(stumbling, b'{"how":"memory"}')


class Late(BaseModel):
    """Fails when it is looked through for NaN, and not before."""

    number: float | None = None

    @model_serializer(mode="plain", when_used="json")
    def _write(self) -> dict[str, Any]:
        return {"number": None}

    def model_dump(self, **_: Any) -> dict[str, Any]:
        raise SystemExit(3)


@handler("t.late")
async def late(given: Thing) -> Late:
    return Late()


def test_an_output_may_fail_when_it_is_looked_through() -> None:
    with pytest.raises(BadOutput, match="SystemExit: 3"):
        write_output(late, Late())


class Inside(BaseModel):
    """A part of an output."""

    model_config = ConfigDict(extra="allow")
    number: int = Field(1, serialization_alias="Number")


class Everything(BaseModel):
    """Can be wrong in many ways."""

    few: list[int] = Field(default_factory=list, max_length=2, serialization_alias="Few/~")
    above: int = Field(1, ge=1)
    word: str = Field("ab", pattern="^[a-z]+$")
    raw: bytes = b""
    text: str = ""
    inside: Inside = Inside()
    anything: Any = None
    table: dict[Any, Any] = Field(default_factory=dict)
    turned: int = 1

    @field_serializer("turned")
    def _turn(self, value):  # type: ignore[no-untyped-def]  # that is the point
        return value if value < 3 else {3: "three"}[value]

    @computed_field(alias="Sum")
    def total(self) -> int:
        return sum(self.few)


class Patterned(BaseModel):
    """Has patterns that JSON Schema reads otherwise, or cannot read."""

    model_config = ConfigDict(regex_engine="python-re")
    word: str = Field("äöü", pattern=r"^\w+$")
    twice: str = Field("xx", pattern=r"(?P<a>x)(?P=a)\Z")
    by_word: dict[Annotated[str, Field(pattern=r"^\w+$")], int] = {"äöü": 1}
    above: int = Field(1, ge=1)


class Lying(BaseModel):
    """Has a schema that nobody can read."""

    model_config = ConfigDict(json_schema_extra={"type": 7})


@handler("t.everything")
async def everything(given: Thing) -> Everything:
    return Everything()


@handler("t.patterned")
async def patterned(given: Thing) -> Patterned:
    return Patterned()


class Tree(BaseModel):
    """Has no bound of its own."""

    below: list[Tree] = []


@handler("t.forest")
async def forest(given: Thing) -> Tree:
    return Tree()


@handler("t.lying")
async def lying(given: Thing) -> Lying:
    return Lying()


MOST = 2**53 - 1


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"anything": [{"a": MOST + 1}]}, "/anything/0/a: .*beyond"),
        ({"anything": -MOST - 1}, "/anything: .*beyond"),
        ({"anything": 2**64}, "/anything: .*beyond"),
        ({"anything": -(2**200)}, "/anything: .*beyond"),
        ({"few": [1, 2**63]}, "/Few~1~0/1: .*beyond"),
        ({"anything": {"a": ["\0"]}}, r"/anything/a/0: .*U\+0000"),
        ({"anything": {"a": [nan]}}, "/anything/a/0: .*NaN"),
        ({"anything": 10**5000}, "/anything: .*beyond"),
        ({"table": {1: "a", "1": "b"}}, "'1' twice"),
        ({"table": {nan: 1}}, "/table/nan: .*NaN"),
        ({"table": {"\ud800": 1}}, "/table: .*surrogate"),
        ({"inside": {"Number": 2}}, "'Number' twice"),
        ({"raw": b"\xff"}, "/raw: .*utf-8"),
        ({"text": "\ud800"}, "/text: .*surrogate"),
        ({"anything": object()}, "/anything: .*serialize"),
    ],
)
def test_names_the_field_that_cannot_be_sent(more: dict[str, Any], words: str) -> None:
    with pytest.raises(BadOutput, match=words):
        write_output(everything, Everything.model_validate(more))


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"few": [1, 2, 3]}, "/Few~1~0: The schema.*than 2 items"),
        ({"above": 0}, "/above: The schema.*minimum"),
        ({"turned": 3}, "/turned: The schema.*integer"),
        ({"turned": 4}, "/turned: KeyError|/turned: .*4"),
        ({"few": "x"}, "/Few~1~0: "),
        ({"inside": {"number": "secret"}}, "/inside: "),
    ],
)
def test_names_the_field_that_is_not_what_the_schema_says(more: dict[str, Any], words: str) -> None:
    with pytest.raises(BadOutput, match=words):
        write_output(everything, Everything().model_copy(update=more))


@pytest.mark.parametrize(
    "value",
    [
        [MOST, -MOST, 1e300, 12345678901234567890.0, 0.1234567890123456],
        "1234567890123456789",
        {"12345678901234567890": "12345678901234567890"},
        {"1e+22": 1e22},
    ],
)
def test_leaves_the_rest_as_it_is(value: Any) -> None:
    written = orjson.loads(write_output(everything, Everything(anything=value, few=[1, 2])))
    assert (written["anything"], written["Few/~"], written["Sum"]) == (value, [1, 2], 3)


def test_an_output_may_be_nested_as_deep_as_json_readers_go() -> None:
    def nested(levels: int) -> Any:
        return 1 if levels == 0 else [nested(levels - 1)]

    assert write_output(everything, Everything(anything=nested(200)))
    with pytest.raises(BadOutput, match="depth exceeded"):
        write_output(everything, Everything(anything=nested(300)))
    branch = Tree()
    for _ in range(200):
        branch = Tree.model_construct(below=[branch])
    with pytest.raises(BadOutput, match="deeper than 254 levels"):
        write_output(forest, branch)


def test_patterns_are_left_to_pydantic() -> None:
    assert orjson.loads(write_output(patterned, Patterned()))["word"] == "äöü"
    with pytest.raises(BadOutput, match="/above"):
        write_output(patterned, Patterned.model_construct(above=0))


def test_a_schema_that_nobody_can_read_refuses_nothing() -> None:
    assert write_output(lying, Lying()) == b"{}"
