"""The bench of overload, against a server that answers as a test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from loadtests.bench import overload
from loadtests.bench.generator import BenchError
from loadtests.bench.overload import NORMAL_ANSWERS, Answer, Client, read_log

REQUEST = b"POST / HTTP/1.1\r\n\r\n"
ACCEPTED = Answer(202, 0.0)


@asynccontextmanager
async def server(answers: Iterator[Answer]) -> AsyncIterator[str]:
    """Answer with these, each after so many seconds; then accept everything."""

    served: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.append(writer)
        while await reader.readline():
            await reader.readline()
            answer = next(answers, ACCEPTED)
            await asyncio.sleep(answer.took_s)
            writer.write(b"HTTP/1.1 %d Said\r\ncontent-length: 0\r\n\r\n" % answer.status)

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as listening:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        for each in served:
            each.close()
            await each.wait_closed()


def test_the_log_of_h2load_is_read_with_answers_that_never_came() -> None:
    assert list(read_log(["1700000000000000\t202\t1500", "1700000000000001\t-1\t2000000"])) == [
        (202, 0.0015),
        (-1, 2.0),
    ]


async def test_all_is_as_before_once_enough_submits_in_a_row_were_accepted_quickly() -> None:
    late = Answer(202, overload.NORMAL_S + 0.1)
    left = [Answer(503, 0), *[ACCEPTED] * (NORMAL_ANSWERS - 1), Answer(429, 0), late]
    answers = iter(left)
    async with server(answers) as url:
        seconds = await Client(url, REQUEST).until_normal()
    assert next(answers, None) is None
    assert late.took_s < seconds < 5


async def test_what_never_becomes_normal_is_no_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overload, "PATIENCE_S", 0.05)
    async with server(iter([Answer(503, 0)] * 1_000)) as url:
        with pytest.raises(BenchError, match="refused or late"):
            await Client(url, REQUEST).until_normal()


async def test_a_cached_read_that_is_refused_is_no_measurement() -> None:
    async with server(iter([Answer(200, 0), Answer(503, 0)])) as url:
        with pytest.raises(BenchError, match="503"):
            await Client(url, REQUEST).read_until(asyncio.get_running_loop().create_future())
