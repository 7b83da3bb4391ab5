"""Schedules in the record: one job a tick however many keepers there are, what missed ticks come to, pause and resume."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import orjson
import pytest
import uuid_utils

from consumer.keeper.fire_schedules import FireSchedules
from sluice.adapters.postgres.schedule_store import PostgresScheduleStore
from sluice.core.errors import BadRow, ServerAway
from sluice.core.runtime.telemetry import Event, Telemetry
from sluice.core.schedule import BYTES_AT_ONCE, MOST_AT_ONCE, DueSchedule, Schedule, TickJob
from tests.integration.record.record_fixture import Record, ids_in
from tests.support.make_jobs import OPTIONS, new_schedule

HOUR = timedelta(hours=1)


@pytest.fixture
def store(record: Record) -> PostgresScheduleStore:
    """Schedules, over the connections of the record."""
    return PostgresScheduleStore(record.database, 5)


@pytest.fixture
def keeper(record: Record, store: PostgresScheduleStore) -> FireSchedules:
    """One keeper's duty."""
    return FireSchedules(store, Telemetry(record.events))


async def kept(store: PostgresScheduleStore, **changes: Any) -> Schedule:
    """A schedule that is in the record now."""
    found = await store.keep_schedule(new_schedule(**changes), replace=False)
    assert found
    return found


async def overdue(record: Record, store: PostgresScheduleStore, hours: int = 0, **changes: Any) -> Schedule:
    """One whose tick came so many whole hours and a moment ago."""
    before = timedelta(hours=hours, seconds=1)
    made = await kept(store, **({"next_at": datetime.now(UTC) - before} | changes))
    return await again(store, made)


async def again(store: PostgresScheduleStore, schedule: Schedule) -> Schedule:
    """The schedule as it is now."""
    found = await store.find_schedule(schedule.tenant, schedule.name)
    assert found
    return found


async def jobs(record: Record) -> list[asyncpg.Record]:
    """Every job, in order."""
    return await record.sql.fetch("select * from jobs order by id")


async def test_a_schedule_is_kept_as_it_was_given_and_found_by_its_owner_alone(
    store: PostgresScheduleStore,
) -> None:
    new = new_schedule(timezone="Europe/Berlin", catch_up="all")
    made = await store.keep_schedule(new, replace=False)
    assert made
    assert {**new._asdict(), "options": made.options}.items() <= made._asdict().items()
    assert orjson.loads(made.options) == orjson.loads(OPTIONS)
    assert (made.paused, made.last_at, made.last_job_id) == (False, None, None)
    assert await store.find_schedule("acme", "nightly") == made
    assert await store.find_schedule("other", "nightly") is None
    assert await store.list_schedules("other", "", 10) == []


async def test_a_name_is_taken_once_in_each_tenant(store: PostgresScheduleStore) -> None:
    made = await kept(store)
    assert await store.keep_schedule(new_schedule(), replace=False) is None
    assert await again(store, made) == made
    assert (await kept(store, tenant="other")).id != made.id


async def test_schedules_are_listed_by_name_without_their_inputs(store: PostgresScheduleStore) -> None:
    for name in ("c", "a", "b"):
        await kept(store, name=name)
    await kept(store, name="a", tenant="other")
    listed = await store.list_schedules("acme", "", 2)
    assert [(each.name, each.input) for each in listed] == [("a", None), ("b", None)]
    assert [each.name for each in await store.list_schedules("acme", "b", 2)] == ["c"]


async def test_a_replacement_has_another_id_and_keeps_what_was_paused_and_what_it_did(
    record: Record, store: PostgresScheduleStore, keeper: FireSchedules
) -> None:
    made = await overdue(record, store)
    await keeper.once()
    await store.pause_schedule("acme", "nightly")
    before = await again(store, made)
    new = new_schedule(cron="5 * * * *", kind="demo.sleep", next_at=datetime.now(UTC) + 3 * HOUR)
    after = await store.keep_schedule(new, replace=True)
    assert after
    assert after.id == new.id != before.id
    assert (after.kind, after.cron, after.next_at) == ("demo.sleep", "5 * * * *", new.next_at)
    assert (after.paused, after.last_at, after.last_job_id) == (True, before.last_at, before.last_job_id)
    assert (after.created_at, before.last_job_id is None) == (made.created_at, False)


