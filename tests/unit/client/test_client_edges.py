"""Both clients against servers at the edge of sense: answers in drops or without end, numbers and advice that are none, other items."""

from __future__ import annotations

import asyncio
import gzip
import socket
import time
from contextlib import suppress
from typing import Any

import pytest

from sluice.client import (
    BadAnswer,
    Misconfigured,
    Retries,
    ServerAway,
    WaitTimeout,
)
from sluice.client.following import EventParser
from sluice.client.http_client import MOST_BYTES
from tests.support.scripted_server import (
    DONE,
    JOB,
    MANY,
    Received,
    Reply,
    answer,
    open_quick,
    problem,
    scripted,
    sends,
    trickles,
)

ID = str(JOB["id"])
OK = b"HTTP/1.1 200 OK\r\n"
STREAM = OK + b"content-type: text/event-stream\r\nconnection: close\r\n\r\n"
CHUNKS = b"transfer-encoding: chunked\r\n\r\n"
MEGABYTE = b"100000\r\n" + b" " * 0x100000 + b"\r\n"


@pytest.mark.parametrize(
    "reply",
    [trickles(OK, b"x-a: b\r\n"), trickles(b"", b"HTTP/1.1 102 Processing\r\n\r\n"), trickles(b"", b"H")],
    ids=["headers", "informational", "no HTTP"],
)
async def test_a_head_in_drops_takes_no_longer_than_an_answer_may(way: str, reply: Reply) -> None:
    with scripted(reply) as server:
        async with open_quick(way, server, answer_s=0.4) as client:
            async with asyncio.timeout(8):
                with pytest.raises(ServerAway):
                    await client.kinds()


async def test_an_error_without_end_is_not_read_to_it_even_where_a_stream_was_asked_for(way: str) -> None:
    with scripted(trickles(b"HTTP/1.1 500 X\r\n" + CHUNKS, MEGABYTE, 0)) as server:
        async with open_quick(way, server, answer_s=60) as client:
            with pytest.raises(BadAnswer, match="bytes") as caught:
                [_ async for _ in client.job(ID).follow()]
    assert caught.value.job.id == ID
    assert len(server.received) == 1


async def test_an_answer_that_is_too_large_names_the_job_and_ends_nobody_elses_wait(way: str) -> None:
    endless = trickles(OK + CHUNKS, MEGABYTE, 0)
    good = answer(200, {"jobs": [DONE], "unknown": [], "unfinished": 0})
    with scripted(endless, endless, good) as server:
        async with open_quick(way, server, answer_s=60) as client:
            with pytest.raises(BadAnswer, match="bytes") as caught:
                await client.job(ID).result(timeout=60)
            assert caught.value.job.id == ID
            with pytest.raises(BadAnswer, match="bytes"):
                await client.wait([client.job(ID)])
            done, _ = await client.wait([client.job(ID)])
    assert [each.state for each in done] == ["succeeded"]


async def test_a_stream_is_left_when_the_time_is_up(way: str) -> None:
    def beats_late(connection: socket.socket, _: Received) -> None:
        connection.sendall(STREAM)
        time.sleep(1.3)
        with suppress(OSError):
            connection.sendall(b": beat\n\n")

    with scripted(beats_late, answer(200, JOB)) as server:
        async with open_quick(way, server) as client:
            begun = time.monotonic()
            with pytest.raises(WaitTimeout) as caught:
                [_ async for _ in client.job(ID).follow(timeout=1.5)]
    assert time.monotonic() - begun < 2.8
    assert caught.value.job.id == ID


async def test_nothing_has_changed_is_no_answer_to_a_client_that_knows_nothing(way: str) -> None:
    gone = problem(404, "not-found", False)
    with scripted(answer(304, b""), gone, gone, answer(304, b"")) as server:
        async with open_quick(way, server) as client:
            for ask in (client.job(ID).refresh(), _all(client.job(ID).follow())):
                with pytest.raises(BadAnswer, match="nothing has changed") as caught:
                    await ask
                assert caught.value.job.id == ID


async def _all(values: Any) -> list[Any]:
    return [each async for each in values]


@pytest.mark.parametrize(
    "field",
    [
        b'"attempt": 1e999',
        b'"attempt": -Infinity',
        b'"max_attempts": 1e400',
        b'"error": {"type": "x", "attempt": 1e999}',
    ],
)
async def test_a_number_beyond_all_numbers_is_a_bad_answer(way: str, field: bytes) -> None:
    lie = b'{"id": "%s", "state": "queued", "version": 1, %s}' % (ID.encode(), field)
    with scripted(answer(200, lie)) as server:
        async with open_quick(way, server) as client:
            with pytest.raises(BadAnswer):
                await client.job(ID).refresh()


@pytest.mark.parametrize(
    "told", ["-5", "-0", "nan", "1e9", "0x1", "", "Mon, 01 Jan 99999999999999999999 00:00:00 GMT", "Mon, 99 Foo 2026 99:99:99 GMT", "1" * 5_000]
)  # fmt: skip
async def test_advice_without_sense_is_no_advice(way: str, told: str) -> None:
    refused = problem(503, "overloaded", True, retry_after=told, date="Mon, 01 Jan 2026 00:00:00 GMT")
    with scripted(refused, answer(200, DONE)) as server:
        async with open_quick(way, server) as client, asyncio.timeout(5):
            assert (await client.job(ID).refresh()).state == "succeeded"


