"""What every ScheduleStore does: the one in memory that unit tests use, and the one on PostgreSQL."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import orjson
import pytest

from sluice.adapters.postgres.pool import Database
from sluice.adapters.postgres.schedule_store import PostgresScheduleStore
from sluice.core.ports import ScheduleStore
from sluice.core.schedule import Schedule, TickJob
from tests.support.fake_schedule_store import FakeScheduleStore
from tests.support.make_jobs import new_job, new_schedule

HOUR = timedelta(hours=1)


@pytest.fixture
def store(database: Database | None) -> ScheduleStore:
    """An empty one."""
    return FakeScheduleStore() if database is None else PostgresScheduleStore(database, 5)


async def kept(store: ScheduleStore, replace: bool = False, **changes: Any) -> Schedule:
    """A schedule that is there now, due in an hour."""
    at = await store.clock() + HOUR
    found = await store.keep_schedule(new_schedule(**({"next_at": at} | changes)), replace)
    assert found
    return found


async def test_a_schedule_is_kept_once_by_name_and_found_by_its_owner(store: ScheduleStore) -> None:
    new = new_schedule(timezone="Europe/Berlin", catch_up="all")
    made = await store.keep_schedule(new, replace=False)
    assert made
    assert made[:7] == new[:7]
    assert (orjson.loads(made.options), made.catch_up) == (orjson.loads(new.options), "all")
    assert (made.paused, made.next_at, made.last_at, made.last_job_id) == (False, new.next_at, None, None)
    assert await store.find_schedule("acme", "nightly") == made
    assert await store.find_schedule("other", "nightly") is None
    assert await store.keep_schedule(new_schedule(), replace=False) is None
    assert (await kept(store, tenant="other")).id != made.id


async def test_what_is_replaced_stays_paused_and_keeps_a_tick_that_is_due(store: ScheduleStore) -> None:
    made = await kept(store, next_at=await store.clock() - HOUR)
    await store.pause_schedule("acme", "nightly")
    same = await kept(store, replace=True, next_at=made.next_at + 3 * HOUR, input=b"{}")
    assert (same.paused, same.next_at, same.input, same.created_at) == (
        True,
        made.next_at,
        b"{}",
        made.created_at,
    )
    other = await kept(store, replace=True, cron="1 2 3 4 *", next_at=made.next_at + HOUR)
    assert (other.next_at, len({made.id, same.id, other.id})) == (made.next_at + HOUR, 3)


async def test_a_tick_to_come_is_reckoned_anew_unless_it_was_fired_meanwhile(store: ScheduleStore) -> None:
    made, at = await kept(store), await store.clock()
    assert (await kept(store, replace=True, next_at=made.next_at + HOUR)).next_at == made.next_at + HOUR
    assert (await kept(store, replace=True, next_at=at)).next_at == made.next_at + HOUR


async def test_schedules_are_listed_by_name_without_their_inputs(store: ScheduleStore) -> None:
    for name in "cab":
        await kept(store, name=name)
    await kept(store, name="d", tenant="other")
    assert [(each.name, each.input) for each in await store.list_schedules("acme", "", 2)] == [
        ("a", None),
        ("b", None),
    ]
    assert [each.name for each in await store.list_schedules("acme", "b", 2)] == ["c"]


async def test_a_due_tick_is_fired_once(store: ScheduleStore) -> None:
    now = await store.clock()
    made, later = await kept(store, next_at=now - HOUR), await kept(store, name="later")
    (due,) = await store.due_schedules(10)
    assert (due.id, due.due, due.timing) == (made.id, made.next_at, (made.cron, made.timezone))
    job_id = new_job().id
    assert await store.fire_schedule(due, later.next_at, [TickJob(job_id, due.due)])
    assert not await store.fire_schedule(due, later.next_at, [TickJob(new_job().id, due.due)])
    found = await store.find_schedule("acme", "nightly")
    assert found == made._replace(next_at=later.next_at, last_at=due.due, last_job_id=job_id)
    assert await store.due_schedules(10) == []


async def test_a_paused_schedule_fires_nothing_but_by_hand(store: ScheduleStore) -> None:
    made = await kept(store, next_at=await store.clock() - HOUR)
    (due,) = await store.due_schedules(10)
    paused = await store.pause_schedule("acme", "nightly")
    assert paused == made._replace(paused=True)
    assert await store.due_schedules(10) == []
    assert not await store.fire_schedule(due, due.now + HOUR, [TickJob(new_job().id, due.due)])
    job_id = new_job().id
    assert await store.run_schedule(made.id, job_id)
    resumed = await store.resume_schedule(made.id, due.now + HOUR)
    assert resumed == made._replace(next_at=due.now + HOUR, last_job_id=job_id)
    assert await store.resume_schedule(made.id, due.now + 2 * HOUR) == resumed


async def test_what_is_not_there_cannot_be_changed(store: ScheduleStore) -> None:
    made = await kept(store)
    for tenant, name in (("other", "nightly"), ("acme", "weekly")):
        assert await store.pause_schedule(tenant, name) is None
        assert not await store.delete_schedule(tenant, name)
    assert await store.resume_schedule(str(uuid4()), made.next_at) is None
    assert not await store.run_schedule(str(uuid4()), new_job().id)
    assert await store.delete_schedule("acme", "nightly")
    assert not await store.delete_schedule("acme", "nightly")
