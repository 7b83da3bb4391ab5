"""What a proxy carries arrives, whole and in order, until it is told to misbehave."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from time import monotonic

import pytest

from tests.support.proxied_connection import TO_CLIENT, TO_SERVER
from tests.support.proxy import BOTH, HOST, NORMAL, Behaviour, Proxies, Proxy
from tests.support.waiting import until

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Connect = Callable[["Proxy"], Awaitable[Streams]]
PAUSE_S = 0.2
"""Long enough for what should not arrive to arrive."""


class Echo:
    """A server that sends back what it receives, and counts connections."""

    def __init__(self) -> None:
        self.heard = b""
        self.port = 0
        self.connections = self.open = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        try:
            while data := await reader.read(65_536):
                self.heard += data
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()
            self.open -= 1


@pytest.fixture
async def echo() -> AsyncIterator[Echo]:
    made = Echo()
    server = await asyncio.start_server(made.serve, HOST, 0)
    made.port = server.sockets[0].getsockname()[1]
    yield made
    server.close()
    await until(lambda: made.open == 0)


@pytest.fixture
def proxies() -> Iterator[Proxies]:
    made = Proxies()
    yield made
    made.close()


@pytest.fixture
def proxy(proxies: Proxies, echo: Echo) -> Proxy:
    return proxies.add(echo.port)


@pytest.fixture
async def connected(proxies: Proxies, echo: Echo) -> AsyncIterator[Connect]:
    """Provide a way to connect to a proxy; close the connections after the test."""
    opened: list[Streams] = []

    async def connect(proxy: Proxy) -> Streams:
        opened.append(await asyncio.open_connection(HOST, proxy.port))
        return opened[-1]

    yield connect
    for _, writer in opened:
        writer.transport.abort()
    await asyncio.sleep(0)


async def echoed(streams: Streams, data: bytes) -> bytes:
    """Send these bytes, and return their echo."""
    streams[1].write(data)
    return await streams[0].readexactly(len(data))


async def nothing_comes(streams: Streams) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(PAUSE_S):
            await streams[0].read(1)


async def is_reset(streams: Streams) -> bool:
    try:
        await streams[0].read()
    except ConnectionResetError:
        return True
    return False


async def is_refused(connected: Connect, proxy: Proxy) -> bool:
    try:
        return await is_reset(await connected(proxy))
    except ConnectionResetError:  # before the kernel could say that it was connected
        return True


async def test_a_calm_proxy_carries_everything_both_ways(connected: Connect, proxy: Proxy) -> None:
    data = bytes(range(256)) * 20_000  # more than any buffer
    streams = await connected(proxy)
    streams[1].write(data)
    assert await streams[0].readexactly(len(data)) == data
    assert proxy.connections == 1


async def test_the_end_of_one_side_reaches_the_other_and_the_connection_is_forgotten(
    connected: Connect, proxy: Proxy
) -> None:
    streams = await connected(proxy)
    await echoed(streams, b"hello")
    streams[1].write_eof()
    assert await streams[0].read() == b""
    await until(lambda: proxy.connections == 0)


async def test_latency_delays_and_keeps_the_order(connected: Connect, proxy: Proxy) -> None:
    streams = await connected(proxy)
    proxy.behave(Behaviour(latency_s=0.1, jitter_s=0.1))
    began = monotonic()
    for each in range(50):
        streams[1].write(b"%02d" % each)
        await asyncio.sleep(0.002)
    assert await streams[0].readexactly(100) == b"".join(b"%02d" % each for each in range(50))
    assert monotonic() - began >= 0.2


async def test_a_silent_edge_delivers_nothing_and_then_everything(
    connected: Connect, proxy: Proxy, echo: Echo
) -> None:
    streams = await connected(proxy)
    proxy.behave(Behaviour(silent=BOTH))
    streams[1].write(b"lost?")
    await nothing_comes(streams)
    assert echo.heard == b""
    proxy.behave(NORMAL)
    assert await streams[0].readexactly(5) == b"lost?"


@pytest.mark.parametrize(("direction", "heard"), [(TO_SERVER, b""), (TO_CLIENT, b"word")])
async def test_an_edge_can_be_silent_in_one_way_alone(
    connected: Connect, proxy: Proxy, echo: Echo, direction: str, heard: bytes
) -> None:
    streams = await connected(proxy)
    proxy.behave(Behaviour(silent=frozenset({direction})))  # type: ignore[arg-type]  # parameters are plain strings
    streams[1].write(b"word")
    await nothing_comes(streams)
    assert echo.heard == heard
    proxy.behave(NORMAL)
    assert await streams[0].readexactly(4) == b"word"


async def test_a_connection_made_into_silence_begins_when_it_ends(connected: Connect, proxy: Proxy) -> None:
    proxy.behave(Behaviour(silent=BOTH))
    streams = await connected(proxy)
    streams[1].write(b"early")
    await nothing_comes(streams)
    proxy.behave(NORMAL)
    assert await streams[0].readexactly(5) == b"early"


async def test_a_reset_reaches_both_sides_and_new_connections_work(
    connected: Connect, proxy: Proxy, echo: Echo
) -> None:
    streams = await connected(proxy)
    await echoed(streams, b"hello")
    proxy.reset()
    assert await is_reset(streams)
    assert await echoed(await connected(proxy), b"again") == b"again"
    assert echo.connections == 2


async def test_a_refusing_edge_resets_everybody(connected: Connect, proxy: Proxy) -> None:
    before = await connected(proxy)
    await echoed(before, b"hello")
    proxy.behave(Behaviour(refusing=True))
    assert await is_reset(before)
    assert await is_refused(connected, proxy)


async def test_a_connection_is_cut_after_so_many_bytes(connected: Connect, proxy: Proxy, echo: Echo) -> None:
    streams = await connected(proxy)
    proxy.behave(Behaviour(cut_after=10))
    assert await echoed(streams, b"four") == b"four"  # eight, with the echo
    streams[1].write(b"five5")
    assert await is_reset(streams)
    assert echo.heard == b"four"


async def test_without_a_server_behind_it_a_connection_is_reset(
    connected: Connect, proxies: Proxies, echo: Echo
) -> None:
    unused = proxies.add(1)  # nobody listens there
    assert await is_refused(connected, unused)
    await until(lambda: unused.connections == 0)