async def test_a_replacement_that_fires_at_the_same_times_loses_no_tick_that_is_due(
    record: Record, store: PostgresScheduleStore, keeper: FireSchedules
) -> None:
    made = await overdue(record, store)
    after = await store.keep_schedule(new_schedule(input=b'{"values":[2]}'), replace=True)
    assert after
    assert after.next_at == made.next_at
    assert await keeper.once() == 1
    (job,) = await jobs(record)
    assert job["input"] == b'{"values":[2]}'


async def test_what_was_found_due_before_a_replacement_is_not_fired_by_the_old_rules(
    record: Record, store: PostgresScheduleStore
) -> None:
    await overdue(record, store)
    (found,) = await store.due_schedules(10)
    await store.keep_schedule(new_schedule(), replace=True)  # its next tick is the same
    assert not await fired(store, found)
    assert await jobs(record) == []


async def fired(store: PostgresScheduleStore, found: DueSchedule) -> bool:
    """Whether this attempt to fire one job came first."""
    return await store.fire_schedule(found, found.now + HOUR, [TickJob(str(uuid_utils.uuid7()), found.due)])


async def test_a_tick_becomes_a_job_with_the_options_of_its_schedule(
    record: Record, store: PostgresScheduleStore, keeper: FireSchedules
) -> None:
    made = await overdue(record, store)
    assert await keeper.once() == 1
    (job,) = await jobs(record)
    assert (job["tenant"], job["kind"], job["input"], job["state"]) == (
        "acme", "demo.sum", b'{"values":[1]}', "queued"
    )  # fmt: skip
    assert (job["lane"], job["priority"], job["max_attempts"], job["timeout_s"]) == ("heavy", "low", 7, 1.5)
    assert job["deadline"] - job["created_at"] == timedelta(seconds=60)
    assert (job["run_at"], job["queued_at"]) == (made.next_at, job["created_at"])
    assert job["tags"].split("\x1f") == ["a b", "ü", "schedule:nightly"]
    (row,) = await record.outbox()
    assert (row.lane, row.priority, row.ids, row.seconds <= 0) == ("heavy", "low", [str(job["id"])], True)
    now = await again(store, made)
    assert (now.last_at, now.last_job_id) == (made.next_at, str(job["id"]))
    assert now.next_at > await store.clock()
    assert (record.events.count(Event.FIRED), record.events.count(Event.ACCEPTED)) == (1, 1)
    assert await keeper.once() == 0


async def test_options_may_be_left_open(
    record: Record, store: PostgresScheduleStore, keeper: FireSchedules
) -> None:
    options = '{"lane":"default","priority":"normal","max_attempts":1,"timeout_s":null,"keep_s":60,"handler_version":2,"deadline_s":null,"tags":[]}'
    await overdue(record, store, options=options)
    await keeper.once()
    (job,) = await jobs(record)
    assert (job["timeout_s"], job["keep_s"], job["deadline"]) == (None, 60, None)
    assert job["handler_version"] == 2
    assert job["tags"] == "schedule:nightly"


async def test_each_tick_makes_one_job_however_many_keepers_there_are(
    record: Record, store: PostgresScheduleStore
) -> None:
    names = [f"s{number}" for number in range(20)]
    for name in names:
        await kept(store, name=name)
    keepers = [FireSchedules(PostgresScheduleStore(record.database, 5), Telemetry()) for _ in range(8)]
    ticks = 5
    made = 0
    for _ in range(ticks):
        await record.sql.execute("update schedules set next_at = now()")
        made += sum(await asyncio.gather(*(each.once() for each in keepers)))
    assert made == 20 * ticks
    found = Counter(job["tags"].rsplit(":", 1)[1] for job in await jobs(record))
    assert found == dict.fromkeys(names, ticks)
    assert sorted(ids_in(await record.outbox())) == [str(job["id"]) for job in await jobs(record)]


