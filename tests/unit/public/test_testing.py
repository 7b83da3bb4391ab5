"""The tools that users test their handlers with."""

import asyncio

import pytest
from pydantic import BaseModel

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
    for given in ({"number": 2}, Ask(number=2), b'{"number": 2}'):
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
