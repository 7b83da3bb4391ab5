"""The stream of one job: what is told of it, in which order, and how it goes on after a pause."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import orjson
import pytest

from api.app import wrap_middleware
from api.events import event_response, stream
from api.http.prefix import behind_proxies
from sluice.core.job import JobState
from sluice.core.job_log import LogBlock
from sluice.core.ports import LiveLines
from tests.support.make_jobs import AT, aged_id
from tests.support.waiting import until
from tests.unit.api.events.conftest import Follow
from tests.unit.api.events.event_client import following
from tests.unit.api.in_memory_api import InMemoryApi


def lines(fence: int, *messages: str, first: int = 1) -> LogBlock:
    """What an attempt has logged."""
    return LogBlock(
        fence, first, b"\n".join(orjson.dumps({"attempt": fence, "message": each}) for each in messages)
    )


class Job:
    """A job as its consumer changes it."""

    def __init__(self, api: InMemoryApi, job_id: str) -> None:
        self.api, self.id = api, job_id
        self.path = f"/v1/jobs/{job_id}/events"

    async def change(self, **columns: Any) -> None:
        """Change it, and announce that."""
        job = self.api.record.change(self.api.record.jobs[self.id], **columns)
        await self.api.cache.announce({self.id: job.version}, [], {})

    async def run(self, fence: int = 1) -> None:
        """Have it claimed."""
        await self.change(state=JobState.RUNNING, fence=fence, attempt=fence, started_at=AT)

    async def progress(self, percent: int) -> None:
        """Report progress."""
        await self.change(progress=orjson.dumps({"percent": percent, "note": ""}))

    async def log(self, block: LogBlock, whole: LogBlock | None = None, tenant: str = "acme") -> None:
        """Log while it runs."""
        await self.api.live_logs.post([LiveLines(self.id, tenant, block, whole or block, 60)])

    def settle_log(self, block: LogBlock) -> None:
        """Keep what was logged in an attempt that ends."""
        self.api.record.logs.setdefault(self.id, {})[block.fence] = block
        self.api.live_logs.kept.pop(self.id, None)

    async def succeed(self) -> None:
        """Let it succeed."""
        await self.change(state=JobState.SUCCEEDED, result=b'{"total":3}', finished_at=AT, progress=None)


@pytest.fixture
async def job(api: InMemoryApi) -> Job:
    """A queued job."""
    return Job(api, (await api.submit()).json()["id"])


def said(client: Any) -> list[str]:
    """Events in short: logs by their messages, and the state of the job or its progress."""
    short: dict[str, Callable[[Any], str]] = {
        "log": lambda data: data["message"],
        "progress": lambda data: f"{data['progress']['percent']} %",
        "reset": lambda data: "reset",
    }
    return [short.get(each.name, state_of)(each.data) for each in client.events]


def state_of(data: Any) -> str:
    return str(data["state"])


async def test_a_job_is_followed_from_its_queue_to_its_end(job: Job, follow: Follow) -> None:
    async with follow(job.path) as client:
        await client.told(1)
        await job.run()
        await client.told(2)
        await job.log(lines(1, "a", "b"))
        await client.told(4)
        await job.progress(40)
        await client.told(5)
        job.settle_log(lines(1, "a", "b"))
        await job.succeed()
        told = await client.ended()
    assert said(client) == ["queued", "running", "a", "b", "40 %", "succeeded"]
    assert [each.name for each in told] == ["state", "state", "log", "log", "progress", "end"]
    assert [each.id for each in told] == ["1-0.0", "2-0.0", "2-1.1", "2-1.2", "3-1.2", "4-1.2"]
    assert client.status == 200
    assert client.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert (client.headers["cache-control"], client.headers["x-accel-buffering"]) == ("no-cache", "no")
    assert "content-length" not in client.headers
    assert client.text.startswith("retry: ")


async def test_events_carry_the_document_without_its_result(
    job: Job, follow: Follow, api: InMemoryApi
) -> None:
    async with follow(job.path) as client:
        (first,) = await client.told(1)
        await job.succeed()
        *_, last = await client.ended()
    document = (await api.client.get(f"/v1/jobs/{job.id}")).json()
    assert document.pop("result") == {"total": 3}
    assert last.data == document
    assert first.data == document | {"state": "queued", "version": 1, "finished_at": None}
    assert (await follow_again(follow, job)).events[-1].data == document


async def follow_again(follow: Follow, job: Job) -> Any:
    """A stream of a job that has ended."""
    async with follow(job.path) as client:
        await client.ended()
    return client


async def test_a_line_names_its_job_and_progress_its_attempt(job: Job, follow: Follow) -> None:
    async with follow(job.path) as client:
        await client.told(1)
        await job.run()
        await client.told(2)
        await job.log(lines(1, "a"))
        await job.progress(7)
        told = {each.name: each.data for each in await client.told(4)}
    assert told["log"] == {"job_id": job.id, "attempt": 1, "message": "a"}
    assert told["progress"] == {
        "id": job.id, "version": 3, "attempt": 1, "progress": {"percent": 7, "note": ""},
    }  # fmt: skip


async def test_a_wish_to_cancel_is_told_as_a_state(job: Job, follow: Follow, api: InMemoryApi) -> None:
    await job.run()
    await job.progress(7)
    async with follow(job.path) as client:
        await client.told(1)
        await api.client.post(f"/v1/jobs/{job.id}/cancel")
        told = await client.told(2)
    assert told[-1].name == "state"
    assert told[-1].data["cancel_requested_at"] is not None


async def test_the_log_of_a_job_that_has_ended_comes_before_its_end(job: Job, follow: Follow) -> None:
    job.settle_log(lines(1, "a"))
    job.settle_log(lines(2, "b", "c"))
    job.settle_log(lines(3, "d"))
    await job.succeed()
    assert said(await follow_again(follow, job)) == ["a", "b", "c", "d", "succeeded"]


async def test_what_was_logged_before_the_client_came_is_told(job: Job, follow: Follow) -> None:
    await job.run()
    job.api.live_logs.kept[job.id] = lines(1, "a", "b")
    async with follow(job.path) as client:
        await client.told(3)
        await job.log(lines(1, "c", first=3))
        await client.told(4)
    assert said(client) == ["running", "a", "b", "c"]


async def test_lines_that_redis_lost_are_told_before_the_end(job: Job, follow: Follow) -> None:
    await job.run()
    async with follow(job.path) as client:
        await client.told(1)
        await job.log(lines(1, "a"))
        await client.told(2)
        job.settle_log(lines(1, "a", "b", "c"))
        await job.succeed()
        await client.ended()
    assert said(client) == ["running", "a", "b", "c", "succeeded"]


async def test_lines_that_redis_does_not_tell_now_are_told_later(job: Job, follow: Follow) -> None:
    await job.run()
    job.api.live_logs.kept[job.id] = lines(1, "a")
    job.api.live_logs.away = True
    async with follow(job.path) as client:
        await client.told(1)
        await job.progress(40)
        await client.told(2)
        job.api.live_logs.away = False
        await job.progress(50)
        await client.told(4)
    assert said(client) == ["running", "40 %", "a", "50 %"]


async def test_while_redis_is_away_the_record_is_not_asked_for_the_same_lines_again(
    job: Job, follow: Follow, monkeypatch: pytest.MonkeyPatch
) -> None:
    await job.run()
    job.api.live_logs.away = True
    async with follow(job.path) as client:
        await client.told(1)
        await job.progress(40)
        await client.told(2)
        monkeypatch.setattr(job.api.record, "read_logs", None)
        await job.progress(50)
        await client.told(3)
    assert said(client) == ["running", "40 %", "50 %"]


async def test_lines_that_were_missed_are_read_and_told_in_order(job: Job, follow: Follow) -> None:
    await job.run()
    async with follow(job.path) as client:
        await client.told(1)
        await job.log(lines(1, "a"))
        await client.told(2)
        await job.log(lines(1, "d", first=4), whole=lines(1, "a", "b", "c", "d"))
        await client.told(5)
    assert said(client) == ["running", "a", "b", "c", "d"]


async def test_lines_that_are_lost_are_told_as_a_reset(job: Job, follow: Follow) -> None:
    await job.run()
    async with follow(job.path) as client:
        await client.told(1)
        await job.log(lines(1, "a"))
        await client.told(2)
        await job.log(lines(1, "d", first=4))
        await client.told(4)
    assert said(client) == ["running", "a", "reset", "d"]


async def test_the_lines_of_the_next_attempt_come_after_all_of_the_one_before(
    job: Job, follow: Follow
) -> None:
    await job.run()
    async with follow(job.path) as client:
        await client.told(1)
        await job.log(lines(1, "a"))
        await client.told(2)
        job.settle_log(lines(1, "a", "b"))
        await job.log(lines(2, "c"))  # told before anything was said of the state
        await job.run(2)
        await client.told(5)
        await job.log(lines(2, "d", first=2))
        await client.told(6)
    assert [each for each in said(client) if each != "running"] == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("cursor", "told"),
    [
        ("1-0.0", ["running", "a", "b"]),
        ("2-0.0", ["a", "b"]),
        ("2-1.1", ["b"]),
        ("2-1.2", []),
        ("9-1.1", ["b"]),
        ("nonsense", ["running", "a", "b"]),
        ("1-1", ["running", "a", "b"]),
        ("9999999999-1.1", ["running", "a", "b"]),
    ],
)
async def test_a_client_that_comes_again_is_told_what_it_missed(
    job: Job, follow: Follow, cursor: str, told: list[str]
) -> None:
    await job.run()
    job.api.live_logs.kept[job.id] = lines(1, "a", "b")
    async with follow(job.path, last_event_id=cursor) as client:
        await client.told(len(told))
        await job.log(lines(1, "c", first=3))
        await client.told(len(told) + 1)
    assert said(client) == [*told, "c"]


@pytest.mark.parametrize("cursor", ["3-0.0", "2-9.9", "999999999-999999999.999999999"])
async def test_a_client_with_a_cursor_of_its_own_making_takes_nothing_from_others(
    job: Job, follow: Follow, api: InMemoryApi, cursor: str
) -> None:
    await job.run()
    watched = api.state.feed._jobs
    async with follow(job.path, last_event_id=cursor):
        await until(lambda: job.id in watched and watched[job.id].place is not None)
        async with follow(job.path) as client:
            await client.told(1)
            await job.log(lines(1, "a"))
            await client.told(2)
            await job.progress(50)
            await client.told(3)
    assert said(client) == ["running", "a", "50 %"]


async def test_a_client_that_missed_what_is_no_longer_kept_is_told_so(job: Job, follow: Follow) -> None:
    await job.run()
    job.api.live_logs.kept[job.id] = lines(1, "d", first=4)
    async with follow(job.path, last_event_id="2-1.1") as client:
        await client.told(2)
    assert said(client) == ["reset", "d"]
    async with follow(job.path) as anew:
        await anew.told(2)
    assert said(anew) == ["running", "d"]


async def test_a_client_that_has_the_end_is_told_not_to_come_again(job: Job, follow: Follow) -> None:
    job.settle_log(lines(1, "a"))
    await job.succeed()
    cursor = (await follow_again(follow, job)).events[-1].id
    async with follow(job.path, last_event_id=cursor) as client:
        assert await client.ended() == []
    assert (client.status, client.text) == (204, "")
    async with follow(job.path, last_event_id="1-1.1") as client:
        await client.ended()
    assert said(client) == ["succeeded"]


def counted_reads(api: InMemoryApi, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The ids of each read of what has changed."""
    reads: list[list[str]] = []
    look_at = api.record.look_at

    async def count(ids: Any) -> Any:
        reads.append(list(ids))
        return await look_at(ids)

    monkeypatch.setattr(api.record, "look_at", count)
    return reads


