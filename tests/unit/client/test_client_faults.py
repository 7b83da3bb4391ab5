"""Both clients against a server that lies, stalls and dies: nothing hangs, nothing is done twice, and the job is on the error."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from sluice.client import (
    ApiError,
    BadAnswer,
    ClientClosed,
    Forbidden,
    NotFound,
    OutcomeUnknown,
    Overloaded,
    RateLimited,
    RecordAway,
    ServerAway,
    WaitTimeout,
)
from tests.support.scripted_server import (
    DONE,
    JOB,
    QUICK,
    Reply,
    answer,
    dies,
    open_quick,
    problem,
    scripted,
    sends,
    stalls,
    trickles,
)

ID = str(JOB["id"])
OK = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    "first",
    [dies, problem(503, "outcome-unknown", True, retry_after="0"), problem(500, "internal"), answer(502, b"<html>"), answer(504, b""),
     sends(OK + b"content-length: 90\r\n\r\n{", dies), problem(429, "rate-limited", True, retry_after="0")],
    ids=["dies", "outcome-unknown", "internal", "html", "504", "half", "rate"],
)  # fmt: skip
async def test_a_submit_is_sent_again_with_the_same_key_and_bytes(way: str, first: Reply) -> None:
    with scripted(first, answer(202, JOB)) as server:
        async with open_quick(way, server) as client:
            assert (await client.submit("demo.sum", {"values": [1]})).id == ID
    one, two = server.received
    assert one.headers["idempotency-key"] == two.headers["idempotency-key"]
    assert one.body == two.body == b'{"kind":"demo.sum","input":{"values":[1]}}'


@pytest.mark.parametrize(
    ("first", "error"),
    [(dies, ServerAway), (problem(503, "outcome-unknown", True), OutcomeUnknown), (problem(500, "internal"), ApiError),
     (answer(503, b"<html>"), ApiError), (problem(500, "internal", True), ApiError)],
    ids=["dies", "outcome-unknown", "internal", "proxy", "retryable"],
)  # fmt: skip
async def test_without_a_key_what_may_be_done_is_not_sent_again(way: str, first: Reply, error: Any) -> None:
    with scripted(first, answer(202, JOB)) as server:
        async with open_quick(way, server) as client:
            with pytest.raises(error):
                await client.submit("demo.sum", {}, key=None)
    assert len(server.received) == 1
    assert "idempotency-key" not in server.received[0].headers


@pytest.mark.parametrize(
    "first", [problem(503, "record-away", True, retry_after="0"), problem(429, "tenant-overloaded", True)]
)
async def test_without_a_key_what_came_to_nothing_is_sent_again(way: str, first: Reply) -> None:
    with scripted(first, answer(202, JOB)) as server:
        async with open_quick(way, server) as client:
            assert (await client.submit("demo.sum", {}, key=None)).id == ID


@pytest.mark.parametrize(
    ("reply", "error", "times"),
    [(problem(429, "rate-limited", True, retry_after="0"), RateLimited, 3), (problem(503, "overloaded", True, retry_after="0"), Overloaded, 3),
     (problem(503, "record-read-only", True, retry_after="0"), RecordAway, 3), (problem(429, "rate-limited", True, retry_after="3600"), RateLimited, 1),
     (problem(500, "internal", False), ApiError, 1), (problem(422, "invalid", False), ApiError, 1), (answer(301, b"", location="/x"), ApiError, 1),
     (dies, ServerAway, 3)],
)  # fmt: skip
async def test_the_server_says_whether_another_try_is_worth_it(
    way: str, reply: Reply, error: type[Exception], times: int
) -> None:
    with scripted(reply) as server:
        async with open_quick(way, server) as client:
            with pytest.raises(error) as caught:
                await client.job(ID).refresh()
    assert len(server.received) == times
    assert caught.value.job.id == ID  # type: ignore[attr-defined]  # each of these has one
    assert "slc_key" not in repr(caught.value) + str(caught.value) + repr(client)


@pytest.mark.parametrize(
    "lie",
    [b"<html>hello</html>", b"[]", b"null", b"{}", b'{"id": 7}', b'{"id": "x"', b"\xff\xfe", b"[" * 100_000,
     b'{"id": "another", "state": "succeeded", "version": 3}', b'{"id": "%s", "state": "queued", "version": "1"}' % ID.encode(),
     b'{"id": "%s", "state": "queued", "version": 1, "tags": 7}' % ID.encode(),
     b'{"id": "%s", "state": "queued", "version": 1, "created_at": "yesterday"}' % ID.encode(),
     b'{"id": "%s", "state": "failed", "version": 1, "error": []}' % ID.encode()],
)  # fmt: skip
async def test_an_answer_that_is_no_job_is_an_error_with_the_job(way: str, lie: bytes) -> None:
    with scripted(answer(200, lie)) as server:
        async with open_quick(way, server) as client:
            with pytest.raises(BadAnswer) as caught:
                await client.job(ID).result(timeout=5)
    assert caught.value.job.id == ID


@pytest.mark.parametrize(
    "reply",
    [stalls, sends(b"HTTP/1.1 200"), sends(OK + b"content-length: 5\r\n\r\n{"), trickles(OK + b"content-length: 1000000\r\n\r\n")],
    ids=["silent", "head", "body", "trickle"],
)  # fmt: skip
async def test_a_server_that_stalls_is_left_in_time(way: str, reply: Reply) -> None:
    with scripted(reply) as server:
        async with open_quick(way, server, answer_s=0.3) as client:
            async with asyncio.timeout(10):
                with pytest.raises(ServerAway):
                    await client.kinds()
            assert 1 <= len(server.received) <= QUICK.tries
            async with asyncio.timeout(10):
                with pytest.raises(WaitTimeout) as caught:
                    await client.job(ID).result(timeout=0.2)
            assert caught.value.job.id == ID


async def test_an_answer_without_end_is_not_read_to_it(way: str) -> None:
    endless = trickles(
        OK + b"transfer-encoding: chunked\r\n\r\n", b"100000\r\n" + b" " * 0x100000 + b"\r\n", 0
    )
    with scripted(endless) as server:
        async with open_quick(way, server, answer_s=60) as client:
            with pytest.raises(BadAnswer, match="bytes"):
                await client.kinds()
    assert len(server.received) == 1


@pytest.mark.parametrize("reply", [answer(200, JOB), answer(304, b""), answer(200, JOB, retry_after="0")])
async def test_a_server_that_does_not_hold_its_answers_is_not_asked_without_end(
    way: str, reply: Reply
) -> None:
    with scripted(answer(202, JOB), reply) as server:
        async with open_quick(way, server) as client:
            job = await client.submit("demo.sum", {})
            with pytest.raises(WaitTimeout):
                await job.result(timeout=1.5)
    assert len(server.received) <= 4


async def test_a_version_that_always_rises_is_not_asked_for_without_end(way: str) -> None:
    def reply(connection: Any, received: Any) -> None:
        answer(200, JOB | {"version": len(server.received)})(connection, received)

    with scripted(reply) as server:
        async with open_quick(way, server) as client:
            with pytest.raises(WaitTimeout):
                await client.job(ID).result(timeout=1.5)
    assert len(server.received) <= 5


async def test_a_stream_that_tells_nothing_is_replaced_by_polls(way: str) -> None:
    stream = sends(OK + b"content-type: text/event-stream\r\nconnection: close\r\n\r\nretry: 1\n\n", dies)
    with scripted(stream, stream, answer(200, JOB), answer(200, DONE)) as server:
        async with open_quick(way, server) as client:
            assert [each.state async for each in client.job(ID).follow()] == ["queued", "succeeded"]
    assert [each.path.rpartition("/")[2] for each in server.received] == ["events", "events", ID, ID]


async def test_a_stream_that_breaks_off_goes_on_where_it_was(way: str) -> None:
    import orjson

    head = OK + b"content-type: text/event-stream\r\nconnection: close\r\n\r\nretry: 1\n\n"
    first = (
        head + b"id: 7\r\nevent: state\r\ndata: " + orjson.dumps(JOB) + b"\r\n\r\nid: 8\nevent: end\ndata: {"
    )
    last = head + b": beat\n\nid: 9\nevent: end\ndata: " + orjson.dumps(DONE) + b"\n\n"
    with scripted(sends(first, dies), sends(last, dies)) as server:
        async with open_quick(way, server) as client:
            assert [each.state async for each in client.job(ID).follow()] == ["queued", "succeeded"]
    assert server.received[1].headers["last-event-id"] == "7"


async def test_a_stream_of_all_jobs_that_breaks_off_is_begun_again(way: str) -> None:
    head = OK + b"content-type: text/event-stream\r\nconnection: close\r\n\r\nretry: 1\n\n"
    first = sends(head + b'id: 1-0\nevent: end\ndata: {"id": "a"}\n\nevent: state\nda', dies)
    second = sends(head + b'id: 2-0\nevent: reset\ndata: {"detail": "look"}\n\n', dies)
    with scripted(first, second, problem(403, "forbidden")) as server:
        async with open_quick(way, server) as client:
            told: list[tuple[str, str | None]] = []

            async def listen() -> None:
                async for each in client.events():
                    told.append((each.name, each.job_id))  # noqa: PERF401  what came before the error counts

            with pytest.raises(Forbidden):
                await listen()
    assert told == [("end", "a"), ("reset", None)]
    assert [each.headers.get("last-event-id") for each in server.received] == [None, "1-0", "2-0"]


@pytest.mark.parametrize("reply", [answer(200, {"jobs": []}), problem(404, "not-found")])
async def test_what_is_no_stream_of_events_is_an_error(way: str, reply: Reply) -> None:
    with scripted(reply) as server:
        async with open_quick(way, server) as client:
            with pytest.raises((BadAnswer, NotFound)):
                [each async for each in client.events()]


async def test_where_there_are_no_events_polls_tell(way: str) -> None:
    with scripted(
        problem(404, "not-found", False),
        problem(404, "not-found", False),
        answer(200, JOB),
        answer(200, DONE),
    ) as server:
        async with open_quick(way, server) as client:
            assert [each.state async for each in client.job(ID).follow()] == ["queued", "succeeded"]


@pytest.mark.parametrize(
    ("reply", "error"),
    [(dies, ServerAway), (problem(401, "unauthorized", False), ApiError), (answer(200, b"[]"), BadAnswer), (answer(200, b"{"), BadAnswer)],
)  # fmt: skip
async def test_all_who_wait_together_hear_that_the_server_is_away(
    way: str, reply: Reply, error: type[Exception]
) -> None:
    with scripted(reply) as server:
        async with open_quick(way, server) as client:
            jobs = [client.job(f"01a22321-9023-7abe-8513-ed0ed005b{number:03}") for number in range(20)]
            results: list[Any] = await asyncio.gather(
                *(job.result(timeout=30) for job in jobs), return_exceptions=True
            )
            assert {isinstance(each, error) for each in results} == {True}
            assert [each.job.id for each in results] == [job.id for job in jobs]
            with pytest.raises(error):
                await client.wait(jobs)


async def test_who_waits_is_told_when_the_client_is_closed(way: str) -> None:
    with scripted(stalls) as server:
        client = open_quick(way, server)
        async with client:
            jobs = [client.job(f"01a22321-9023-7abe-8513-ed0ed005b{number:03}") for number in range(3)]
            waiting = asyncio.ensure_future(_wait(client, jobs))
            while not server.received:  # noqa: ASYNC110  no event of this loop can be set there
                await asyncio.sleep(0.01)
        with pytest.raises(ClientClosed):
            await waiting
        with pytest.raises(ClientClosed):
            await client.kinds()


async def _wait(client: Any, jobs: list[Any]) -> Callable[..., Any]:
    return await client.wait(jobs)  # type: ignore[no-any-return]  # either client


async def test_a_server_that_is_not_there_is_away(way: str) -> None:
    with scripted(dies) as server:
        pass
    async with open_quick(way, server) as client:
        with pytest.raises(ServerAway):
            await client.submit("demo.sum", {}, key=None)
