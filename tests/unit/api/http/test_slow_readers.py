"""Clients that do not read their answers. A real server, bare sockets."""

from __future__ import annotations

import asyncio
import socket

from sluice.adapters.http_server import listen


async def test_an_answer_that_nobody_reads_is_given_up() -> None:
    lost = asyncio.get_running_loop().create_future()

    class Sender(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            assert isinstance(transport, asyncio.Transport)
            transport.write(b"x" * 20_000_000)
            transport.close()  # which waits for the client

        def connection_lost(self, error: Exception | None) -> None:
            lost.set_result(error)

    with listen("127.0.0.1", 0, send_timeout_s=0.5) as listener:
        server = await asyncio.get_running_loop().create_server(Sender, sock=listener)
        with socket.create_connection(listener.getsockname()[:2]):
            assert isinstance(await asyncio.wait_for(lost, 30), OSError)
        server.close()
