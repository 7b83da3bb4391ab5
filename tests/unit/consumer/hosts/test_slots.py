"""Hosts for one job each: which are used again, and how many have a new one at the same time."""

from __future__ import annotations

import asyncio

import pytest

from consumer.hosts.slots import FRESH_AT_ONCE, FreshSlots, Slots
from tests.unit.consumer.hosts.stub_host import Starter, StubHost


@pytest.fixture
async def starter() -> Starter:
    return Starter()


@pytest.fixture
async def slots(starter: Starter) -> Slots:
    return Slots(lambda: starter("slot"), worn=lambda host: host.started_jobs >= 3, most=3)


async def test_a_host_that_is_put_back_is_used_again(slots: Slots, starter: Starter) -> None:
    assert slots.take() is None
    host = await slots.wait()
    assert slots.take() is None, "it is busy"
    assert repr(slots) == "<Slots: 1 busy, 0 idle>"
    slots.put_back(host)
    assert (slots.take(), len(starter.started)) == (host, 1)


async def test_the_host_that_ran_a_job_last_is_used_first(slots: Slots) -> None:
    first, second = [await slots.wait() for _ in range(2)]
    slots.put_back(second)
    slots.put_back(first)
    assert slots.take() is first


async def test_no_more_jobs_run_than_there_may_be_processes(slots: Slots, starter: Starter) -> None:
    """Whatever lane they came by, and however many slots that has."""
    hosts = [await slots.wait() for _ in range(3)]
    waiting = [asyncio.create_task(slots.wait()) for _ in range(5)]
    await asyncio.sleep(0.01)
    assert not any(task.done() for task in waiting)
    for place in range(4):
        slots.put_back(hosts.pop(0))
        done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        assert len(done) == 1, place
        waiting = [task for task in waiting if task not in done]
        hosts.append(done.pop().result())
    assert (len(starter.started), slots.take()) == (3, None)
    waiting[0].cancel()
    slots.put_back(hosts.pop())
    await asyncio.wait(waiting)
    assert slots.take() is not None


@pytest.mark.parametrize("how", ["gone", "ending", "deaf"])
async def test_an_idle_host_that_has_died_is_not_handed_out(slots: Slots, starter: Starter, how: str) -> None:
    living, dead = [await slots.wait() for _ in range(2)]
    slots.put_back(living)
    slots.put_back(dead)
    end(starter.started[1], how)
    assert slots.take() is living
    assert slots.take() is None


@pytest.mark.parametrize("how", ["gone", "ending", "deaf", "worn"])
async def test_a_host_that_should_not_run_another_job_ends(slots: Slots, starter: Starter, how: str) -> None:
    host = await slots.wait()
    end(starter.started[0], how)
    slots.put_back(host)
    assert slots.take() is None
    await slots.close()
    assert host.gone.is_set()
    assert slots.hosts == []


async def test_closing_ends_busy_and_idle_hosts(slots: Slots, starter: Starter) -> None:
    idle, _ = [await slots.wait() for _ in range(2)]
    slots.put_back(idle)
    assert len(slots.hosts) == 2
    await slots.close()
    assert all(host.gone.is_set() for host in starter.started)


async def test_every_job_alone_has_a_new_host_which_ends_with_it(starter: Starter) -> None:
    fresh = FreshSlots(lambda: starter("alone"))
    first = await fresh.wait()
    fresh.put_back(first)
    assert fresh.take() is None
    second = await fresh.wait()
    assert first is not second
    await fresh.close()
    assert all(host.gone.is_set() for host in starter.started)


async def test_only_so_many_jobs_have_a_new_host_at_the_same_time(starter: Starter) -> None:
    fresh = FreshSlots(lambda: starter("alone"))
    hosts = [await fresh.wait() for _ in range(FRESH_AT_ONCE)]
    waiting = asyncio.create_task(fresh.wait())
    await asyncio.sleep(0.01)
    assert len(starter.started) == FRESH_AT_ONCE
    fresh.put_back(hosts[0])
    await waiting
    assert len(starter.started) == FRESH_AT_ONCE + 1
    await fresh.close()


async def test_a_job_that_waits_for_a_new_host_no_longer_takes_nobodys_room(starter: Starter) -> None:
    fresh = FreshSlots(lambda: starter("alone"))
    starter.may.clear()
    starting = [asyncio.create_task(fresh.wait()) for _ in range(FRESH_AT_ONCE)]
    await asyncio.sleep(0)
    for each in starting:
        each.cancel()
    await asyncio.wait(starting)
    starter.may.set()
    assert [await fresh.wait() for _ in range(FRESH_AT_ONCE)]
    await fresh.close()


def end(host: StubHost, how: str) -> None:
    """Make a host unfit for another job."""
    match how:
        case "gone":
            host.gone.set()
        case "ending":
            host.ending = True
        case "deaf":
            host.listens = False
        case "worn":
            host.started_jobs = 3
