"""How long a new item would wait for its batch, and that it is refused if that is too long."""

from __future__ import annotations

import asyncio
from math import inf

import pytest

from sluice.core.errors import Overloaded
from sluice.core.runtime.batching import LARGE, LATEST_S, Batcher, Limits, SplitBatcher
from tests.unit.core.runtime.test_batching import Gate


class Paced:
    """A batcher of two items a batch over a clock of the test's own; `fly` lets the call in flight take so many seconds."""

    def __init__(self, waiting_s: float = 0.15) -> None:
        self.now, self.gate = 0.0, Gate(shut=True)
        limits = Limits(rows=2, waiting_s=waiting_s)
        self.batcher = Batcher("double", self.gate, limits, clock=lambda: self.now)

    async def begin(self, *items: int) -> list[asyncio.Future[int]]:
        """Put items, and return once the call with the first of them has begun."""
        futures = [self.batcher.put(item) for item in items]
        await self.gate.entered.wait()
        return futures

    async def fly(self, took_s: float, *items: int) -> None:
        """Have a call with these items take so long."""
        futures = await self.begin(*items)
        self.now += took_s
        self.gate.open.set()
        await asyncio.gather(*futures)
        await self.batcher.drain()
        self.gate.open.clear()
        self.gate.entered.clear()


async def test_how_long_an_item_would_wait_is_told_from_the_latest_calls() -> None:
    paced = Paced()
    assert paced.batcher.expected_wait_s() == 0
    for _ in range(20):
        await paced.fly(0.1, 1)
    futures = await paced.begin(1)
    paced.now += 0.06
    futures += [paced.batcher.put(2), paced.batcher.put(3)]
    assert paced.batcher.expected_wait_s() == pytest.approx(0.14, abs=0.001)
    futures += [paced.batcher.put(4)]
    assert paced.batcher.expected_wait_s() == pytest.approx(0.14, abs=0.001), "two travel together"
    futures += [paced.batcher.put(5)]
    assert paced.batcher.expected_wait_s() == pytest.approx(0.24, abs=0.001)
    paced.gate.open.set()
    await asyncio.gather(*futures)


async def test_one_slow_call_is_no_backlog() -> None:
    paced = Paced()
    futures = [paced.batcher.put(1)]
    assert paced.batcher.expected_wait_s() == 0, "it joins the batch that is about to be called"
    await paced.gate.entered.wait()
    paced.now += 1_000
    paced.batcher.check(0.001)
    futures += [paced.batcher.put(2)]
    paced.batcher.check(0.001)
    paced.gate.open.set()
    await asyncio.gather(*futures)


async def test_nor_are_calls_that_are_all_slow() -> None:
    paced = Paced()
    for _ in range(3):
        await paced.fly(1, 1)
    futures = await paced.begin(1)
    futures += [paced.batcher.put(2)]
    paced.batcher.check(0.001)
    paced.gate.open.set()
    await asyncio.gather(*futures)


async def test_what_waits_behind_a_call_that_takes_longer_than_ever_is_expected_to_take_as_long() -> None:
    paced = Paced()
    futures = await paced.begin(1)
    futures += [paced.batcher.put(2), paced.batcher.put(3)]
    paced.now += 0.15
    paced.batcher.check()
    for more_s, retry_after_s in ((0.01, 1), (7, 8), (500, LATEST_S)):
        paced.now += more_s
        with pytest.raises(Overloaded) as refusal:
            paced.batcher.check()
        assert refusal.value.retry_after_s == retry_after_s
    paced.gate.open.set()
    assert await asyncio.gather(*futures) == [2, 4, 6]
    paced.batcher.check()


async def test_bytes_fill_a_batch_as_rows_do() -> None:
    now, gate = [0.0], Gate(shut=True)
    batcher = Batcher("test", gate, Limits(size=100, waiting_s=0.1), lambda item: item, clock=lambda: now[0])
    futures = [batcher.put(1)]
    await gate.entered.wait()
    now[0] += 0.2
    futures += [batcher.put(99)]
    batcher.check()
    futures += [batcher.put(1)]
    with pytest.raises(Overloaded):
        batcher.check()
    gate.open.set()
    await asyncio.gather(*futures)


async def test_a_slow_time_is_forgotten_in_a_few_calls() -> None:
    paced = Paced()
    await paced.fly(1, 1)
    for _ in range(5):
        await paced.fly(0.01, 1)
    futures = await paced.begin(1)
    futures += [paced.batcher.put(2), paced.batcher.put(3)]
    paced.batcher.check()
    paced.gate.open.set()
    await asyncio.gather(*futures)


async def test_what_may_wait_for_ever_is_never_refused_for_time() -> None:
    paced = Paced(inf)
    futures = await paced.begin(1)
    futures += [paced.batcher.put(2), paced.batcher.put(3)]
    paced.now += 1_000
    paced.batcher.check()
    paced.gate.open.set()
    await asyncio.gather(*futures)


async def test_many_are_refused_sooner_and_large_items_by_their_own_flights() -> None:
    now, gate = [0.0], Gate(shut=True)
    limits = Limits(rows=1, waiting_s=0.1)
    batcher = SplitBatcher("test", gate, limits, lambda item: item, clock=lambda: now[0])
    small = [batcher.put(1)]
    await gate.entered.wait()
    small += [batcher.put(2)]
    now[0] += 0.06
    with pytest.raises(Overloaded):
        batcher.put(3, part=0.5)
    with pytest.raises(Overloaded):
        batcher.check(0.5)
    small += [batcher.put(3)]
    now[0] += 0.06
    with pytest.raises(Overloaded):
        batcher.put(4)
    assert batcher.expected_wait_s() == pytest.approx(0.24)
    large = batcher.put(LARGE + 1)
    gate.open.set()
    assert await asyncio.gather(*small, large) == [2, 4, 6, 2 * (LARGE + 1)]
