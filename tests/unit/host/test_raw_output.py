"""Reading the raw output of a host."""

from __future__ import annotations

import asyncio

import pytest

from sluice.host import raw_output as output
from sluice.host.current_job import JobRef
from sluice.host.flood import BURST_LINES, FloodGate
from sluice.host.log_line import MESSAGE, TRACE, LogLine
from sluice.host.plain_value import Plain
from sluice.host.raw_output import HALF, TAIL, HostOutput
from tests.support.waiting import until

JOB, OTHER = JobRef("7", "text.shout", 2), JobRef("8", "text.shout", 1)


class Pumped(HostOutput):
    """An output to feed, and what was written of it."""

    def __init__(self) -> None:
        self.written: list[LogLine] = []
        self.job: JobRef | None = JOB
        self.stream = asyncio.StreamReader()
        super().__init__(self.written.append, lambda: self.job)
        self.gate = FloodGate(self.written.append, lambda: 0.0)

    async def read(self, *chunks: bytes, name: str = "stderr") -> list[str]:
        """Pump these and return the messages."""
        for chunk in chunks:
            self.stream.feed_data(chunk)
        self.stream.feed_eof()
        await self.pump(self.stream, name)
        return [line.message for line in self.written]


@pytest.fixture
async def pumped() -> Pumped:
    return Pumped()


async def test_each_line_is_written_with_its_job(pumped: Pumped) -> None:
    assert await pumped.read(b"one\r\ntw", b"o\n\nthree") == ["one", "two", "three"]
    fields: dict[str, Plain] = {"job_id": "7", "kind": "text.shout", "attempt": 2}
    assert pumped.written[0] == LogLine(30, "stderr", "one", fields)
    assert list(pumped.tail) == ["one", "two", "three"]


async def test_what_is_not_utf_8_is_replaced(pumped: Pumped) -> None:
    assert await pumped.read(b"caf\xe9\0\n", name="stdout") == ["caf\ufffd\ufffd"]
    assert pumped.written[0].level == 20


async def test_a_long_line_is_cut_and_the_next_is_whole(pumped: Pumped) -> None:
    said = await pumped.read(b"x" * 10 * HALF, b"x" * 10 * HALF + b"\nnext\n")
    assert said == ["x" * (MESSAGE - 1) + "…", "next"]


async def test_a_flood_is_cut_and_its_end_is_remembered(pumped: Pumped) -> None:
    await pumped.read(b"".join(b"%d\n" % number for number in range(BURST_LINES + 100)))
    pumped.finish_job(JOB)
    assert pumped.written[-1].fields["lines"] == 100
    assert len(pumped.written) == BURST_LINES + 1
    assert len(pumped.tail) == TAIL
    assert pumped.tail[-1] == str(BURST_LINES + 99)


@pytest.mark.parametrize("chunk", [b"y\n" * 2 * BURST_LINES, b"y" * 2 * HALF])
async def test_a_flood_has_to_wait(pumped: Pumped, monkeypatch: pytest.MonkeyPatch, chunk: bytes) -> None:
    monkeypatch.setattr(output, "FLOOD_PAUSE_S", 3600)
    pumped.stream.feed_data(chunk)
    task = asyncio.create_task(pumped.pump(pumped.stream, "stdout"))
    await until(lambda: pumped.stream._buffer == b"")  # type: ignore[attr-defined]  # no other way to see it
    pumped.stream.feed_data(b"more\n")
    for _ in range(20):
        await asyncio.sleep(0)
    assert pumped.stream._buffer == b"more\n"  # type: ignore[attr-defined]  # not read
    task.cancel()


async def test_half_a_line_of_one_job_is_not_the_beginning_of_the_next(pumped: Pumped) -> None:
    task = asyncio.create_task(pumped.pump(pumped.stream, "stdout"))
    pumped.stream.feed_data(b"half\nof ")
    await until(lambda: len(pumped.written) == 1)
    pumped.job = OTHER
    pumped.stream.feed_data(b"whole\n")
    pumped.stream.feed_eof()
    await task
    assert [(line.message, line.fields["job_id"]) for line in pumped.written] == [
        ("half", "7"), ("of ", "7"), ("whole", "8"),
    ]  # fmt: skip


async def test_the_words_of_a_dying_interpreter_stay_together(pumped: Pumped) -> None:
    dump = (
        b"Fatal Python error: Segmentation fault\n\nCurrent thread 0x1 (most recent call first):\n  File x\n"
    )
    assert await pumped.read(b"before\n", dump[:30], dump[30:]) == [
        "before",
        "Fatal Python error: Segmentation fault",
    ]
    assert (pumped.written[1].level, pumped.written[1].trace) == (
        40,
        dump.decode().replace("\n\n", "\n").strip(),
    )


async def test_a_traceback_is_named_by_its_last_line(pumped: Pumped) -> None:
    trace = b"Traceback (most recent call last):\n  File x\nValueError: no\n"
    assert await pumped.read(trace) == ["ValueError: no"]
    assert pumped.written[0].trace == trace.decode().strip()


async def test_a_dump_is_written_although_the_host_lives_on(pumped: Pumped) -> None:
    pumped.stream.feed_data(b"Traceback (most recent call last):\nValueError: no\n")
    task = asyncio.create_task(pumped.pump(pumped.stream, "stderr"))
    await until(lambda: len(pumped.written) == 1)
    pumped.stream.feed_data(b"after\n")
    pumped.stream.feed_eof()
    await task
    assert [line.message for line in pumped.written] == ["ValueError: no", "after"]


async def test_a_dump_has_an_end(pumped: Pumped) -> None:
    await pumped.read(b"Fatal Python error: x\n" + b"  File x\n" * TRACE)
    assert len(pumped.written) > 2
    assert all(len(line.trace) <= TRACE for line in pumped.written)
