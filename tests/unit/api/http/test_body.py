"""Reading bodies."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import pytest
from starlette.requests import Request

from api.http.asgi import AsgiMessage, Receive
from api.http.body import MOST_IN_PARTS, check_headers, read_body, read_json_body
from api.http.errors import ClientGone, RequestTimeout, TenantOverloaded, UnsupportedMediaType
from api.http.held_bytes import HeldBody, HeldBytes
from api.http.problems import problem
from sluice.core.errors import TooLarge

JSON = (b"content-type", b"application/json")


def sending(*messages: AsgiMessage) -> Receive:
    rest = iter(messages)

    async def receive() -> AsgiMessage:
        for message in rest:
            return message
        never: AsgiMessage = await asyncio.get_running_loop().create_future()  # it says nothing more
        return never

    return receive


def parts(chunks: Iterable[bytes], ended: bool = True) -> list[AsgiMessage]:
    found: list[AsgiMessage] = [
        {"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks
    ]
    if ended:
        found[-1]["more_body"] = False
    return found


@pytest.mark.parametrize(
    "media_type",
    [
        b"application/json",
        b"Application/JSON",
        b"application/json; charset=utf-8",
        b'application/json;charset="UTF-8"',
        b"application/json; charset=utf8",
        b"application/json; charset=US-ASCII",
        b"application/json;",
        b"application/json ; v=1",
        b"application/json; charset=utf-8; v=1",
        b'APPLICATION/JSON; profile="a;b, c"; Charset="Utf-8"',
        b"application/problem+json",
        b"application/vnd.api+json; ext=x",
        b"text/json",
        b"application/json; \xff=\xfe",
    ],
)
def test_json_is_taken(media_type: bytes) -> None:
    check_headers([(b"content-type", media_type), (b"content-length", b"10")], 10)


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"content-type", b"text/plain")],
        [(b"content-type", b"application/json; charset=utf-16")],
        [(b"content-type", b"application/jsonx")],
        [(b"content-type", b"multipart/form-data; boundary=x")],
        [JSON, JSON],
        [JSON, (b"content-encoding", b"gzip")],
        [JSON, (b"content-encoding", b"identity, br")],
        [JSON, (b"transfer-encoding", b"gzip, chunked")],
        [JSON, (b"transfer-encoding", b"identity")],
        [(b"content-type", b"")],
        [(b"content-type", b"application/json, application/json")],
        [(b"content-type", b"application/json; charset=iso-8859-1")],
        [(b"content-type", b'application/json; charset="utf-16le"')],
        [(b"content-type", b"+json")],
        [(b"content-type", b"application/json;" + b" " * 1_024)],
        [(b"content-type", b"application/x-ndjson")],
        [(b"content-type", b"\xff/json")],
    ],
)
def test_other_media_are_refused(headers: list[tuple[bytes, bytes]]) -> None:
    with pytest.raises(UnsupportedMediaType):
        check_headers(headers, 10)


@pytest.mark.parametrize("value", [b"identity", b"Identity", b""])
def test_a_body_may_be_said_to_be_as_it_is(value: bytes) -> None:
    check_headers([JSON, (b"content-encoding", value), (b"transfer-encoding", b"Chunked")], 10)


@pytest.mark.parametrize(
    ("headers", "word", "wanted"),
    [
        ([], "not at all", (b"accept", b"application/json")),
        (
            [(b"content-type", b"application/x-www-form-urlencoded")],
            "form-urlencoded",
            (b"accept", b"application/json"),
        ),
        ([(b"content-type", b"application/json;charset=latin-1")], "UTF-8", (b"accept", b"application/json")),
        ([JSON, (b"content-encoding", b"gzip")], "gzip", (b"accept-encoding", b"identity")),
    ],
)
def test_a_refusal_says_what_came_and_what_is_taken(
    headers: list[tuple[bytes, bytes]], word: str, wanted: tuple[bytes, bytes]
) -> None:
    with pytest.raises(UnsupportedMediaType, match=word) as refused:
        check_headers(headers, 10)
    assert wanted in problem(refused.value, "").headers


def test_an_announced_body_that_is_too_large_is_refused_unread() -> None:
    with pytest.raises(TooLarge):
        check_headers([JSON, (b"content-length", b"11")], 10)


async def test_a_body_in_parts_is_put_together() -> None:
    assert await read_body(sending(*parts([b"ab", b"", b"cd"])), 4, 1) == b"abcd"


async def test_a_body_past_the_limit_is_refused_before_its_end() -> None:
    with pytest.raises(TooLarge):
        await read_body(sending(*parts([b"ab", b"cde"], ended=False)), 4, 1)


async def test_a_body_that_is_there_already_needs_no_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asyncio.get_running_loop(), "call_at", None)
    assert await read_body(sending(*parts([b"ab", b"cd"])), 4, 1) == b"abcd"


async def test_a_body_that_has_to_be_waited_for_is_read_to_its_end() -> None:
    rest = iter(parts([b"ab", b"cd", b"ef"]))

    async def receive() -> AsgiMessage:
        await asyncio.sleep(0)
        return next(rest)

    assert await read_body(receive, 6, 1) == b"abcdef"


@pytest.mark.parametrize("waits", [1, 2])
async def test_a_request_that_is_given_up_stops_reading(waits: int) -> None:
    ended = asyncio.Event()

    async def receive() -> AsgiMessage:
        try:
            for _ in range(waits):
                await asyncio.sleep(0)
            never: AsgiMessage = await asyncio.get_running_loop().create_future()
            return never
        finally:
            ended.set()

    task = asyncio.create_task(read_body(receive, 4, 10))
    for _ in range(3):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()


async def test_a_body_that_does_not_come_times_out() -> None:
    with pytest.raises(RequestTimeout):
        await read_body(sending(*parts([b"ab"], ended=False)), 4, 0.01)


@pytest.mark.parametrize("size", [100, MOST_IN_PARTS + 100])
@pytest.mark.parametrize(("slowest", "in_time"), [(100, True), (10**9, False)])
async def test_a_large_body_may_take_its_time_if_it_goes_on(
    monkeypatch: pytest.MonkeyPatch, size: int, slowest: int, in_time: bool
) -> None:
    monkeypatch.setattr("api.http.body.SLOWEST", slowest)
    rest = iter(parts([b"x" * (size // 10)] * 10))

    async def receive() -> AsgiMessage:
        await asyncio.sleep(0.02)
        return next(rest)

    with HeldBody(HeldBytes(10 * size, 10 * size), "acme") as held:
        reading = read_json_body(request(receive, (b"content-length", b"%d" % size)), size, 0.05, held)
        if in_time:
            assert len(await reading) == size
        else:
            with pytest.raises(RequestTimeout):
                await reading


@pytest.mark.parametrize("size", [1_000, MOST_IN_PARTS + 1])
async def test_a_body_that_drips_is_cut_off(size: int) -> None:
    async def drip() -> AsgiMessage:
        await asyncio.sleep(0.01)
        return {"type": "http.request", "body": b"x", "more_body": True}

    with HeldBody(HeldBytes(10 * size, 10 * size), "acme") as held:
        reading = read_json_body(request(drip, (b"content-length", b"%d" % size)), size, 0.1, held)
        with pytest.raises(RequestTimeout):
            await asyncio.wait_for(reading, 2)


async def test_a_client_that_leaves_is_noticed() -> None:
    with pytest.raises(ClientGone):
        await read_body(sending(*parts([b"ab"], ended=False), {"type": "http.disconnect"}), 4, 1)


def request(receive: Receive, *headers: tuple[bytes, bytes]) -> Request:
    return Request({"type": "http", "headers": [JSON, *headers]}, receive)


@pytest.mark.parametrize("size", [10, MOST_IN_PARTS + 10])
@pytest.mark.parametrize("announced", [True, False])
async def test_a_body_is_the_same_however_it_is_read_and_counts_while_it_is_held(
    size: int, announced: bool
) -> None:
    body = bytes(number % 251 for number in range(size))
    headers = [(b"content-length", b"%d" % size)] if announced else []
    received = sending(*parts([body[:7], b"", body[7:]]))
    held = HeldBytes(2 * size, 2 * size)
    with HeldBody(held, "acme") as mine:
        assert await read_json_body(request(received, *headers), size, 1, mine) == body
        assert len(held) == size
    assert len(held) == 0


async def test_a_body_that_there_is_no_room_for_is_refused_unread() -> None:
    held = HeldBytes(100, 10)
    with HeldBody(held, "acme") as body, pytest.raises(TenantOverloaded):
        await read_json_body(request(sending(), (b"content-length", b"11")), 100, 1, body)


async def test_a_body_of_unknown_size_is_refused_when_there_is_no_room_left() -> None:
    held = HeldBytes(100, 10)
    received = sending(*parts([b"x" * 6, b"x" * 6], ended=False))
    with HeldBody(held, "acme") as body, pytest.raises(TenantOverloaded):
        await read_json_body(request(received), 100, 1, body)


@pytest.mark.parametrize("size", [10, MOST_IN_PARTS + 10])
async def test_an_announced_body_that_stops_coming_is_noticed(size: int) -> None:
    with HeldBody(HeldBytes(size, size), "acme") as body:
        length = (b"content-length", b"%d" % size)
        gone = sending(*parts([b"ab"], ended=False), {"type": "http.disconnect"})
        with pytest.raises(ClientGone):
            await read_json_body(request(gone, length), size, 1, body)
        with pytest.raises(RequestTimeout):
            await read_json_body(request(sending(), length), size, 0.01, body)
