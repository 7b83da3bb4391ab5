"""The HTTP client of the fault runs knows whether a request may have reached a server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from infra.local.ports import free_port
from tests.fault.chaos.http_client import ConnectionPool, Hung, LoadBalancer, NoAnswer, NotSent

OK = b'HTTP/1.1 200 OK\r\ncontent-length: 8\r\nX-Some: thing\r\n\r\n{"a": 1}'


class Server:
    """Answers each request with the next of its replies: bytes, None to hang up, or nothing at all."""

    def __init__(self) -> None:
        self.replies: list[bytes | None] = []
        self.heard: list[bytes] = []
        self.connections = self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while self.replies:
                head = await reader.readuntil(b"\r\n\r\n")
                size = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0] or 0)
                self.heard.append(head + await reader.readexactly(size))
                reply = self.replies.pop(0)
                if reply is None:
                    return
                writer.write(reply)
            await reader.read()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = Server()
    listener = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = listener.sockets[0].getsockname()[1]
    yield made
    listener.close()
    await asyncio.sleep(0.01)


@pytest.fixture
async def pool(server: Server) -> AsyncIterator[ConnectionPool]:
    made = ConnectionPool(server.port)
    yield made
    made.close()
    await asyncio.sleep(0)


async def test_requests_share_a_connection(server: Server, pool: ConnectionPool) -> None:
    server.replies = [OK, OK]
    answer = await pool.ask("POST", "/v1/jobs", b"{}", {"prefer": "wait=5"})
    assert (answer.status, answer.headers["x-some"], answer.json) == (200, "thing", {"a": 1})
    await pool.ask("GET", "/v1/jobs/1")
    assert server.connections == 1
    first, second = server.heard
    assert first.startswith(b"POST /v1/jobs HTTP/1.1\r\n")
    assert first.endswith(b"\r\n\r\n{}")
    assert b"prefer: wait=5\r\n" in first
    assert second.startswith(b"GET /v1/jobs/1 ")


async def test_nobody_there_means_that_nothing_was_sent() -> None:
    with pytest.raises(NotSent):
        await ConnectionPool(free_port()).ask("GET", "/")


async def test_a_lost_connection_means_that_the_outcome_is_unknown(
    server: Server, pool: ConnectionPool
) -> None:
    server.replies = [None, OK]
    with pytest.raises(NoAnswer):
        await pool.ask("GET", "/")
    assert (await pool.ask("GET", "/")).status == 200


async def test_half_an_answer_is_none(server: Server, pool: ConnectionPool) -> None:
    server.replies = [OK[:-2], None]
    with pytest.raises(Hung):
        await pool.ask("GET", "/", within_s=0.1)


async def test_silence_means_that_it_hangs(server: Server, pool: ConnectionPool) -> None:
    server.replies = [b""]
    with pytest.raises(Hung):
        await pool.ask("GET", "/", within_s=0.05)


async def test_processes_are_asked_in_turn_and_closed_ones_skipped(
    server: Server, pool: ConnectionPool
) -> None:
    server.replies = [OK, OK, OK]
    balancer = LoadBalancer([ConnectionPool(free_port()), pool])
    assert [(await balancer.ask("GET", "/")).status for _ in range(3)] == [200, 200, 200]
    with pytest.raises(NotSent):
        await LoadBalancer([ConnectionPool(free_port())]).ask("GET", "/")
    balancer.close()
