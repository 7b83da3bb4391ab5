"""The stream of a tenant: what happens to all of its jobs, and to nobody else's."""

from __future__ import annotations

from typing import Any

import pytest

from api.events import feed, stream
from tests.support.waiting import until
from tests.unit.api.events.conftest import Follow
from tests.unit.api.events.test_job_events import Job, lines, said
from tests.unit.api.in_memory_api import InMemoryApi

PATH = "/v1/events"


async def a_job(api: InMemoryApi, **headers: str) -> Job:
    """A queued job."""
    body = {"kind": "demo.sum", "input": {"values": [1]}}
    answer = await api.client.post("/v1/jobs", json=body, headers=headers or api.headers)
    return Job(api, answer.json()["id"])


async def listening(api: InMemoryApi) -> None:
    """Return once there is a stream."""
    await until(lambda: len(api.state.feed) and api.live_logs.listeners)


async def test_every_job_of_the_tenant_is_followed(api: InMemoryApi, follow: Follow) -> None:
    one, other = await a_job(api), await a_job(api)
    async with follow(PATH) as client:
        await listening(api)
        await one.run()
        await client.told(1)
        await other.run()
        await client.told(2)
        await one.log(lines(1, "a"))
        await client.told(3)
        await one.progress(9)
        await client.told(4)
        await one.succeed()
        await client.told(5)
    assert said(client) == ["running", "running", "a", "9 %", "succeeded"]
    assert [each.data.get("id") or each.data["job_id"] for each in client.events] == [
        one.id, other.id, one.id, one.id, one.id,
    ]  # fmt: skip
    assert {each.id for each in client.events} == {"0"}
    assert client.headers["content-type"] == "text/event-stream; charset=utf-8"


async def test_the_jobs_of_other_tenants_are_not(api: InMemoryApi, follow: Follow) -> None:
    other = api.as_tenant("other", "submit", "read")
    theirs, mine = await a_job(api, **other), await a_job(api)
    async with follow(PATH) as client, follow(PATH, other) as stranger:
        await listening(api)
        await until(lambda: len(api.state.feed) == 2)
        await theirs.run()
        await theirs.log(lines(1, "secret"), tenant="other")
        await theirs.succeed()
        await mine.run()
        await client.told(1)
        await until(lambda: "end" in stranger.names)
        await until(lambda: not api.state.feed._changed)
    assert [each.data["id"] for each in client.events] == [mine.id]
    assert "secret" not in client.text
    assert {each.data.get("id") or each.data["job_id"] for each in stranger.events} == {theirs.id}


async def test_a_stream_that_was_interrupted_begins_with_a_reset(api: InMemoryApi, follow: Follow) -> None:
    async with follow(PATH, last_event_id="0") as client:
        (told,) = await client.told(1)
    assert (told.name, told.id) == ("reset", "0")
    assert told.data["detail"].startswith("Events were missed")


async def test_missed_wake_ups_are_told_as_a_reset(api: InMemoryApi, follow: Follow) -> None:
    async with follow(PATH) as client:
        await listening(api)
        api.state.feed.wake({})
        assert [each.name for each in await client.told(1)] == ["reset"]


async def test_more_changes_than_can_be_read_are_told_as_a_reset(
    api: InMemoryApi, follow: Follow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "MOST_CHANGED", 3)
    jobs = [await a_job(api) for _ in range(5)]
    async with follow(jobs[0].path) as watching, follow(PATH) as client:
        await watching.told(1)
        await listening(api)
        await until(lambda: not api.state.feed._changed)
        await api.cache.announce({job.id: 2 for job in jobs}, [], {})
        assert (await client.told(1))[0].name == "reset"
        await jobs[0].run()
        await watching.told(2)


async def test_a_slow_reader_is_told_that_it_missed_something(
    api: InMemoryApi, follow: Follow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "MOST_WAITING", 3)
    job = await a_job(api)
    async with follow(PATH) as client:
        await listening(api)
        client.reads.clear()
        for percent in range(10):
            await job.log(lines(1, str(percent), first=percent + 1))
        client.reads.set()
        await until(lambda: "reset" in client.names)
    assert len(client.events) < 10


async def test_a_change_is_told_once(api: InMemoryApi, follow: Follow) -> None:
    job = await a_job(api)
    async with follow(PATH) as client:
        await listening(api)
        await job.run()
        await client.told(1)
        await api.cache.announce({job.id: 2}, [], {})
        await until(lambda: not api.state.feed._changed)
        await job.succeed()
        await client.told(2)
    assert said(client) == ["running", "succeeded"]


async def test_it_ends_with_its_client_and_with_the_process(api: InMemoryApi, follow: Follow) -> None:
    async with follow(PATH) as client, follow(PATH) as other:
        await listening(api)
        await client.leave()
        assert len(api.state.feed) == 1
        api.state.feed.release()
        await other.ended()
    assert (len(api.state.feed), api.state.feed._tenants) == (0, {})
    await until(lambda: not api.live_logs.listeners)


async def test_a_key_that_may_not_read_hears_nothing(api: InMemoryApi, follow: Follow) -> None:
    async with follow(PATH, api.as_tenant("acme", "submit")) as client:
        await client.ended()
    assert client.status == 403


async def test_a_query_is_of_no_matter(api: InMemoryApi) -> None:
    answer: Any = await api.client.head(PATH, headers=api.headers)
    assert answer.status_code == 200