async def test_keepers_that_found_the_same_tick_due_fire_it_once(
    record: Record, store: PostgresScheduleStore
) -> None:
    made = await overdue(record, store)
    founds = [(await store.due_schedules(10))[0] for _ in range(8)]
    assert sorted(await asyncio.gather(*(fired(store, each) for each in founds))) == [False] * 7 + [True]
    assert len(await jobs(record)) == 1
    assert (await again(store, made)).last_at == made.next_at


async def test_a_keeper_that_waited_for_another_one_finds_the_tick_taken(
    record: Record, store: PostgresScheduleStore
) -> None:
    made = await overdue(record, store)
    (found,) = await store.due_schedules(10)
    change = "update schedules set next_at = now() + interval '1 hour' where id = $1"
    async with record.locked(change, UUID(made.id)) as other:
        waiting = asyncio.create_task(fired(store, found))
        await record.until_waiting()
        await other.execute("commit")
        assert not await waiting
    assert await jobs(record) == []


async def test_a_tick_that_cannot_become_a_job_stays_due_and_holds_up_no_other(
    record: Record, store: PostgresScheduleStore, keeper: FireSchedules
) -> None:
    bad = await overdue(record, store, hours=1, name="bad", options='{"lane":"default","priority":"urgent"}')
    gone = await overdue(record, store, hours=1, name="gone", timezone="Mars/Olympus")
    await overdue(record, store)
    assert await keeper.once() == 1
    assert {each["schedule"] for each in record.events.fields(Event.DUTY_FAILED)} == {"bad", "gone"}
    assert [await again(store, each) for each in (bad, gone)] == [bad, gone]
    (found, _) = await store.due_schedules(10)
    with pytest.raises(BadRow):
        await fired(store, found)
    assert len(await record.outbox()) == 1


@pytest.mark.parametrize(("policy", "count"), [("one", 1), ("none", 0), ("all", 4)])
async def test_missed_ticks_are_made_up_for_as_the_schedule_says(
    record: Record, store: PostgresScheduleStore, keeper: FireSchedules, policy: str, count: int
) -> None:
    now = datetime.now(UTC)
    first = now.replace(second=0, microsecond=0) - timedelta(hours=3, minutes=30)
    made = await kept(store, catch_up=policy, cron=f"{first.minute} * * * *", next_at=first)
    assert await keeper.once() == count
    after = await again(store, made)
    assert now < after.next_at <= now + HOUR
    found = [job["run_at"] for job in await jobs(record)]
    assert found == [first + number * HOUR for number in range(count)]
    assert (after.last_at, after.last_job_id is None) == (found[-1] if found else None, not count)
    assert await keeper.once() == 0


async def test_very_many_missed_ticks_are_made_up_for_bit_by_bit(
    record: Record, store: PostgresScheduleStore, keeper: FireSchedules
) -> None:
    start = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=150)
    await kept(store, catch_up="all", cron="* * * * *", next_at=start)
    assert await keeper.once() == MOST_AT_ONCE
    assert await keeper.once() >= 51
    assert await keeper.once() <= 1  # a minute may have begun
    ticks = [job["run_at"] for job in await jobs(record)]
    assert ticks == [start + timedelta(minutes=number) for number in range(len(ticks))]


