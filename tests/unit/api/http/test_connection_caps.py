"""How many connections may be open, and what becomes of one too many. A real server, bare sockets."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack

import orjson
import pytest

from api.http import connection_caps
from api.http.connection_caps import ConnectionCaps
from api.http.edge import EdgeMiddleware
from tests.support.waiting import until
from tests.unit.api.http.test_edge import RequestStats
from tests.unit.api.http.test_uvicorn_protocol import Answers, Server, ask, serving, small

Client = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def make_caps(
    most: int, most_of_peer: int = 0, proxies: tuple[str, ...] = ()
) -> tuple[ConnectionCaps, Counter[str]]:
    """Caps, and how many connections they have refused for which reason."""
    refused: Counter[str] = Counter()
    return ConnectionCaps(
        most, most_of_peer, lambda host: host in proxies, lambda why: refused.update([why])
    ), refused


def admit(caps: ConnectionCaps, *hosts: str) -> list[bool]:
    """Open a connection from each of these addresses."""
    return [caps.admit(object(), host) for host in hosts]


async def answers(client: Client) -> bool:
    """Ask on a connection; return whether it was answered as usual."""
    client[1].write(ask("/01"))
    return await Answers(1).read(client[0]) == [b"01"]


async def connect(server: Server, stack: AsyncExitStack, caps: ConnectionCaps, open_then: int) -> Client:
    """Connect, and wait until so many connections are open."""
    client = await stack.enter_async_context(server.connected())
    await until(lambda: len(caps) == open_then)
    return client


async def test_one_connection_too_many_is_told_so_and_the_others_go_on() -> None:
    caps, refused = make_caps(2)
    async with serving(small, 60, caps=caps) as server, AsyncExitStack() as stack:
        first = await connect(server, stack, caps, 1)
        second = await connect(server, stack, caps, 2)
        reader, writer = await stack.enter_async_context(server.connected())
        writer.write(ask("/01") * 1_000)  # it is read by nobody, and the answer arrives nevertheless
        head, _, body = (await asyncio.wait_for(reader.read(), 10)).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 503 ")
        assert {b"connection: close", b"retry-after: 1"} <= set(head.split(b"\r\n"))
        assert orjson.loads(body)["type"].endswith("too-many-connections")
        assert await answers(first)
        assert await answers(second)
        assert refused == {"all": 1}
        first[1].close()
        await until(lambda: len(caps) == 1)
        assert await answers(await connect(server, stack, caps, 2))
    assert len(caps) == 0


async def test_of_very_many_the_rest_is_closed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_caps, "MOST_ANSWERED", 2)
    caps, refused = make_caps(0)
    async with serving(small, 60, caps=caps) as server, AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(server.connected()) for _ in range(5)]
        told = [await asyncio.wait_for(read_all(client[0]), 10) for client in clients]
        assert sorted(map(len, told))[:3] == [0, 0, 0]
        assert [each[:12] for each in told if each] == [b"HTTP/1.1 503"] * 2
        assert refused == {"all": 5}
        await until(lambda: caps.may_answer())


async def read_all(reader: asyncio.StreamReader) -> bytes:
    """Read to the end; a reset is one."""
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""


def test_an_address_has_its_own_cap_and_leaves_room_for_others() -> None:
    caps, refused = make_caps(10, 2)
    assert admit(caps, "192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.2") == [True, True, False, True]
    assert refused == {"address": 1}


def test_who_has_one_address_of_ipv6_has_all_of_its_network() -> None:
    caps, _ = make_caps(10, 2)
    assert admit(caps, "2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8:0:1::1") == [
        True,
        True,
        False,
        True,
    ]
    assert admit(caps, "192.0.2.1", "::ffff:192.0.2.1", "192.0.2.1") == [True, True, False]


def test_proxies_that_are_trusted_and_sockets_without_addresses_count_in_all_alone() -> None:
    caps, refused = make_caps(6, 1, ("192.0.2.9",))
    assert admit(caps, *["192.0.2.9"] * 3, "", "", "", "") == [True] * 6 + [False]
    assert refused == {"all": 1}


def test_without_a_cap_an_address_may_have_all() -> None:
    caps, _ = make_caps(3, 0)
    assert admit(caps, *["192.0.2.1"] * 4) == [True, True, True, False]


def test_nothing_is_kept_of_an_address_that_has_gone() -> None:
    caps, _ = make_caps(2, 1)
    for number in range(100):
        connection, refused = object(), object()
        assert caps.admit(connection, f"192.0.2.{number}")
        assert not caps.admit(refused, f"192.0.2.{number}")
        caps.remove(connection)
        caps.remove(refused)
        caps.remove(refused)
    assert (len(caps), len(caps._by_peer), len(caps._refused)) == (0, 0, 0)


def test_refused_connections_are_counted_each_and_logged_once_a_minute(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stats = RequestStats()
    edge = EdgeMiddleware(small, stats)
    for why in ("all", "address", "address"):
        edge.record_refused_connection(why)
    assert stats.refused_connections == {"all": 1, "address": 2}
    assert [record.of for record in caplog.records] == ["all"]  # type: ignore[attr-defined]  # extra fields


async def test_a_refused_connection_is_no_request_and_spoils_no_figure() -> None:
    stats = RequestStats()
    edge = EdgeMiddleware(small, stats)
    caps = ConnectionCaps(0, 0, lambda _: False, edge.record_refused_connection)
    async with serving(edge, 60, edge=edge, caps=caps) as server, server.connected() as (reader, writer):
        writer.write(b"no http at all\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 503 ")
    assert (stats.seen, stats.refused_connections) == ([], {"all": 1})
