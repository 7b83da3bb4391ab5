"""Clients that are closed while others wait, and those of several threads, event loops and processes; cancelled and forgotten ones."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import socket
import threading
from typing import Any

import pytest

from sluice.client import AsyncSluice, ClientClosed, JobFailed, Retries, Sluice
from tests.support.scripted_server import (
    DONE,
    JOB,
    MANY,
    QUICK,
    Received,
    Reply,
    ScriptedServer,
    answer,
    open_quick,
    problem,
    scripted,
    sends,
    stalls,
)

ID = str(JOB["id"])
OK = b"HTTP/1.1 200 OK\r\n"
STREAM = OK + b"content-type: text/event-stream\r\nconnection: close\r\n\r\n"


async def received(server: ScriptedServer, count: int = 1) -> None:
    """Wait for so many requests."""
    while len(server.received) < count:  # noqa: ASYNC110  no event of this loop can be set there
        await asyncio.sleep(0.01)


async def _all(values: Any) -> list[Any]:
    return [each async for each in values]


@pytest.mark.parametrize(
    "reply", [stalls, sends(OK), problem(503, "overloaded", True, retry_after="3000")], ids=["silent", "half", "in a pause"]
)  # fmt: skip
async def test_closing_ends_a_wait_for_one_job_at_once(way: str, reply: Reply) -> None:
    patient = Retries(budget_s=1e6)
    with scripted(reply) as server:
        async with open_quick(way, server, retries=patient) as client:
            waiting = asyncio.ensure_future(_result(client.job(ID)))
            await received(server)
            await asyncio.sleep(0.1)
        async with asyncio.timeout(5):
            with pytest.raises(ClientClosed) as caught:
                await waiting
    assert caught.value.job.id == ID


async def _result(job: Any) -> Any:
    return await job.result()


async def test_closing_ends_a_stream_at_once(way: str) -> None:
    with scripted(sends(STREAM)) as server:
        async with open_quick(way, server) as client:
            following = asyncio.ensure_future(_all(client.job(ID).follow()))
            await received(server)
            await asyncio.sleep(0.1)
        async with asyncio.timeout(5):
            with pytest.raises(ClientClosed):
                await following


async def test_a_poller_that_could_not_begin_is_begun_by_the_next_who_waits(way: str) -> None:
    with scripted(answer(200, {"jobs": [DONE], "unknown": [], "unfinished": 0})) as server:
        async with open_quick(way, server) as client:
            core = getattr(client, "inner", client)._core
            start = core.start

            def fails(_: Any) -> None:
                core.start = start
                raise RuntimeError("can't start new thread")

            core.start = fails
            with pytest.raises(RuntimeError, match="start new thread"):
                await client.wait([client.job(ID)])
            assert not core.watching.busy
            done, _ = await client.wait([client.job(ID)], timeout=5)
    assert len(done) == 1


async def test_whoever_is_cancelled_leaves_room_for_others() -> None:
    with scripted(stalls) as server:
        async with open_quick("async", server) as client:
            for _ in range(3):
                tasks = [asyncio.ensure_future(client.kinds()) for _ in range(120)]
                await asyncio.sleep(0.2)
                for each in tasks:
                    each.cancel()
                ended = await asyncio.gather(*tasks, return_exceptions=True)
                assert {type(each) for each in ended} == {asyncio.CancelledError}
            server.replies = [answer(200, {"kinds": []})]
            assert await client.kinds() == []


async def test_a_cancelled_wait_watches_nothing_any_more() -> None:
    with scripted(stalls) as server:
        async with open_quick("async", server) as client:
            jobs = [client.job(each) for each in MANY]
            waiting = [asyncio.ensure_future(_result(each)) for each in jobs]
            await received(server, 9)
            for each in waiting:
                each.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
            assert not client._core.watching.busy
            assert client._core.watching.direct == set()


def test_loops_in_several_threads_wait_with_one_client() -> None:
    with scripted(answer(200, {"jobs": [DONE], "unknown": [], "unfinished": 0})) as server:
        client = AsyncSluice(server.url, "slc_key", retries=QUICK)
        found: list[int] = []

        async def wait() -> None:
            done, _ = await client.wait([client.job(ID)], timeout=10)
            found.append(len(done))
            for each in client._driver._here.clients.values():
                await each.aclose()

        threads = [threading.Thread(target=asyncio.run, args=(wait(),)) for _ in range(5)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert found == [1] * 5
        for _ in range(20):
            asyncio.run(wait())
        assert len(client._driver._places) == len(client._core.watchings) == 1


def test_a_child_is_not_held_up_by_what_its_parent_was_doing() -> None:
    good = answer(200, {"jobs": [DONE], "unknown": [], "unfinished": 0})
    with scripted(good) as server, Sluice(server.url, "slc_key") as client:
        core = client._core
        core.watching.direct.update(object() for _ in range(8))
        with core.watching._lock:  # as another thread may hold it just then
            fork = multiprocessing.get_context("fork")
            queue: Any = fork.SimpleQueue()

            def wait() -> None:
                assert core.watching.direct == set()
                done, _ = client.wait([client.job(ID)], timeout=10)
                client.close()
                queue.put(len(done))

            child = fork.Process(target=wait)
            child.start()
            child.join(20)
            assert child.exitcode == 0
            assert queue.get() == 1


def sockets_to(server: ScriptedServer) -> int:
    """How many connections to it this process has open."""
    port = int(server.url.rpartition(":")[2])
    found = [each for each in gc.get_objects() if isinstance(each, socket.socket) and each.fileno() >= 0]
    return sum(each not in server._connections and _peer_port(each) == port for each in found)


def _peer_port(connection: socket.socket) -> int | None:
    try:
        return int(connection.getpeername()[1])
    except (OSError, IndexError):
        return None


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_clients_that_nobody_closed_leave_nothing_behind() -> None:
    with scripted(answer(200, DONE)) as server:
        threads = threading.active_count()
        for _ in range(10):
            Sluice(server.url, "slc_key").job(ID).result()
        gc.collect()
        assert len(server.received) == 10
        assert sockets_to(server) == 0
        assert threading.active_count() <= threads + 10  # those of the server


def test_many_threads_share_a_client() -> None:
    failed = DONE | {"state": "failed", "result": None, "error": {"type": "x"}}

    def reply(connection: socket.socket, received: Received) -> None:
        is_poll = received.path == "/v1/jobs/poll"
        answer(200, {"jobs": [failed], "unknown": []} if is_poll else failed)(connection, received)

    with scripted(reply) as server, Sluice(server.url, "slc_key") as client:
        ended: list[str] = []

        def ask() -> None:
            try:
                client.job(ID).result()
            except JobFailed as error:
                ended.append(error.error.type)

        threads = [threading.Thread(target=ask) for _ in range(30)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert ended == ["x"] * 30
        assert len(client._driver._places) == 1
