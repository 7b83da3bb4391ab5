"""What handlers log is posted while they run: in few calls, and without Redis later."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from consumer.attempt import Attempt
from consumer.live_lines import MOST_BYTES, LiveLinesPoster
from sluice.core.job_log import MOST_BYTES as MOST_OF_JOB
from sluice.core.job_log import LogBlock
from sluice.core.ports import LiveLines
from tests.support.fake_live_logs import FakeLiveLogs
from tests.support.waiting import until
from tests.unit.consumer import hostile_kinds as kinds
from tests.unit.consumer.make_attempts import an_attempt

PAUSE_S = 0.01


class Setup:
    """A poster at work."""

    def __init__(self) -> None:
        self.live_logs = FakeLiveLogs()
        self.poster = LiveLinesPoster(self.live_logs, PAUSE_S)
        self.keeping = asyncio.create_task(self.poster.keep())

    def attempt(self, fence: int = 1) -> Attempt:
        """An attempt in hand."""
        attempt = an_attempt(kinds.talk, fence=fence)
        attempt.on_line = self.poster.add
        return attempt

    async def posted(self, calls: int) -> list[list[LiveLines]]:
        """All calls, once there are so many."""
        await until(lambda: len(self.live_logs.posts) >= calls)
        return self.live_logs.posts

    def end(self, attempt: Attempt) -> None:
        """As execution does with what is settled."""
        attempt.on_line = None
        self.poster.end(attempt)


@pytest.fixture
async def setup() -> AsyncIterator[Setup]:
    setup = Setup()
    yield setup
    setup.keeping.cancel()
    await asyncio.wait([setup.keeping])


async def test_lines_that_come_together_are_posted_together(setup: Setup) -> None:
    one, other = setup.attempt(), setup.attempt(fence=4)
    for line in (b"a", b"b"):
        one.add_line(line)
    other.add_line(b"c")
    await setup.posted(1)
    one.add_line(b"d")
    first, second = await setup.posted(2)
    assert [each[:4] for each in first] == [
        (one.job.id, "acme", LogBlock(1, 1, b"a\nb"), LogBlock(1, 1, b"a\nb")),
        (other.job.id, "acme", LogBlock(4, 1, b"c"), LogBlock(4, 1, b"c")),
    ]
    assert [each[:4] for each in second] == [
        (one.job.id, "acme", LogBlock(1, 3, b"d"), LogBlock(1, 1, b"a\nb\nd"))
    ]
    assert first[0].keep_s > one.time_limit_s


async def test_the_last_lines_of_an_attempt_are_told_and_no_longer_kept(setup: Setup) -> None:
    attempt = setup.attempt()
    attempt.add_line(b"a")
    await setup.posted(1)
    attempt.add_line(b"b")
    setup.end(attempt)
    _, (last,) = await setup.posted(2)
    assert last[2:4] == (LogBlock(1, 2, b"b"), None)
    await until(lambda: not setup.live_logs.kept)
    assert (setup.poster._news, setup.poster._posted, setup.poster._ended) == ({}, {}, set())


async def test_what_was_never_posted_is_told_when_the_attempt_has_ended(setup: Setup) -> None:
    attempt = setup.attempt()
    attempt.add_line(b"a")
    setup.end(attempt)
    assert (await setup.posted(1))[0][0][2:4] == (LogBlock(1, 1, b"a"), None)
    assert setup.live_logs.kept == {}


async def test_without_redis_lines_wait_for_it_but_not_those_of_what_has_ended(setup: Setup) -> None:
    setup.live_logs.away = True
    one, over = setup.attempt(), setup.attempt()
    one.add_line(b"a")
    over.add_line(b"x")
    setup.end(over)
    await until(lambda: over not in setup.poster._news)
    assert setup.poster._ended == set()
    one.add_line(b"b")
    setup.live_logs.away = False
    ((posted,), *_) = await setup.posted(1)
    assert posted.new == LogBlock(1, 1, b"a\nb")


async def test_a_call_is_bounded_in_bytes_and_everybody_has_a_turn(setup: Setup) -> None:
    attempts = [setup.attempt() for _ in range(2 * MOST_BYTES // MOST_OF_JOB)]
    for attempt in attempts:
        attempt.add_line(b"x" * (MOST_OF_JOB - 1))
    await until(lambda: not setup.poster._news)
    sizes = [sum(len(each.new.lines) for each in post) for post in setup.live_logs.posts]
    assert max(sizes) <= MOST_BYTES
    assert sorted(each.job_id for post in setup.live_logs.posts for each in post) == sorted(
        attempt.job.id for attempt in attempts
    )


async def test_of_more_lines_than_are_kept_the_newest_are_posted(setup: Setup) -> None:
    attempt = setup.attempt()
    for _ in range(100):
        attempt.add_line(b"x" * 999)
    ((posted,), *_) = await setup.posted(1)
    assert posted.new == posted.whole
    assert posted.new.first > 1
