"""Large bodies: read in a thread, one at a time, held once at most, and inserted apart from small ones."""

from __future__ import annotations

import asyncio
import threading
import tracemalloc
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from pydantic import BaseModel, field_validator

from api.jobs.idempotency_key import IdempotencyKey
from api.jobs.make_job import SubmitRequest
from api.jobs.prepared_job import LARGE, PreparedJob
from api.jobs.submit_body import prepare_body, read_submit, submit_body
from sluice.core.errors import Invalid
from sluice.core.strict_json import Raw
from sluice.handler import handler
from tests.support.faulty_store import Gate
from tests.unit.api.jobs.submit_setup import SubmitSetup

CHECKED_IN: list[threading.Thread] = []


class Text(BaseModel):
    """Any text."""

    text: str


class CheckedText(Text):
    """Text that is checked in Python."""

    @field_validator("text")
    @classmethod
    def note_thread(cls, value: str) -> str:
        CHECKED_IN.append(threading.current_thread())
        return value


@handler("demo.text", max_input=32 * LARGE)
async def take_text(text: Text) -> Text:
    """Take any text."""
    return text


@handler("demo.checked", max_input=32 * LARGE)
async def take_checked(text: CheckedText) -> Text:
    """Take checked text."""
    return text


def body(size: int, kind: str = "demo.text") -> bytes:
    """The body of a submit with so much text."""
    return orjson.dumps({"kind": kind, "input": {"text": "x" * size}})


def read(raw: Raw) -> tuple[SubmitRequest, IdempotencyKey | None]:
    """Read a body that comes without a key."""
    return read_submit(raw), None


@pytest.fixture
async def setup() -> AsyncIterator[SubmitSetup]:
    setup = SubmitSetup(kinds=[take_text, take_checked])
    yield setup
    await asyncio.wait_for(setup.submission.drain(), 5)


async def prepare(setup: SubmitSetup, raw: bytes, reading: Any = read) -> PreparedJob:
    return await prepare_body(setup.submission, "acme", raw, reading, None)


async def submit(setup: SubmitSetup, size: int) -> str:
    """Submit as the route does; return the id of the job."""
    return (await setup.submission.take(await prepare(setup, body(size)))).document.id


@pytest.mark.parametrize(("size", "in_thread"), [(10, False), (LARGE, True)])
async def test_a_large_body_is_read_in_a_thread(setup: SubmitSetup, size: int, in_thread: bool) -> None:
    used: list[threading.Thread] = []

    def noting(raw: Raw) -> Any:
        used.append(threading.current_thread())
        return read(raw)

    prepared = await prepare(setup, body(size), noting)
    assert orjson.loads(prepared.job.input) == {"text": "x" * size}
    assert [each is threading.main_thread() for each in used] == [not in_thread]


async def test_large_bodies_are_read_one_at_a_time_and_small_ones_meanwhile(setup: SubmitSetup) -> None:
    began, going_on = threading.Semaphore(0), threading.Event()
    count: list[int] = []

    def waiting(raw: Raw) -> Any:
        count.append(1)
        began.release()
        assert going_on.wait(10)
        return read(raw)

    large = [asyncio.create_task(prepare(setup, body(LARGE), waiting)) for _ in range(3)]
    assert await asyncio.to_thread(began.acquire, timeout=10)
    await prepare(setup, body(10))
    assert len(count) == 1
    going_on.set()
    await asyncio.gather(*large)
    assert len(count) == 3


async def test_users_checks_run_where_they_can_be_cut_off(setup: SubmitSetup) -> None:
    CHECKED_IN.clear()
    await prepare(setup, body(LARGE, "demo.checked"))
    (thread,) = CHECKED_IN
    assert thread is threading.main_thread()


async def test_a_flaw_in_a_large_body_is_told_and_the_next_one_is_read(setup: SubmitSetup) -> None:
    wrong = body(LARGE).replace(b'"text"', b'"test"')
    for _ in range(2):
        with pytest.raises(Invalid):
            await prepare(setup, wrong)
    assert await prepare(setup, body(LARGE))


async def test_a_large_submit_does_not_hold_up_a_small_one(setup: SubmitSetup) -> None:
    gate = Gate()
    setup.script["accept"].append(gate)
    large = asyncio.create_task(submit(setup, LARGE))
    await asyncio.wait_for(gate.reached.wait(), 10)
    assert await asyncio.wait_for(submit(setup, 10), 10) in setup.record.jobs
    assert not large.done()
    gate.open.set()
    assert await large in setup.record.jobs


async def waits_with_no_more_than(most: float, setup: SubmitSetup, submitting: Any) -> None:
    """Return once a submit that waits for its commit holds no more bytes. A thread may let go a moment later."""
    gate = Gate()
    setup.script["accept"].append(gate)
    tracemalloc.start()
    try:
        task = asyncio.create_task(submitting())
        await asyncio.wait_for(gate.reached.wait(), 10)
        async with asyncio.timeout(10):
            while tracemalloc.get_traced_memory()[0] > most:  # noqa: ASYNC110  nothing says when a thread lets go
                await asyncio.sleep(0.01)
    finally:
        tracemalloc.stop()
        gate.open.set()
        await task


async def test_a_submit_that_waits_for_its_commit_holds_its_input_once(setup: SubmitSetup) -> None:
    size = 4 * LARGE

    async def as_the_route() -> None:
        await submit(setup, size)

    async def as_the_fast_path() -> None:
        await submit_body(setup.submission, "acme", body(size), None)

    for submitting in (as_the_route, as_the_fast_path):
        await submitting()  # what is made once is there
        await waits_with_no_more_than(1.5 * size, setup, submitting)
