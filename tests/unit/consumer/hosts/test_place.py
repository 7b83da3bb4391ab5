"""A place where many jobs run: which of its hosts takes new ones, and what becomes of the others."""

from __future__ import annotations

import asyncio

import pytest

from consumer.hosts.place import MOST_DRAINING, Place
from tests.unit.consumer.hosts.stub_host import Starter, StubHost


@pytest.fixture
async def starter() -> Starter:
    return Starter()


@pytest.fixture
async def place(starter: Starter) -> Place:
    return Place("shared", starter)


async def test_a_host_at_hand_is_taken_at_once_by_everybody(place: Place) -> None:
    assert place.take() is None
    host = await place.wait()
    assert place.take() is place.take() is host
    assert place.hosts == [host]


async def test_those_who_wait_share_one_start(place: Place, starter: Starter) -> None:
    starter.may.clear()
    waiting = [asyncio.create_task(place.wait()) for _ in range(3)]
    await asyncio.sleep(0)
    assert place.renewing
    starter.may.set()
    assert len({id(host) for host in await asyncio.gather(*waiting)}) == 1
    assert not place.renewing


async def test_one_who_waits_no_longer_does_not_end_the_start(place: Place, starter: Starter) -> None:
    starter.may.clear()
    first, second = (asyncio.create_task(place.wait()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait([first])
    starter.may.set()
    assert await second is place.current


@pytest.mark.parametrize("how", ["ending", "gone", "deaf"])
async def test_a_host_that_takes_no_jobs_is_not_handed_out(place: Place, how: str) -> None:
    host = StubHost()
    place.put(host.host)
    assert place.take() is host.host
    if how == "gone":
        host.gone.set()
    elif how == "ending":
        host.ending = True
    else:
        host.listens = False
    assert place.take() is None
    assert await place.wait() is not host.host


async def test_an_old_host_takes_jobs_until_the_new_one_is_there_and_then_finishes_what_it_has(
    place: Place, starter: Starter
) -> None:
    old = StubHost()
    old.in_hand = 1
    place.put(old.host)
    starter.may.clear()
    renewal = place.renew()
    await asyncio.sleep(0)
    assert place.take() is old.host
    starter.may.set()
    await renewal
    assert place.take() is starter.started[0].host
    place.end_drained()
    assert (old.ending, len(place.hosts)) == (False, 2)
    old.in_hand = 0
    place.end_drained()
    await place.close()
    assert old.gone.is_set()


async def test_at_most_two_old_hosts_go_on_and_jobs_of_the_oldest_are_given_back(
    place: Place, starter: Starter
) -> None:
    place.put(await starter())
    for _ in range(MOST_DRAINING + 1):
        for host in starter.started:
            host.in_hand = 1
        await place.renew()
    place.end_drained()
    assert [host.replaced for host in starter.started] == [True, False, False, False]
    assert len(starter.started) == MOST_DRAINING + 2
    await place.close()


async def test_a_place_is_idle_from_the_last_time_a_host_was_wanted(place: Place, starter: Starter) -> None:
    place._used -= 100
    assert place.idle_s > 99
    host = await place.wait()
    assert place.idle_s < 50
    place._used -= 100
    (stub,) = starter.started
    stub.in_hand = 1
    assert place.idle_s == 0
    stub.in_hand = 0
    assert place.idle_s > 99
    starter.may.clear()
    place.renew()
    assert place.idle_s == 0, "somebody waits"
    assert repr(place) == f"<Place shared: {host}, 0 draining>"
    await place.close()


async def test_closing_ends_every_host_and_what_is_being_started(place: Place, starter: Starter) -> None:
    old = StubHost()
    old.in_hand = 1
    place.put(old.host)
    await place.renew()
    starter.may.clear()
    coming = place.renew()
    await asyncio.sleep(0)
    await place.close()
    assert old.gone.is_set()
    assert starter.started[0].gone.is_set()
    assert coming.cancelled()
