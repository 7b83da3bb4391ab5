"""Validators that stumble, end the process or never come to an end: the answer is that the input is wrong."""

from __future__ import annotations

import asyncio
import functools
import logging
import re
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal
from uuid import UUID

import orjson
import pytest
import uvloop
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    field_validator,
    model_validator,
)

from api.jobs import input_check
from api.jobs.input_check import check_input, runs_python
from sluice.core.errors import Flaw, Invalid
from sluice.handler import handler


class OwnEnd(BaseException):
    """Of the user."""


class Mute(ValueError):
    """Cannot say what is wrong."""

    def __str__(self) -> str:
        raise KeyError("mute")


def deep() -> None:
    """Never come to an end."""
    deep()


def raises(error: BaseException) -> Callable[[], None]:
    def stumble() -> None:
        raise error

    return stumble


def spin() -> None:
    while True:
        pass


def swallow_errors() -> None:
    while True:
        try:
            time.sleep(60)
        except Exception:  # noqa: BLE001, S112  as users write it
            continue


def swallow_everything() -> None:
    while True:
        with suppress(BaseException), suppress(BaseException):
            time.sleep(60)


STUMBLES: dict[str, Callable[[], object]] = {
    "KeyError": lambda: {"a": 1}["b"],
    "ZeroDivisionError": lambda: 1 / 0,
    "TypeError": raises(TypeError("x")),
    "RecursionError": deep,
    "SystemExit": raises(SystemExit(0)),
    "KeyboardInterrupt": raises(KeyboardInterrupt()),
    "CancelledError": raises(asyncio.CancelledError()),
    "OwnEnd": raises(OwnEnd()),
    "UnicodeEncodeError": raises(ValueError("\ud800")),
    "StopIteration": raises(StopIteration()),
}
HANGS: dict[str, Callable[[], object]] = {
    "spin": spin,
    "sleep": lambda: time.sleep(60),
    "wait": threading.Event().wait,
    "swallow": swallow_errors,
    "swallow-everything": swallow_everything,
}
DOES = STUMBLES | HANGS | {"mute": raises(Mute()), "wrong": raises(ValueError("not so"))}


class Checked(BaseModel):
    """An input whose validator does as it is told."""

    how: str

    @field_validator("how")
    @classmethod
    def do(cls, how: str) -> str:
        DOES.get(how, str)()
        return how


class Searched(BaseModel):
    """An input whose pattern takes forever."""

    model_config = ConfigDict(regex_engine="python-re")
    text: Annotated[str, Field(pattern="^(a+)+$")]


@handler("t.checked")
async def checked(given: Checked) -> Checked:
    return given


@handler("t.searched")
async def searched(given: Searched) -> Searched:
    return given


def flaws(how: str) -> list[Flaw]:
    """What the check finds wrong."""
    with pytest.raises(Invalid) as refused:
        check_input(checked, orjson.dumps({"how": how}), "/input")
    return refused.value.flaws


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(input_check, "CHECK_S", 0.05)


def test_what_is_wrong_is_told_with_its_place() -> None:
    assert flaws("wrong") == [Flaw("/input/how", "value_error", "not so")]
    check_input(checked, b'{"how":"right"}', "/input")


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]
    tricks: int


class Pets(BaseModel):
    """Has members that pydantic adds to the path of what is wrong."""

    model_config = ConfigDict(extra="forbid")
    either: int | list[str] = 0
    pet: Annotated[Cat | Dog, Field(discriminator="kind")] | None = None
    by_number: dict[int, int] = {}
    exact: Decimal | None = None
    born: list[datetime] = []
    legs: Literal[2, 4] = 4
    cats: dict[int, Cat] = {}


@handler("t.pets")
async def pets(given: Pets) -> Pets:
    return given


@pytest.mark.parametrize(
    ("given", "pointer"),
    [
        ({"either": "x"}, "/input/either"),
        ({"either": [1]}, "/input/either/0"),
        ({"pet": {"kind": "cat", "lives": "x"}}, "/input/pet/lives"),
        ({"pet": {"kind": "cat"}}, "/input/pet/lives"),
        ({"pet": {"kind": "cow"}}, "/input/pet"),
        ({"by_number": {"x": 1}}, "/input/by_number/x"),
        ({"mo/re": 1}, "/input/mo~1re"),
        ({"exact": 1.5}, "/input/exact"),
        ({"born": ["1700000000"]}, "/input/born/0"),
        ({"born": ["2026-13-31T10:00"]}, "/input/born/0"),
        ({"legs": 4.0}, "/input/legs"),
        ({"legs": 3}, "/input/legs"),
        ({"cats": {"1": {"kind": "cat"}}}, "/input/cats/1/lives"),
        ({"by_number": {"1": 1, "01": 2}}, "/input/by_number"),
        ([], "/input"),
    ],
)
def test_a_pointer_leads_to_what_the_client_sent_or_left_out(given: Any, pointer: str) -> None:
    with pytest.raises(Invalid) as refused:
        check_input(pets, orjson.dumps(given), "/input")
    assert pointer in [flaw.pointer for flaw in refused.value.flaws]
    assert all(flaw.pointer in ("/input/either", pointer) for flaw in refused.value.flaws)


@pytest.mark.parametrize("how", STUMBLES)
def test_a_validator_may_raise_anything(how: str, caplog: pytest.LogCaptureFixture) -> None:
    assert flaws(how) == [Flaw("/input", "check-failed", f"The kind's own check of this ended in {how}.")]
    (record,) = caplog.records
    assert (record.message, record.levelno) == ("input_check_failed", logging.WARNING)
    said = vars(record)
    assert (said["kind"], said["error"]) == ("t.checked", how)
    assert said["where"].startswith(f"{__file__}:")