async def test_missed_ticks_are_made_up_for_by_size(
    record: Record, store: PostgresScheduleStore, keeper: FireSchedules
) -> None:
    start = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=150)
    large = b"%-*d" % (BYTES_AT_ONCE // 3, 1)
    await kept(store, catch_up="all", cron="* * * * *", next_at=start, input=large)
    await overdue(record, store, name="huge", input=large * 4)
    assert [await keeper.once() for _ in range(2)] == [3 + 1, 3]


class StumblingStore(PostgresScheduleStore):
    """One that takes too long over this schedule."""

    slow = ""

    async def fire_schedule(self, due: DueSchedule, next_at: datetime, jobs: Sequence[TickJob]) -> bool:
        if due.id == self.slow:
            raise ServerAway("postgresql", "did not answer in time")
        return await super().fire_schedule(due, next_at, jobs)


async def test_a_tick_that_takes_too_long_is_reported_and_holds_up_no_other_at_the_next_turn(
    record: Record,
) -> None:
    store = StumblingStore(record.database, 5)
    keeper = FireSchedules(store, Telemetry(record.events))
    store.slow = (await overdue(record, store, hours=2, name="slow")).id
    await overdue(record, store)
    with pytest.raises(ServerAway):
        await keeper.once()
    assert (await jobs(record), record.events.fields(Event.DUTY_FAILED)) == ([], [])
    with pytest.raises(ServerAway):
        await keeper.once()
    assert len(await jobs(record)) == 1
    assert [each["schedule"] for each in record.events.fields(Event.DUTY_FAILED)] == ["slow"]
    store.slow = ""
    assert await keeper.once() == 1


async def test_however_many_cannot_be_fired_the_others_are(
    record: Record, store: PostgresScheduleStore, keeper: FireSchedules, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consumer.keeper.fire_schedules.SCHEDULES_PER_TICK", 3)
    for number in range(7):
        await overdue(record, store, hours=9, name=f"bad-{number}", timezone="America/Newzone")
    await overdue(record, store, hours=1, name="good")
    assert [await keeper.once() for _ in range(4)] == [0, 0, 1, 0]
    await record.sql.execute("update schedules set timezone = 'UTC'")
    assert [await keeper.once() for _ in range(4)] == [3, 3, 1, 0]


async def test_what_is_paused_does_not_fire_and_on_resume_its_missed_ticks_are_gone(
    record: Record, store: PostgresScheduleStore, keeper: FireSchedules
) -> None:
    made = await overdue(record, store, hours=3, catch_up="all")
    (found,) = await store.due_schedules(10)
    paused = await store.pause_schedule("acme", "nightly")
    assert paused
    assert (paused.paused, paused.next_at) == (True, made.next_at)
    assert await store.pause_schedule("acme", "nightly") == paused
    assert await keeper.once() == 0
    assert not await fired(store, found)
    to_come = await store.clock() + HOUR
    resumed = await store.resume_schedule(made.id, to_come)
    assert resumed == paused._replace(paused=False, next_at=to_come)
    assert await keeper.once() == 0
    assert await store.resume_schedule(made.id, to_come + HOUR) == resumed
    assert await store.resume_schedule(str(uuid4()), to_come) is None
    assert await jobs(record) == []


async def test_a_schedule_is_run_by_hand_paused_or_not_and_its_ticks_stay(
    record: Record, store: PostgresScheduleStore
) -> None:
    made = await kept(store)
    for paused in (False, True):
        if paused:
            await store.pause_schedule("acme", "nightly")
        job_id = str(uuid_utils.uuid7())
        assert await store.run_schedule(made.id, job_id)
        job = await record.row(job_id)
        assert (job["state"], job["run_at"], job["kind"]) == ("queued", None, "demo.sum")
        after = await again(store, made)
        assert (after.next_at, after.last_at, after.last_job_id) == (made.next_at, None, job_id)
    assert len(ids_in(await record.outbox())) == 2
    assert not await store.run_schedule(str(uuid4()), str(uuid_utils.uuid7()))


async def test_a_deleted_schedule_fires_no_more_and_its_jobs_stay(
    record: Record, store: PostgresScheduleStore, keeper: FireSchedules
) -> None:
    await overdue(record, store)
    await keeper.once()
    await record.sql.execute("update schedules set next_at = now()")
    (found,) = await store.due_schedules(10)
    assert await store.delete_schedule("acme", "nightly")
    assert not await store.delete_schedule("acme", "nightly")
    assert not await fired(store, found)
    assert await keeper.once() == 0
    assert len(await jobs(record)) == 1


async def test_another_tenant_changes_nothing(record: Record, store: PostgresScheduleStore) -> None:
    made = await kept(store)
    assert await store.pause_schedule("other", "nightly") is None
    assert not await store.delete_schedule("other", "nightly")
    assert await again(store, made) == made


async def test_what_comes_first_is_due_first_and_what_is_to_come_is_not_due(
    record: Record, store: PostgresScheduleStore
) -> None:
    await kept(store, name="later")
    await overdue(record, store, hours=1, name="second")
    await overdue(record, store, hours=2, name="first")
    assert [each.name for each in await store.due_schedules(10)] == ["first", "second"]
    assert [each.name for each in await store.due_schedules(1)] == ["first"]
