"""Offers to upgrade are ignored, and the request is answered as if they had not been made. A real server, bare sockets."""

from __future__ import annotations

import asyncio

import pytest

from api.http.asgi import AsgiMessage, Receive, Scope, Send
from api.http.uvicorn_protocol import MOST_HEAD
from tests.unit.api.http.test_large_heads import Seen, answer_to
from tests.unit.api.http.test_uvicorn_protocol import Answers, Server, serving, slow_first

H2C = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n"
OFFERS = [
    H2C,
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: eA==\r\n",
    "Connection: Upgrade\r\nUpgrade: TLS/1.0\r\n",
    "Connection: keep-alive, upgrade\r\nUpgrade: h2c, websocket, IRC/6.9\r\n",
    "connection: Upgrade\r\nUPGRADE: h2c\r\nUpgrade: websocket\r\n",
    "Upgrade: h2c\r\n",
    "Connection: Upgrade\r\n",
]
BODY = b"GET /a-body-that-looks-like-a-request HTTP/1.1\r\nHost: x\r\n\r\n"
SIZED = f"Content-Length: {len(BODY)}\r\n"
CHUNKS = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)


async def repeat(scope: Scope, receive: Receive, send: Send) -> None:
    """Sends back method, path and body."""
    body, more = b"", True
    while more:
        message: AsgiMessage = await receive()
        assert message["type"] == "http.request"
        body, more = body + message["body"], message["more_body"]
    answer = f"{scope['method']} {scope['path']} ".encode() + body
    headers = [(b"content-length", b"%d" % len(answer))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})


def head(method: str, path: str, more: str) -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: x\r\n{more}\r\n".encode()


async def talk(server: Server, pieces: list[bytes], answers: int) -> list[bytes]:
    """Send these pieces one after another, and read so many answers."""
    async with server.connected() as (reader, writer):
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.01)  # a packet of its own
        return await Answers(answers).read(reader)


@pytest.mark.parametrize("offer", OFFERS)
async def test_a_body_after_an_offer_is_the_body(offer: str, caplog: pytest.LogCaptureFixture) -> None:
    sized, parts = (
        head("POST", "/1", offer + SIZED),
        head("POST", "/1", offer + "Transfer-Encoding: chunked\r\n"),
    )
    right = [b"POST /1 " + BODY, b"PUT /2 " + BODY]
    async with serving(repeat) as server:
        for begin, body in ((sized, BODY), (parts, CHUNKS)):
            following = head("PUT", "/2", SIZED) + BODY
            assert await talk(server, [begin + body + following], 2) == right
            assert await talk(server, [begin, body, following], 2) == right
            assert (
                await talk(server, [begin[:40], begin[40:-1], begin[-1:] + body[:5], body[5:] + following], 2)
                == right
            )
    assert caplog.records == []


@pytest.mark.parametrize("offer", OFFERS)
async def test_a_request_without_a_body_is_followed_by_the_next_one(offer: str) -> None:
    asked = (
        head("GET", "/1", offer)
        + head("POST", "/2", offer + "Content-Length: 0\r\n")
        + head("GET", "/3", offer)
    )
    async with serving(repeat) as server:
        assert await talk(server, [asked], 3) == [b"GET /1 ", b"POST /2 ", b"GET /3 "]


async def test_an_offer_while_an_earlier_request_is_answered_does_not_touch_that() -> None:
    async with serving(slow_first) as server:
        asked = [head("GET", "/00", ""), head("GET", "/01", H2C), head("GET", "/02", "")]
        assert await talk(server, asked, 3) == [b"00", b"01", b"02"]


async def test_hundreds_of_offers_in_one_packet_are_answered_in_order() -> None:
    many = [head("GET", f"/{number:02}", "Connection: Upgrade\r\nUpgrade: h2c\r\n") for number in range(99)]
    async with serving(slow_first) as server:
        assert await talk(server, [b"".join(many)], 99) == [b"%02d" % number for number in range(99)]


async def test_a_client_that_offers_and_waits_is_asked_for_its_body() -> None:
    async with serving(repeat) as server, server.connected() as (reader, writer):
        writer.write(head("POST", "/1", H2C + SIZED + "Expect: 100-continue\r\n"))
        assert await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5) == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(BODY)
        assert await Answers(1).read(reader) == [b"POST /1 " + BODY]


async def test_nobody_sees_the_offer_but_all_the_other_headers() -> None:
    seen = Seen()
    async with serving(seen) as server, server.connected() as (reader, writer):
        writer.write(head("GET", "/", "X-A: b\r\n" + H2C))
        await reader.readuntil(b"\r\n\r\n")
    assert [name for name, _ in seen.scopes[0]["headers"]] == [
        b"host",
        b"x-a",
        b"connection",
        b"http2-settings",
    ]


async def test_a_large_head_with_an_offer_is_refused_like_any_other() -> None:
    async with serving(Seen()) as server:
        whole = await answer_to(server, head("GET", "/", H2C + f"X: {'a' * MOST_HEAD}\r\n"))
    assert whole.startswith(b"HTTP/1.1 431 ")


async def test_tunnels_are_refused() -> None:
    async with serving(Seen()) as server:
        whole = await answer_to(server, b"CONNECT example.org:443 HTTP/1.1\r\nHost: x\r\n\r\n")
    assert whole.startswith(b"HTTP/1.1 400 ")
    assert b'"malformed-request"' in whole