def test_an_error_that_cannot_say_what_is_wrong_is_one() -> None:
    assert [flaw.pointer for flaw in flaws("mute")] == ["/input"]


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("how", HANGS)
def test_a_validator_that_goes_on_for_too_long_is_cut_off(how: str, caplog: pytest.LogCaptureFixture) -> None:
    assert [flaw.code for flaw in flaws(how)] == ["check-too-long"]
    (record,) = caplog.records
    assert (record.message, record.levelno) == ("input_check_cut_off", logging.ERROR)
    assert vars(record)["where"].startswith(f"{__file__}:")


@pytest.mark.usefixtures("short")
def test_so_is_a_pattern(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(Invalid, match="too long"):
        check_input(searched, orjson.dumps({"text": "a" * 60 + "b"}), "/input")
    assert vars(caplog.records[0])["where"] == searched.where


@pytest.mark.usefixtures("short")
def test_the_loop_of_the_api_goes_on_after_that() -> None:
    async def check_twice() -> list[str]:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, str)
        found = [flaws(how)[0].code for how in ("sleep", "spin")]
        await asyncio.sleep(0)
        return found

    assert uvloop.run(check_twice()) == ["check-too-long", "check-too-long"]


@pytest.mark.usefixtures("short")
def test_time_in_which_the_process_was_stopped_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DOES, "stopped", lambda: signal.raise_signal(signal.SIGALRM))
    check_input(checked, b'{"how":"stopped"}', "")
    monkeypatch.setitem(DOES, "late", lambda: list(map(signal.raise_signal, [signal.SIGALRM] * 2)))
    assert [flaw.code for flaw in flaws("late")] == ["check-too-long"]


def test_an_alarm_that_comes_too_late_does_nothing() -> None:
    check_input(checked, b'{"how":"right"}', "")
    for _ in range(3):
        input_check._on_alarm(signal.SIGALRM, None)


def test_whoever_used_the_timer_before_goes_on_with_it() -> None:
    def theirs(_number: int, _frame: object) -> None:
        """Do nothing."""

    handled, timer = signal.signal(signal.SIGALRM, theirs), signal.setitimer(signal.ITIMER_REAL, 500)
    try:
        check_input(checked, b'{"how":"right"}', "")
        flaws("KeyError")
        assert signal.getsignal(signal.SIGALRM) is theirs
        assert 400 < signal.getitimer(signal.ITIMER_REAL)[0] <= 500
    finally:
        signal.setitimer(signal.ITIMER_REAL, *timer)
        signal.signal(signal.SIGALRM, handled)


def test_another_thread_checks_without_a_limit() -> None:
    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(flaws, "KeyError").result()[0].code == "check-failed"


@pytest.fixture
def no_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the test fail where a timer is set."""
    monkeypatch.setattr(input_check, "_check_within_time", raises(AssertionError("a timer is set")))


class Colour(Enum):
    RED = "red"


class Part(BaseModel):
    size: int = Field(ge=1)


class Plain(BaseModel):
    """What most inputs are."""

    whole: int
    text: Annotated[str, Field(pattern="^[a-z]+$", max_length=9)]
    exact: Decimal | None = None
    colour: Colour = Colour.RED
    word: Literal["a", "b"] = "a"
    at: datetime | None = None
    id: UUID | None = None
    parts: list[Part] = Field(default_factory=list)
    table: dict[str, Any] = {}
    inside: Plain | None = None


@pytest.mark.usefixtures("no_timer")
def test_a_plain_model_pays_nothing() -> None:
    async def give(given: Plain) -> Plain:
        return given

    check_input(handler("t.plain")(give), b'{"whole":1,"text":"a","inside":{"whole":2,"text":"b"}}', "")


def ident(value: Any) -> Any:
    return value


def has(hint: Any, **more: Any) -> type[BaseModel]:
    """Make a model with a field of this type deep inside."""
    inner = type("Inner", (BaseModel,), {"__annotations__": {"deep": hint}, **more})
    return type("Outer", (BaseModel,), {"__annotations__": {"inner": list[inner] | None}})  # type: ignore[valid-type]  # made here


class Lazy(BaseModel):
    """Refers to itself, and is checked as a whole."""

    again: list[Lazy] = []

    @model_validator(mode="after")
    def look(self) -> Lazy:
        return self


class Made(BaseModel):
    _count: int = PrivateAttr(default_factory=int)

    def model_post_init(self, context: Any) -> None:
        self._count = 1


class Own:
    """A class of the user's."""


@pytest.mark.parametrize(
    "model",
    [
        has(Annotated[int, AfterValidator(ident)]),
        has(Annotated[int, BeforeValidator(functools.partial(ident))]),
        has(Annotated[str, Field(pattern=re.compile("a"))]),
        has(Any, deep=Field(default_factory=ident)),
        has(Any, deep=Field(default_factory=Own)),
        has(str, model_config=ConfigDict(regex_engine="python-re")),
        Checked,
        Searched,
        Lazy,
        Made,
    ],
)
def test_a_model_that_runs_python_is_watched(model: type[BaseModel]) -> None:
    assert runs_python(model)


@pytest.mark.parametrize("model", [Plain, Part, has(int), has(list[Colour])])
def test_a_plain_one_is_not(model: type[BaseModel]) -> None:
    assert not runs_python(model)
