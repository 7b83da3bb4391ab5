"""The results of a batch, without servers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import orjson
import pytest

from api.batches.results import DOCUMENTS_AT_ONCE, STREAMS_READING
from api.jobs import wait
from sluice.core.document import Document
from sluice.core.errors import ServerAway
from sluice.core.job import JobState
from sluice.core.ports import Wake
from tests.support.make_jobs import aged_id
from tests.unit.api.batches.batch_client import PATH, PURE, SUM, WRONG, jobs_of, submitted
from tests.unit.api.in_memory_api import InMemoryApi


async def results(api: InMemoryApi, batch: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    answer = await api.client.get(batch["links"]["results"], **more)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/x-ndjson")
    assert answer.text.endswith("\n") or not answer.text
    return [orjson.loads(line) for line in answer.text.splitlines()]


class Stream:
    """A client that follows a batch, and may stop reading or leave."""

    def __init__(self) -> None:
        self.got: list[str] = []
        self.changed, self.gone, self.reading = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.reading.set()

    async def emit(self, document: Document) -> None:
        self.got.append(document.id)
        self.changed.set()
        await self.reading.wait()

    async def receive(self) -> dict[str, Any]:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def until(self, count: int) -> None:
        """Return once it has got so many."""
        while len(self.got) < count:
            self.changed.clear()
            await asyncio.wait_for(self.changed.wait(), 5)


@asynccontextmanager
async def following(
    api: InMemoryApi, batch: dict[str, Any], timeout_s: float = 50
) -> AsyncIterator[tuple[Stream, asyncio.Task[None]]]:
    stream, source = Stream(), api.state.batch_results
    jobs = await source.find("acme", batch["id"])
    task = asyncio.create_task(source.follow(jobs, timeout_s, stream.receive, stream.emit))
    yield stream, task
    task.cancel()


def finish(api: InMemoryApi, *ids: Any, tell: bool = True) -> None:
    for each in ids:
        api.record.finish(each)
    if tell:
        api.state.waiting.wake({each: Wake(3, True) for each in ids})


async def test_each_finished_job_is_a_line_in_the_order_of_the_items(api: InMemoryApi) -> None:
    batch = await submitted(api, SUM, PURE, WRONG, SUM, PURE, SUM)
    first, pure, _, third, _, last = jobs_of(batch)
    finish(api, pure, third, last)
    api.record.finish(str(first), JobState.FAILED, None)
    found = await results(api, batch)
    assert [each["id"] for each in found] == [first, pure, third, last]
    assert found == [(await api.client.get(f"/v1/jobs/{each['id']}")).json() for each in found]


async def test_what_is_unfinished_or_deleted_is_left_out(api: InMemoryApi) -> None:
    batch = await submitted(api, SUM, SUM, SUM)
    finish(api, *jobs_of(batch)[1:])
    await api.client.delete(f"/v1/jobs/{jobs_of(batch)[1]}")
    assert [each["id"] for each in await results(api, batch)] == jobs_of(batch)[2:]
    assert await results(api, batch, params={"wait": "0.05"}) == await results(api, batch)


async def test_jobs_are_sent_as_they_finish_and_the_last_one_ends_it(api: InMemoryApi) -> None:
    batch = await submitted(api, *[SUM] * 4)
    ids = jobs_of(batch)
    finish(api, ids[2])
    async with following(api, batch) as (stream, task):
        await stream.until(1)
        for count, each in enumerate((ids[3], ids[0]), 2):
            finish(api, each)
            await stream.until(count)
        api.state.waiting.wake({str(ids[1]): Wake(2, False)})
        assert not task.done()
        finish(api, ids[1])
        await asyncio.wait_for(task, 5)
        assert stream.got == [ids[2], ids[3], ids[0], ids[1]]
    assert len(api.state.waiting) == 0


async def test_what_ended_unheard_is_found_when_something_may_have_been_missed(
    api: InMemoryApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = await submitted(api, SUM, SUM)
    async with following(api, batch) as (stream, task):
        await api.somebody_waits()
        finish(api, jobs_of(batch)[0], tell=False)
        api.state.waiting.wake({})
        await stream.until(1)
        monkeypatch.setattr(wait, "ASK_ANYWAY_S", 0.01)
        finish(api, jobs_of(batch)[1], tell=False)
        api.state.waiting.wake({})
        await asyncio.wait_for(task, 5)
        assert stream.got == jobs_of(batch)


async def test_wakeups_are_not_needed(api: InMemoryApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wait, "ASK_ANYWAY_S", 0.01)
    batch = await submitted(api, SUM)
    async with following(api, batch) as (stream, task):
        await api.somebody_waits()
        finish(api, *jobs_of(batch), tell=False)
        await asyncio.wait_for(task, 5)
        assert stream.got == jobs_of(batch)


async def test_for_a_reader_that_stands_still_nothing_more_is_looked_up(api: InMemoryApi) -> None:
    batch = await submitted(api, *[SUM] * 50)
    finish(api, *jobs_of(batch))
    before = len(api.state.lookup.memory)
    async with following(api, batch) as (stream, task):
        stream.reading.clear()
        await stream.until(1)
        await asyncio.sleep(0.05)
        assert (len(stream.got), len(api.state.lookup.memory) - before) == (1, DOCUMENTS_AT_ONCE)
        stream.reading.set()
        await asyncio.wait_for(task, 5)
        assert stream.got == jobs_of(batch)


async def test_readers_that_stand_still_hold_up_nobody(api: InMemoryApi) -> None:
    batch = await submitted(api, *[SUM] * 50)
    finish(api, *jobs_of(batch))
    async with AsyncExitStack() as stack:
        for _ in range(STREAMS_READING):
            slow, _ = await stack.enter_async_context(following(api, batch))
            slow.reading.clear()
            await slow.until(1)
        stream, task = await stack.enter_async_context(following(api, batch))
        await asyncio.wait_for(task, 5)
        assert stream.got == jobs_of(batch)


async def test_a_client_that_goes_away_is_let_go(api: InMemoryApi) -> None:
    batch = await submitted(api, *[SUM] * 50)
    async with following(api, batch) as (stream, task):
        await api.somebody_waits()
        stream.gone.set()
        await asyncio.wait_for(task, 5)
    finish(api, *jobs_of(batch))
    async with following(api, batch) as (stream, task):
        stream.reading.clear()
        await stream.until(1)
        stream.gone.set()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        stream.reading.set()
        await asyncio.wait_for(task, 5)
        assert len(stream.got) <= DOCUMENTS_AT_ONCE
    assert (len(api.state.waiting), api.state.waiting._watched, api.state.waiting._waiters) == (0, 0, {})


async def test_its_time_or_the_end_of_the_process_ends_it(api: InMemoryApi) -> None:
    batch = await submitted(api, SUM)
    async with following(api, batch, timeout_s=0.05) as (_, task):
        await asyncio.wait_for(task, 5)
    async with following(api, batch) as (_, task):
        await api.somebody_waits()
        api.state.waiting.release()
        await asyncio.wait_for(task, 5)


async def test_over_the_limit_of_waiting_requests_nobody_waits(
    api: InMemoryApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = await submitted(api, SUM, SUM)
    finish(api, jobs_of(batch)[0])
    monkeypatch.setattr(api.state.waiting, "_limit", 0)
    assert [each["id"] for each in await results(api, batch, params={"wait": "50"})] == jobs_of(batch)[:1]


async def test_what_cannot_be_read_is_left_out(api: InMemoryApi) -> None:
    batch = await submitted(api, SUM, SUM)
    finish(api, *jobs_of(batch))
    await api.client.get(f"/v1/jobs/{jobs_of(batch)[1]}")  # now that one is in memory
    jobs = await api.state.batch_results.find("acme", batch["id"])
    api.record.away = True
    stream = Stream()
    await asyncio.wait_for(api.state.batch_results.follow(jobs, 0, stream.receive, stream.emit), 5)
    assert stream.got == jobs_of(batch)[1:]


async def test_others_get_no_results(api: InMemoryApi) -> None:
    batch = await submitted(api, SUM)
    foreign = await api.client.get(batch["links"]["results"], headers=api.as_tenant("other", "payloads"))
    for answer in (foreign, await api.client.get(f"{PATH}/{aged_id(0)}/results"), await api.client.get(f"{PATH}/x/results")):  # fmt: skip
        assert (answer.status_code, answer.json()["type"]) == (404, "batch-unknown")
    api.record.batches.away = ServerAway("postgresql")
    assert (await api.client.get(batch["links"]["results"])).status_code == 503
