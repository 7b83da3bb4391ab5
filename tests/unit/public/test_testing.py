"""The tools that users test their handlers with."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel, Field, SecretStr

from sluice.context import Context
from sluice.errors import BadInput, BadOutput, GiveUp
from sluice.handler import handler
from sluice.testing import FakeContext, run_handler


class Ask(BaseModel):
    """An input."""

    number: float = 0


class Reply(BaseModel):
    """An output."""

    number: float = 0
    words: str = ""


class Money(BaseModel):
    """Keeps its digits."""

    amount: Decimal


@handler("t.double")
async def double(ask: Ask) -> Reply:
    await asyncio.sleep(0)
    if ask.number < 0:
        raise GiveUp("too small")
    return Reply(number=2 * ask.number)


@handler("t.context", runs_in="process")
def with_context(ask: Ask, context: Context) -> Reply:
    context.progress(50, "half")
    context.log.info("working")
    return Reply(number=context.attempt, words="stopped" if context.should_stop() else "")


def test_runs_a_handler_with_a_dict_a_model_or_json() -> None:
    for given in ({"number": 2}, Ask(number=2), b'{"number": 2}', b'\xef\xbb\xbf{"number": 2}'):
        assert run_handler(double, given).number == 4


async def test_runs_inside_a_running_loop() -> None:
    assert run_handler(double, {"number": 2}).number == 4


def test_records_progress_and_can_ask_to_stop() -> None:
    fake = FakeContext(attempt=3, stop=True)
    assert run_handler(with_context, {}, fake=fake) == Reply(number=3, words="stopped")
    assert fake.progress == [(50, "half")]
    assert run_handler(with_context, {}, attempt=2).number == 2


def test_raises_what_would_end_the_attempt() -> None:
    with pytest.raises(GiveUp):
        run_handler(double, {"number": -1})
    with pytest.raises(BadInput):
        run_handler(double, {"number": "x"})
    with pytest.raises(BadOutput):
        run_handler(double, {"number": 1e308})


class Named(BaseModel):
    """Has other names in JSON than in Python, and keeps some of it to itself."""

    number: int = Field(alias="Number")
    secret: SecretStr = Field(SecretStr(""), exclude=True)


@handler("t.named")
async def named(given: Named) -> Named:
    return given


@handler("t.money")
async def money(given: Money) -> Money:
    return given


def test_a_dict_is_read_under_the_names_that_clients_send() -> None:
    assert run_handler(named, {"Number": 1}).number == 1
    with pytest.raises(BadInput, match="/Number: Field required"):
        run_handler(named, {"number": 1})


def test_a_model_is_handed_over_as_it_is_and_so_is_the_output() -> None:
    given = Named(Number=1, secret=SecretStr("x"))
    assert run_handler(named, given) is given
    an_ask: Any = Ask()
    with pytest.raises(BadInput, match="is Ask and not Named"):
        run_handler(named, an_ask)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"Number": "1"}, "/Number: .*valid integer"),
        ({"Number": 2**53}, "/Number: .*beyond"),
        (b'{"Number": 18446744073709551616}', "/Number: .*beyond"),
        ({"Number": float("nan")}, "/Number: NaN"),
        (b"{", "not JSON"),
        ({"Number": object()}, "not JSON"),
    ],
)
def test_what_the_api_refuses_is_refused_here(given: Any, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        run_handler(named, given)


def test_a_decimal_is_refused_as_a_number_with_a_fraction() -> None:
    with pytest.raises(BadInput, match=r"/amount.*as a string"):
        run_handler(money, b'{"amount": 100.10}')
    assert str(run_handler(money, {"amount": "100.10"}).amount) == "100.10"
