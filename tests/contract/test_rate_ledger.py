"""What every ledger of rates does."""

from __future__ import annotations

import asyncio

import pytest

from sluice.core.errors import ServerAway
from sluice.core.rate_limit import Quota
from tests.contract.conftest import Cache

SLOW = Quota(10, 86_400)
"""Nothing comes back during a test."""


async def test_units_are_taken_until_none_is_left(cache: Cache) -> None:
    assert (await cache.rates.lease("submits", "a", SLOW, 1, 4))[:2] == (4, 6)
    assert (await cache.rates.lease("submits", "a", SLOW, 1, 9))[:2] == (6, 0)
    refused = await cache.rates.lease("submits", "a", SLOW, 1, 4)
    assert refused[:2] == (0, 0)
    assert 8_600_000_000 < refused.wait_us <= 8_640_000_000


async def test_too_few_units_are_not_taken(cache: Cache) -> None:
    await cache.rates.lease("submits", "a", SLOW, 7, 7)
    refused = await cache.rates.lease("submits", "a", SLOW, 4, 4)
    assert refused[:2] == (0, 3)
    assert 0 < refused.wait_us <= 8_640_000_000
    assert (await cache.rates.lease("submits", "a", SLOW, 3, 3)).units == 3


async def test_what_is_owed_is_taken_with_the_next_units(cache: Cache) -> None:
    assert (await cache.rates.lease("submits", "a", SLOW, 2, 3, 4))[:2] == (3, 3)
    assert (await cache.rates.lease("submits", "b", SLOW, 10, 10, 15))[:2] == (10, 0)
    refused = await cache.rates.lease("submits", "b", SLOW, 1, 1, 5)
    assert refused.units == 0
    assert 15 * 8_600_000_000 < refused.wait_us <= 16 * 8_640_000_000


async def test_keys_and_names_have_quotas_of_their_own(cache: Cache) -> None:
    await cache.rates.lease("submits", "a", SLOW, 10, 10)
    assert (await cache.rates.lease("submits", "b", SLOW, 1, 1)).units == 1
    assert (await cache.rates.lease("polls", "a", SLOW, 1, 1)).units == 1


async def test_units_come_back(cache: Cache) -> None:
    quick = Quota(1_000, 1)
    assert (await cache.rates.lease("submits", "a", quick, 1_000, 1_000)).units == 1_000
    refused = await cache.rates.lease("submits", "a", quick, 200, 200)
    assert refused.units == 0
    await asyncio.sleep(refused.wait_us / 1_000_000)
    assert (await cache.rates.lease("submits", "a", quick, 200, 200)).units == 200


async def test_what_is_taken_at_the_same_time_is_taken_once(cache: Cache) -> None:
    taken = await asyncio.gather(*(cache.rates.lease("submits", "a", SLOW, 1, 3) for _ in range(6)))
    assert sum(each.units for each in taken) == SLOW.units


async def test_nothing_is_leased_without_the_server(cache: Cache) -> None:
    cache.leave()
    with pytest.raises(ServerAway):
        await cache.rates.lease("submits", "a", SLOW, 1, 1)