def test_a_pause_stays_within_its_bound_however_often_was_tried() -> None:
    assert Retries(tries=10**9, budget_s=1e9).longest_pause_s(10**6) == 8.0


@pytest.mark.parametrize("items", [[], [1, 0], [0, 0], [0, 1, 2], [1, 2]])
async def test_items_that_were_not_sent_are_a_bad_answer(way: str, items: list[int]) -> None:
    told = [{"index": index, "status": 202, "job": {"id": MANY[index]}} for index in items]
    with scripted(answer(202, {"id": "x", "items": told})) as server:
        async with open_quick(way, server) as client:
            with pytest.raises(BadAnswer, match="other items"):
                await client.batch([{"kind": "demo.sum"}, {"kind": "demo.sum"}])
            with pytest.raises(BadAnswer, match="other items"):
                await _all(client.map("demo.sum", [{}, {}]))


@pytest.mark.parametrize("retryable", [True, False])
async def test_items_that_were_not_read_are_refused_and_those_before_keep_their_jobs(
    way: str, retryable: bool
) -> None:
    first = {"index": 0, "status": 202, "job": {"id": ID}}
    stopped = {"type": "request-timeout", "status": 408, "retryable": retryable}
    whole = answer(202, {"id": "x", "items": [first, {**first, "index": 1}]})
    with scripted(answer(202, {"id": "x", "items": [first], "stopped": stopped}), whole) as server:
        async with open_quick(way, server) as client:
            batch = await client.batch([{"kind": "demo.sum"}, {"kind": "demo.sum"}])
    assert batch.items[0].job.id == ID
    assert [each.status for each in batch.items] == [202, 202 if retryable else 408]
    assert len({(each.body, each.headers["idempotency-key"]) for each in server.received}) == 1
    assert len(server.received) == 1 + retryable


async def test_a_server_that_always_has_more_and_never_says_what_is_not_asked_without_end(way: str) -> None:
    with scripted(answer(200, {"jobs": [], "unknown": [], "more": True})) as server:
        async with open_quick(way, server) as client:
            done, _ = await client.wait([client.job(each) for each in MANY], timeout=1.5)
    assert done == []
    assert len(server.received) <= 3


def test_an_event_of_empty_lines_has_an_end() -> None:
    parser = EventParser(most_bytes=1_000)
    parser.feed(b"data:\n" * 1_001)
    with pytest.raises(BadAnswer, match="without end"):
        parser.feed(b"data:\n" * 1_001)


async def test_no_cookie_is_sent_back(way: str) -> None:
    with scripted(answer(200, JOB, set_cookie="balancer=one; Path=/"), answer(200, DONE)) as server:
        async with open_quick(way, server) as client:
            await client.job(ID).refresh()
            await client.job(ID).refresh()
    assert ["cookie" in each.headers for each in server.received] == [False, False]


@pytest.mark.parametrize("key", ["", "a\nb", 'a"b', "schlüssel", "k" * 256])
async def test_a_key_that_no_header_may_have_is_refused_before_anything_is_sent(way: str, key: str) -> None:
    with scripted(answer(202, JOB)) as server:
        async with open_quick(way, server) as client:
            with pytest.raises(ValueError, match="a key is"):
                await client.submit("demo.sum", {}, key=key)
            await client.submit("demo.sum", {}, key="order 7\\")
    assert [each.headers["idempotency-key"] for each in server.received] == ['"order 7\\"']


async def test_what_is_compressed_is_not_unfolded(way: str) -> None:
    bomb = gzip.compress(gzip.compress(bytes(MOST_BYTES + 1)))
    head = b"content-encoding: gzip, gzip\r\ncontent-length: %d\r\n\r\n" % len(bomb)
    with scripted(sends(OK + head + bomb)) as server:
        async with open_quick(way, server) as client:
            with pytest.raises(BadAnswer, match="compressed"):
                await client.kinds()
    with scripted(sends(b"HTTP/1.1 503 X\r\n" + head + bomb), answer(200, {"kinds": []})) as server:
        async with open_quick(way, server) as client:
            assert await client.kinds() == []


@pytest.mark.parametrize(("name", "value"), [("ALL_PROXY", "ftp://x"), ("HTTP_PROXY", "http://x:y")])
async def test_a_proxy_that_is_none_is_a_mistake_of_the_environment(
    way: str, name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with scripted(answer(200, {"kinds": []})) as server:
        async with open_quick(way, server) as client:
            with pytest.raises(Misconfigured, match="names a proxy"):
                await client.kinds()
    assert server.received == []


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "v1/kinds"), ("GET", "/v1/kinds\n"), ("G ET", "/"), ("GET\r\nx: y", "/")]
)
async def test_what_no_request_can_be_is_a_mistake_of_the_caller(way: str, method: str, path: str) -> None:
    with scripted(answer(200, {})) as server:
        async with open_quick(way, server) as client:
            with pytest.raises(ValueError, match=r"a path|a method"):
                await client.request(method, path)
    assert server.received == []