async def test_many_streams_of_a_job_cost_one_read_of_each_change(
    job: Job, follow: Follow, api: InMemoryApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api.state.feed, "_limit", 100)
    reads = counted_reads(api, monkeypatch)
    async with asyncio.timeout(20), AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(follow(job.path)) for _ in range(50)]
        for client in clients:
            await client.told(1)
        await until(lambda: not api.state.feed._changed)
        before = len(reads)
        await job.run()
        for client in clients:
            await client.told(2)
        assert reads[before:] == [[job.id]]
        await job.succeed()
        for client in clients:
            await client.ended()
    assert {tuple(said(client)) for client in clients} == {("queued", "running", "succeeded")}
    assert len(api.state.feed) == 0


async def test_jobs_that_nobody_listens_to_are_not_read(
    job: Job, follow: Follow, api: InMemoryApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = counted_reads(api, monkeypatch)
    other = Job(api, (await api.submit()).json()["id"])
    await other.run()
    async with follow(job.path) as client:
        await client.told(1)
        await other.succeed()
        await job.run()
        await client.told(2)
    assert {each.data["id"] for each in client.events} == {job.id}
    assert {each for ids in reads for each in ids} == {job.id}
    await job.succeed()
    assert api.state.feed._changed == {}


async def test_a_silent_stream_gives_signs_of_life(job: Job, follow: Follow) -> None:
    async with follow(job.path) as client:
        await until(lambda: client.text.count("\n:\n\n") >= 2)
        assert client.names == ["state"]


async def test_a_stream_ends_when_its_client_has_gone(job: Job, follow: Follow, api: InMemoryApi) -> None:
    async with follow(job.path) as client:
        await client.told(1)
        assert len(api.state.feed) == 1
        await client.leave()
    assert (len(api.state.feed), api.state.feed._jobs) == (0, {})


async def test_a_stream_ends_when_the_process_stops_and_the_next_goes_on(
    job: Job, follow: Follow, api: InMemoryApi
) -> None:
    async with follow(job.path) as client:
        cursor = (await client.told(1))[-1].id
        api.state.feed.release()
        await client.ended()
    await job.run()
    async with follow(job.path, last_event_id=cursor) as late:
        await late.ended()
    assert (said(client), said(late)) == (["queued"], ["running"])


async def test_over_the_limit_a_stream_says_how_things_stand_and_ends(
    job: Job, follow: Follow, api: InMemoryApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api.state.feed, "_limit", 1)
    async with follow(job.path) as first:
        await first.told(1)
        async with follow(job.path) as second:
            assert [each.name for each in await second.ended()] == ["state"]
        assert "retry: " in second.text
        await job.run()
        await first.told(2)


async def test_a_stream_ends_soon_after_its_key_was_revoked(
    job: Job, follow: Follow, api: InMemoryApi, clock: Any
) -> None:
    async with follow(job.path) as client:
        await client.told(1)
        key_id = next(iter(api.record.keys))
        api.record.keys[key_id] = api.record.keys[key_id]._replace(usable=False)
        clock.now += 60 - api.state.feed.beat_s / 2  # a request would still be answered
        await client.ended()
    assert client.names == ["state"]


async def test_a_key_stays_good_for_streams_while_the_record_is_away(
    job: Job, follow: Follow, api: InMemoryApi, clock: Any
) -> None:
    async with follow(job.path) as client:
        await client.told(1)
        api.record.away = True
        clock.now += 61
        beats = client.text.count("\n:\n")
        await until(lambda: client.text.count("\n:\n") > beats + 2)
        clock.now += 600
        await client.ended()


async def test_a_slow_reader_holds_few_events_and_is_then_told_how_things_stand(
    job: Job, follow: Follow, api: InMemoryApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "MOST_WAITING", 5)
    await job.run()
    async with follow(job.path) as client:
        await client.told(1)
        client.reads.clear()
        for percent in range(20):
            await job.progress(percent)
            await until(lambda: not api.state.feed._changed)
            (slow,) = api.state.feed._streams
            assert len(slow._waiting) <= 5
        client.reads.set()
        await until(lambda: client.events[-1].data["version"] == 22)
    versions = [each.data["version"] for each in client.events]
    assert versions == sorted(set(versions))
    assert client.events[-1].name == "state"


async def test_while_the_record_is_away_a_stream_waits_for_it(
    job: Job, follow: Follow, api: InMemoryApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_response, "AGAIN_S", 0.01)
    async with follow(job.path) as client:
        await client.told(1)
        await job.change(state=JobState.RUNNING, fence=1)
        await client.told(2)
        api.record.away = True
        job.api.record.jobs[job.id] = api.record.jobs[job.id]._replace(version=9)
        await api.cache.announce({job.id: 9}, [], {})
        await until(lambda: api.record.refusals > 2)
        api.record.away = False
        await client.told(3)
    assert client.events[-1].data["version"] == 9


async def test_without_wake_ups_the_record_is_asked(job: Job, follow: Follow, api: InMemoryApi) -> None:
    api.state.feed._ask_again_s = lambda: 0.02
    async with follow(job.path) as client:
        await client.told(1)
        api.record.change(api.record.jobs[job.id], state=JobState.RUNNING)
        await client.told(2)


async def test_a_stream_of_a_job_that_is_deleted_ends(job: Job, follow: Follow, api: InMemoryApi) -> None:
    async with follow(job.path) as client:
        await client.told(1)
        del api.record.jobs[job.id]
        await api.cache.announce({job.id: 9}, [], {})
        await client.ended()
    assert said(client) == ["queued"]


async def test_links_begin_with_the_prefix_under_which_the_client_came(
    job: Job, follow: Follow, api: InMemoryApi
) -> None:
    app = behind_proxies(wrap_middleware(api.state, api.metrics), "/p", ())
    async with following(app, f"/p{job.path}", api.headers) as client, follow(job.path) as plain:
        await client.told(1)
        await plain.told(1)
        await job.run()
        found = [await each.told(2) for each in (client, plain)]
    links = [[event.data["links"]["self"] for event in each] for each in found]
    assert links == [[f"/p/v1/jobs/{job.id}"] * 2, [f"/v1/jobs/{job.id}"] * 2]


async def test_who_asks_for_the_head_alone_gets_it(job: Job, follow: Follow) -> None:
    async with follow(job.path, method="HEAD") as client:
        assert await client.ended() == []
    assert client.status == 200
    assert client.headers["content-type"].startswith("text/event-stream")


@pytest.mark.parametrize("job_id", [None, "nothing"])
async def test_an_unknown_job_is_refused_before_anything_is_streamed(
    api: InMemoryApi, job_id: str | None
) -> None:
    answer = await api.client.get(f"/v1/jobs/{job_id or aged_id(0)}/events")
    assert (answer.status_code, answer.json()["type"]) == (404, "job-unknown")


async def test_the_job_of_another_tenant_is_unknown(job: Job, api: InMemoryApi) -> None:
    answer = await api.client.get(job.path, headers=api.as_tenant("other", "read"))
    assert (answer.status_code, answer.json()["type"]) == (404, "job-unknown")


async def test_a_job_that_ends_while_a_stream_begins_is_told_with_all_its_lines(
    job: Job, follow: Follow, api: InMemoryApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    await job.run()
    read, reached, go_on = api.state.logs.read, asyncio.Event(), asyncio.Event()

    async def read_slowly(*arguments: Any, **more: Any) -> Any:
        blocks = await read(*arguments, **more)
        reached.set()
        await go_on.wait()
        return blocks

    monkeypatch.setattr(api.state.logs, "read", read_slowly)
    async with follow(job.path) as client:
        await reached.wait()
        job.settle_log(lines(1, "a"))
        await job.succeed()
        await until(lambda: not api.state.feed._changed)
        go_on.set()
        await client.ended()
    assert said(client) == ["running", "a", "succeeded"]


async def test_a_line_that_comes_while_another_stream_begins_is_told_to_it_once(
    job: Job, follow: Follow, api: InMemoryApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    await job.run()
    read, reached, go_on = api.state.logs.read, asyncio.Event(), asyncio.Event()

    async def read_late(*arguments: Any, **more: Any) -> Any:
        reached.set()
        await go_on.wait()
        return await read(*arguments, **more)

    async with follow(job.path) as first:
        await first.told(1)
        await job.log(lines(1, "a"))
        await first.told(2)
        await until(lambda: not api.state.feed._changed)
        monkeypatch.setattr(api.state.logs, "read", read_late)
        async with follow(job.path) as second:
            await reached.wait()
            await job.log(lines(1, "b", first=2), whole=lines(1, "a", "b"))
            await first.told(3)
            go_on.set()
            await second.told(3)
            await job.log(lines(1, "c", first=3), whole=lines(1, "a", "b", "c"))
            await second.told(4)
    assert said(second) == ["running", "a", "b", "c"]
