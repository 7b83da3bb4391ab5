"""What a process holds of a key's quota, and what it does without Redis."""

from __future__ import annotations

import asyncio

import pytest

from api.http.errors import RateLimited
from api.http.rate_limits import AWAY_S, MOST_KEYS, KeyLimit
from sluice.core.rate_limit import Lease, Quota
from sluice.core.runtime.telemetry import Event, Telemetry
from tests.support.fake_rate_ledger import FakeRateLedger
from tests.support.fakes import Events
from tests.unit.api.in_memory_api import Clock

QUOTA = Quota(200, 20)
CHUNK = 4


@pytest.fixture
def ledger(clock: Clock) -> FakeRateLedger:
    return FakeRateLedger(clock)


def limit_over(ledger: FakeRateLedger, clock: Clock, quota: Quota | None = QUOTA, *sinks: Events) -> KeyLimit:
    """The limit as one process has it."""
    return KeyLimit("key", quota, ledger, Telemetry(*sinks), clock)


async def spend_all(limit: KeyLimit, key: str = "a") -> int:
    """Spend until it is refused; return how much that was."""
    spent = 0
    while True:
        try:
            await limit.spend(key)
        except RateLimited:
            return spent
        spent += 1


async def test_a_key_gets_its_quota_and_no_more(ledger: FakeRateLedger, clock: Clock) -> None:
    events = Events()
    limit = limit_over(ledger, clock, QUOTA, events)
    assert await spend_all(limit) == 200
    with pytest.raises(RateLimited) as refused:
        await limit.spend("a")
    assert refused.value.retry_after_s == 1
    assert events.fields(Event.RATE_LIMITED) == [{"limit": "key"}] * 2
    assert await spend_all(limit, "another") == 200


async def test_units_come_back_with_time(ledger: FakeRateLedger, clock: Clock) -> None:
    limit = limit_over(ledger, clock)
    await spend_all(limit)
    clock.now += 2
    assert await spend_all(limit) == 20


async def test_most_units_are_spent_without_a_round_trip(ledger: FakeRateLedger, clock: Clock) -> None:
    limit = limit_over(ledger, clock)
    await limit.spend("a")
    at_once = 0
    for _ in range(100):
        at_once += limit.try_spend("a")
        await asyncio.sleep(0)  # the next chunk arrives
        await asyncio.sleep(0)
    assert at_once == 100
    assert len(ledger.asked) <= 100 // CHUNK + 2


async def test_processes_share_one_quota_but_for_what_each_holds(
    ledger: FakeRateLedger, clock: Clock
) -> None:
    limits = [limit_over(ledger, clock) for _ in range(4)]
    first = [await spend_all(limits[0]) for _ in range(1)]
    rest = [await spend_all(limit) for limit in limits[1:]]
    assert sum(first + rest) == 200
    clock.now += 20
    for limit in limits:
        await limit.spend("a")  # each holds the rest of a chunk
    total = 4 + sum([await spend_all(limit) for limit in limits])
    assert 200 - 4 * 1.5 * CHUNK <= total <= 200 + 4 * 1.5 * CHUNK


async def test_requests_that_come_at_once_share_one_lease(ledger: FakeRateLedger, clock: Clock) -> None:
    limit = limit_over(ledger, clock)
    await asyncio.gather(*(limit.spend("a") for _ in range(100)))
    assert len(ledger.asked) <= 3


async def test_a_key_that_floods_is_not_asked_for_until_its_wait_is_over(
    ledger: FakeRateLedger, clock: Clock
) -> None:
    limit = limit_over(ledger, clock)
    await spend_all(limit)
    asked = len(ledger.asked)
    for _ in range(1_000):
        with pytest.raises(RateLimited):
            await limit.spend("a")
    assert len(ledger.asked) == asked


async def test_many_units_are_taken_together_or_not_at_all(ledger: FakeRateLedger, clock: Clock) -> None:
    limit = limit_over(ledger, clock)
    await limit.spend("a", 150)
    with pytest.raises(RateLimited) as refused:
        await limit.spend("a", 100)
    assert refused.value.retry_after_s == 5
    assert await spend_all(limit) == 50


async def test_more_than_the_quota_is_taken_once_it_is_whole_and_owed(
    ledger: FakeRateLedger, clock: Clock
) -> None:
    limit = limit_over(ledger, clock)
    await limit.spend("a", 1_000)
    with pytest.raises(RateLimited) as refused:
        await limit.spend("a")
    assert 80 <= refused.value.retry_after_s <= 81
    clock.now += 82
    assert await spend_all(limit) == 20  # the debt was paid once


async def test_what_is_owed_is_paid_with_the_next_lease(ledger: FakeRateLedger, clock: Clock) -> None:
    limit = limit_over(ledger, clock)
    limit.owe("a", 150)
    assert await spend_all(limit) == 50
    assert await spend_all(limit_over(ledger, clock)) == 0


async def test_without_redis_each_process_gives_half_and_asks_again_soon(
    ledger: FakeRateLedger, clock: Clock
) -> None:
    limit = limit_over(ledger, clock)
    ledger.away = True
    assert await spend_all(limit) == 100
    ledger.away = False
    assert await spend_all(limit) == 0
    clock.now += AWAY_S
    assert await spend_all(limit) >= 200


async def test_a_ledger_that_hangs_is_not_waited_for(ledger: FakeRateLedger, clock: Clock) -> None:
    class Hanging(FakeRateLedger):
        async def lease(
            self, name: str, key_id: str, quota: Quota, need: int, want: int, owed: int = 0
        ) -> Lease:
            await asyncio.Event().wait()
            return Lease(0, 0)

    loop = asyncio.get_running_loop()
    limit = KeyLimit("key", QUOTA, Hanging(), Telemetry(), loop.time)
    begun = loop.time()
    await asyncio.gather(*(limit.spend("a") for _ in range(20)))
    assert loop.time() - begun < 0.5


async def test_headers_say_what_is_left(ledger: FakeRateLedger, clock: Clock) -> None:
    limit = limit_over(ledger, clock)
    policy = (b"ratelimit-policy", b'"key";q=200;w=20')
    assert limit.headers("a") == [policy, (b"ratelimit", b'"key";r=200;t=1')]
    await limit.spend("a")
    assert limit.headers("a") == [policy, (b"ratelimit", b'"key";r=199;t=1')]
    await spend_all(limit)
    assert limit.headers("a") == [policy, (b"ratelimit", b'"key";r=0;t=20')]


async def test_without_a_quota_there_is_no_limit(ledger: FakeRateLedger, clock: Clock) -> None:
    limit = limit_over(ledger, clock, None)
    await limit.spend("a", 1_000_000)
    limit.owe("a", 5)
    assert limit.try_spend("a")
    assert (limit.headers("a"), ledger.asked) == ([], [])


async def test_memory_is_bounded(ledger: FakeRateLedger, clock: Clock) -> None:
    limit = limit_over(ledger, clock)
    for number in range(MOST_KEYS + 10):
        limit.owe(str(number), 1)
    assert len(limit._buckets) == MOST_KEYS
