"""Accept: jobs and their messages in one statement, identical work once, and no batch in another's way."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import uuid4

import pytest

from sluice.core.errors import BadRow
from sluice.core.job import TAG_SEPARATOR, NewJob, as_accepted
from sluice.core.lifecycle import Failure, failed
from sluice.core.runtime.batching import Batcher
from tests.integration.record.record_fixture import Record, body, ids_in
from tests.support.make_jobs import ids_of, new_job, new_jobs

PRINT = b"f" * 32


def in_flight(fingerprint: bytes = PRINT, **changes: Any) -> NewJob:
    return new_job(fingerprint=fingerprint, flight=True, **changes)


async def test_ids_travel_together_by_lane_and_priority_as_many_as_the_lane_says(record: Record) -> None:
    jobs = []
    for number in range(5):  # their ids mixed, as they come
        jobs += new_jobs(1, ids_per_message=2)
        jobs += new_jobs(number < 3, lane="heavy", ids_per_message=1)
        jobs += new_jobs(number < 2, priority="high", ids_per_message=16)
    random.shuffle(jobs)
    messages = (await record.store.accept(jobs)).messages
    shapes = Counter((each.lane, each.priority, len(each.ids)) for each in messages)
    assert shapes == {
        ("default", "normal", 2): 2,
        ("default", "normal", 1): 1,
        ("heavy", "normal", 1): 3,
        ("default", "high", 2): 1,
    }
    assert sorted(ids_in(messages)) == sorted(ids_of(jobs))


async def test_a_message_holds_only_ids_of_its_own_lane_and_priority(record: Record) -> None:
    jobs = new_jobs(4) + new_jobs(4, priority="low") + new_jobs(4, lane="heavy")
    of = {job.id: (job.lane, job.priority) for job in jobs}
    for message in (await record.store.accept(jobs)).messages:
        assert {of[each] for each in message.ids} == {(message.lane, message.priority)}


async def test_the_outbox_holds_what_was_answered_and_is_due_when_the_api_has_given_up(
    record: Record,
) -> None:
    accepted = await record.store.accept(new_jobs(3))
    rows = await record.outbox()
    assert [(row.id, tuple(row.ids)) for row in rows] == [
        (each.outbox_id, each.ids) for each in accepted.messages
    ]
    assert 0 < rows[0].seconds <= record.settings.dispatch_due_s


async def test_a_confirmed_row_is_forgotten_and_the_others_stay(record: Record) -> None:
    first, second = (await record.store.accept(new_jobs(2, ids_per_message=1))).messages
    await record.store.dispatched([first.outbox_id, 999_999_999])
    assert [row.id for row in await record.outbox()] == [second.outbox_id]


@pytest.mark.parametrize("when", [{"delay_s": 60}, {"run_at": datetime.now(UTC) + timedelta(days=1)}])
async def test_a_job_for_later_is_scheduled_and_in_no_message(record: Record, when: dict[str, Any]) -> None:
    later, now = new_job(**when), new_job()
    accepted = await record.store.accept([later, now])
    assert accepted.ids == {later.id, now.id}
    assert ids_in(accepted.messages) == ids_in(await record.outbox()) == [now.id]
    assert (await record.state(later.id), await record.state(now.id)) == ("scheduled", "queued")


async def test_jobs_for_later_alone_are_accepted_too(record: Record) -> None:
    later = new_jobs(2, delay_s=5)
    accepted = await record.store.accept(later)
    assert accepted.ids == set(ids_of(later))
    assert accepted.messages == ()


@pytest.mark.parametrize("when", [{"delay_s": 0}, {"run_at": datetime(2020, 1, 1, tzinfo=UTC)}])
async def test_a_time_that_has_come_does_not_hold_a_job_back(record: Record, when: dict[str, Any]) -> None:
    (job_id,) = await record.accepted(**when)
    assert await record.state(job_id) == "queued"
    assert ids_in(await record.outbox()) == [job_id]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"delay_s": 0},
        {"delay_s": 12.345678},
        {"run_at": datetime(2030, 1, 1, 12, 30, 0, 123456, tzinfo=timezone(timedelta(hours=5.5)))},
        {"run_at": datetime(2020, 1, 1, tzinfo=UTC)},
        {"deadline_s": 0.1},
        {"deadline_s": 86_400},
        {"timeout_s": 2.5, "priority": "low", "max_attempts": 1},
        {"tags": TAG_SEPARATOR.join(["a", "ü", "c d"]), "tenant": "ünïcode"},
        {"fingerprint": PRINT, "flight": True, "traceparent": "00-" + "a" * 32 + "-" + "b" * 16 + "-01"},
    ],
)
async def test_the_first_answer_is_byte_for_byte_what_a_look_up_shows(
    record: Record, changes: dict[str, Any]
) -> None:
    new = new_job(**changes)
    accepted = await record.store.accept([new])
    assert body(as_accepted(new, accepted.at)) == body(await record.job(new.id))


async def test_identical_work_under_way_is_skipped_and_its_twin_is_found(record: Record) -> None:
    first, second, other = in_flight(), in_flight(), in_flight(b"o" * 32)
    await record.accepted(first)
    accepted = await record.store.accept([second, other])
    assert accepted.ids == {other.id}
    twins = await record.store.find_same(dict.fromkeys([PRINT, b"unknown"], 60.0))
    assert {print_: job.id for print_, job in twins.items()} == {PRINT: first.id}


async def test_a_batch_of_nothing_but_twins_is_answered(record: Record) -> None:
    await record.accepted(in_flight())
    accepted = await record.store.accept([in_flight()])
    assert (accepted.ids, accepted.messages) == (frozenset(), ())
    assert abs(accepted.at - datetime.now(UTC)) < timedelta(seconds=5)


async def test_twins_within_one_batch_run_once(record: Record) -> None:
    jobs = [in_flight() for _ in range(5)]
    accepted = await record.store.accept(jobs)
    assert len(accepted.ids) == 1
    assert ids_in(accepted.messages) == list(accepted.ids)


async def test_the_same_work_asked_for_anew_runs_beside_the_one_in_flight(record: Record) -> None:
    await record.accepted(in_flight())
    await record.accepted(new_job(fingerprint=PRINT), new_job(fingerprint=PRINT))


async def test_work_that_has_ended_is_no_twin_any_more(record: Record) -> None:
    job = await record.claimed(in_flight())
    await record.store.settle([failed(job, Failure("x", "y"))])
    assert await record.store.find_same({PRINT: 60.0}) == {}
    await record.accepted(in_flight())


async def test_an_id_that_is_known_is_not_taken_twice(record: Record) -> None:
    job = new_job()
    await record.accepted(job)
    assert (await record.store.accept([job])).ids == frozenset()
    assert len(await record.outbox()) == 1


INSERT = """insert into jobs (id, tenant, kind, lane, priority, state, max_attempts, keep_s, input, queued_at, fingerprint, flight)
            values ($1, 'acme', 'demo.sum', 'default', 'normal', 'queued', 1, 60, '', now(), $2, true)"""


@pytest.mark.parametrize(("ending", "wins"), [("commit", False), ("rollback", True)])
async def test_a_twin_that_is_not_committed_yet_is_waited_for(
    record: Record, ending: str, wins: bool
) -> None:
    mine, winner = in_flight(), uuid4()
    async with record.locked(INSERT, winner, PRINT) as rival:
        accepting = asyncio.create_task(record.store.accept([mine]))
        await record.until_waiting()
        await rival.execute(ending)
        accepted = await accepting
    assert accepted.ids == ({mine.id} if wins else frozenset())
    twins = await record.store.find_same({PRINT: 60.0})
    assert twins[PRINT].id == (mine.id if wins else str(winner))


async def test_batches_that_share_work_in_opposite_orders_never_deadlock(record: Record) -> None:
    prints = [bytes([number]) * 32 for number in range(60)]

    async def batch(number: int) -> frozenset[str]:
        order = prints if number % 2 else prints[::-1]
        return (await record.store.accept([in_flight(each) for each in order])).ids

    for _ in range(5):
        taken = [each for ids in await asyncio.gather(*map(batch, range(8))) for each in ids]
        assert len(taken) == len(set(taken)) == len(prints)
        assert len(await record.store.find_same(dict.fromkeys(prints, 60.0))) == len(prints)
        await record.sql.execute("delete from jobs")


BAD = {
    "a priority there is not": {"priority": "urgent"},
    "U+0000 in a text": {"tags": "a\x00b"},
    "half a character": {"tenant": "\ud800"},
    "no uuid": {"id": "seven"},
    "a number that does not fit": {"max_attempts": 2**31},
}


@pytest.mark.parametrize("changes", BAD.values(), ids=BAD.keys())
async def test_a_value_that_the_record_refuses_is_a_bad_row_and_nothing_is_written(
    record: Record, changes: dict[str, Any]
) -> None:
    with pytest.raises(BadRow):
        await record.store.accept([new_job(), new_job(**changes)])
    assert await record.sql.fetchval("select count(*) from jobs") == 0
    assert await record.outbox() == []


async def test_a_bad_row_among_good_ones_is_refused_alone(record: Record) -> None:
    async def accept(jobs: list[NewJob]) -> list[bool]:
        ids = (await record.store.accept(jobs)).ids
        return [job.id in ids for job in jobs]

    jobs = [new_job(priority="urgent" if number == 5 else "normal") for number in range(9)]
    batcher = Batcher("accept", accept)
    found = await asyncio.gather(*map(batcher.put, jobs), return_exceptions=True)
    assert [type(each) if isinstance(each, Exception) else each for each in found] == [
        BadRow if number == 5 else True for number in range(9)
    ]
    assert await record.sql.fetchval("select count(*) from jobs") == 8
    assert len(ids_in(await record.outbox())) == 8
