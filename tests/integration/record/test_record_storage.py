"""How many bytes tenants keep is added up a part at a time, and found anew by a walk through all jobs."""

from __future__ import annotations

import asyncio

from sluice.adapters.postgres.storage_store import PostgresStorageStore
from sluice.core.job import NewJob
from tests.integration.record.record_fixture import Record
from tests.support.make_jobs import aged_id, new_job

LONG, SHORT = b"1" * 5_000, b"1" * 100


def old_jobs(count: int, **changes: object) -> list[NewJob]:
    """Make so many jobs of a minute ago, in the order of their ids."""
    return [new_job(id=aged_id(60 - number), **({"input": SHORT} | changes)) for number in range(count)]


def storage(record: Record) -> PostgresStorageStore:
    return PostgresStorageStore(record.database, 5)


async def kept(record: Record) -> dict[str, int]:
    return await storage(record).list_large(1, 1_000)


async def test_what_came_is_added_a_part_at_a_time(record: Record) -> None:
    await record.accepted(*old_jobs(5), *old_jobs(3, tenant="other", input=LONG))
    found = []
    for _ in range(5):
        await storage(record).add_up(2, 0, 3_600)
        found.append(sum((await kept(record)).values()))
    assert sorted(found) == found
    assert found[0] < found[1]
    assert await kept(record) == {"acme": 5 * len(SHORT), "other": 3 * len(LONG)}


async def test_what_came_just_now_is_left_for_later(record: Record) -> None:
    await record.accepted(*old_jobs(1), new_job(input=LONG))
    await storage(record).add_up(10, 0, 0)
    assert await kept(record) == {"acme": len(SHORT)}


async def test_a_walk_finds_results_that_came_later_and_jobs_that_are_gone(record: Record) -> None:
    ids = await record.accepted(*old_jobs(5), *old_jobs(1, tenant="other"))
    for _ in range(3):
        await storage(record).add_up(3, 0, 0)
    assert sum((await kept(record)).values()) == 6 * len(SHORT)
    await record.claim(ids[0])
    await record.finish(ids[0], 0)
    await record.sql.execute("delete from jobs where id = any($1::uuid[])", [ids[1], ids[5]])
    while not await storage(record).add_up(3, 0, 0):
        pass
    assert [await storage(record).add_up(3, 0, 0) for _ in range(2)] == [False, True], (
        "four jobs, three a turn"
    )
    assert await kept(record) == {"acme": 4 * len(SHORT) + len("1")}


async def test_what_comes_during_a_walk_is_counted_once(record: Record) -> None:
    await record.accepted(*old_jobs(6))
    for _ in range(12):
        await storage(record).add_up(2, 0, 0)
        await record.accepted(new_job(id=aged_id(3), input=SHORT))
    while not await storage(record).add_up(100, 0, 0):
        pass
    assert await kept(record) == {"acme": 18 * len(SHORT)}


async def test_one_of_many_has_the_turn(record: Record) -> None:
    await record.accepted(*old_jobs(3))
    await asyncio.gather(*(storage(record).add_up(1, 3_600, 0) for _ in range(8)))
    assert await kept(record) == {"acme": len(SHORT)}
    await record.sql.execute("update stored_walk set done_at = now() + interval '1 day'")
    await storage(record).add_up(1, 3_600, 3_600)
    assert await kept(record) == {"acme": 2 * len(SHORT)}, "the clock has gone back"
