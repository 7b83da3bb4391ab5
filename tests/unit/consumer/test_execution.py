"""Runs claimed jobs over a record that fails on demand; handlers run in the loop, for real."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from consumer.attempt import Attempt
from sluice.core.job import Job, JobState
from sluice.core.lifecycle import Failure, Transition, failed
from sluice.core.outcome import Ending
from sluice.core.runtime.batching import OVERHEAD
from sluice.core.runtime.telemetry import Event
from sluice.errors import GiveUp
from tests.support.faulty_store import Gate
from tests.support.make_jobs import AT
from tests.support.waiting import until
from tests.unit.consumer.in_memory_consumer import AT_WORK, DOORS, InMemoryConsumer


async def test_never_more_jobs_run_than_there_are_slots(consumer: InMemoryConsumer) -> None:
    ids = [consumer.job(f"door {number}") for number in range(40)]
    for start in range(0, 40, 8):
        consumer.bring(*ids[start : start + 8])
    for number in range(40):
        running = min(4, 40 - number)
        await until(lambda: len(AT_WORK) - number >= running >= consumer.slots.busy)  # noqa: B023  it is awaited here
        assert (len(AT_WORK) - number, consumer.slots.busy) == (running, running)
        DOORS[AT_WORK[number]].set()
    await consumer.settled()
    assert consumer.events.count(Event.SUCCEEDED) == 40
    assert consumer.slots.busy == 0


async def test_a_slot_is_free_once_its_handler_has_ended_although_the_record_is_away(
    consumer: InMemoryConsumer,
) -> None:
    gate = Gate()
    consumer.script["settle"].append(gate)
    consumer.bring(*[consumer.job() for _ in range(4)])
    await gate.reached.wait()
    later = consumer.job("shut")
    consumer.bring(later)
    await until(lambda: AT_WORK == ["shut"])
    assert consumer.slots.busy == 1
    gate.open.set()


async def test_a_job_whose_handler_has_ended_is_never_late_however_long_the_record_takes(
    consumer: InMemoryConsumer,
) -> None:
    """The lease would be given up for it, with all that runs."""
    gate, held = Gate(), consumer.lease.held
    consumer.script["settle"].append(gate)
    job_id = consumer.job()
    consumer.bring(job_id)
    await gate.reached.wait()
    assert (held, len(consumer.execution), consumer.state(job_id)) == ([], 1, "running")
    gate.open.set()


async def test_a_slot_is_kept_until_its_ending_is_written_while_many_bytes_are_not(
    consumer: InMemoryConsumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate()
    consumer.script["settle"].append(gate)
    monkeypatch.setattr("consumer.settling.MOST_UNWRITTEN", 2 * OVERHEAD)
    consumer.bring(*[consumer.job() for _ in range(4)])
    await gate.reached.wait()
    await until(lambda: consumer.settling.has_room is False)
    await until(lambda: consumer.slots.busy == 2)
    assert len(consumer.execution) == 4
    gate.open.set()
    await until(lambda: consumer.slots.busy == 0)


async def test_a_job_whose_claim_a_failover_undid_and_that_is_claimed_here_again_runs_once(
    consumer: InMemoryConsumer,
) -> None:
    job_id = consumer.job("shut")
    waiting = consumer.record.jobs[job_id]
    consumer.bring(job_id)
    await until(lambda: AT_WORK == ["shut"])
    consumer.record.jobs[job_id] = waiting
    consumer.bring(job_id)
    await until(lambda: consumer.events.count(Event.CLAIMED) == 2 and consumer.slots.busy == 1)
    DOORS["shut"].set()
    await consumer.settled()
    assert (AT_WORK, consumer.state(job_id), consumer.slots.busy) == (["shut"], "succeeded", 0)
    assert (consumer.events.count(Event.SUCCEEDED), consumer.events.count(Event.STALE)) == (1, 0)


async def test_a_job_is_announced_as_running_unless_it_ends_at_once(consumer: InMemoryConsumer) -> None:
    quick, long = consumer.job(), consumer.job("shut")
    consumer.bring(quick, long)
    await until(lambda: any(long in versions for versions in consumer.cache.announced))
    assert [versions[quick] for versions in consumer.cache.announced if quick in versions] == [3]
    assert consumer.cache.announced[-1] == {long: 2}


async def test_a_job_of_a_kind_by_its_former_name_runs(consumer: InMemoryConsumer) -> None:
    job_id = consumer.job(kind="t.former")
    await consumer.bring_settled(job_id)
    assert consumer.state(job_id) == "succeeded"


async def test_a_job_is_tried_again_where_nobody_foresaw_how_the_run_would_end(
    consumer: InMemoryConsumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stumble(_: Attempt) -> None:
        raise RuntimeError("no place to run")

    monkeypatch.setattr(consumer.hosts, "run", stumble)
    job_id = consumer.job()
    await consumer.bring_settled(job_id)
    assert consumer.state(job_id) == "scheduled"
    assert b"no place to run" in (consumer.record.jobs[job_id].error or b"")
    assert (len(consumer.execution), consumer.lease.held, consumer.slots.busy) == (0, [], 0)


async def test_a_handler_that_fails_is_judged_and_shown(consumer: InMemoryConsumer) -> None:
    job_id = consumer.job(fail=True)
    await consumer.bring_settled(job_id)
    assert consumer.state(job_id) == "failed"
    assert b'"gave-up"' in (consumer.record.jobs[job_id].error or b"")


async def test_a_job_whose_lease_is_over_is_given_back(consumer: InMemoryConsumer) -> None:
    job_id = consumer.job("shut")
    consumer.bring(job_id)
    await until(lambda: AT_WORK)
    consumer.lease.held[0].lose_lease()
    await consumer.settled()
    assert (consumer.state(job_id), consumer.record.jobs[job_id].crash_count) == ("queued", 0)
    assert (len(consumer.execution), consumer.lease.held, consumer.slots.busy) == (0, [], 0)


async def test_a_job_claimed_anew_is_not_let_go_by_its_former_attempt(consumer: InMemoryConsumer) -> None:
    gate = Gate()
    consumer.script["settle"].append(gate)
    job_id = consumer.job()
    consumer.bring(job_id)
    await gate.reached.wait()
    DOORS["second"] = asyncio.Event()
    consumer.record.add(consumer.record.jobs[job_id], state=JobState.QUEUED, input=b'{"door":"second"}')
    consumer.bring(job_id)
    await until(lambda: AT_WORK == ["second"])
    gate.open.set()
    await until(lambda: consumer.events.count(Event.STALE))
    await until(lambda: len(consumer.lease.held) == 1)
    assert len(consumer.execution) == 1
    DOORS["second"].set()
    await consumer.settled()
    assert (consumer.state(job_id), consumer.record.jobs[job_id].fence) == ("succeeded", 2)


async def test_a_job_whose_task_is_cancelled_is_tried_again_and_nothing_of_it_stays(
    consumer: InMemoryConsumer,
) -> None:
    job_id = consumer.job("shut")
    consumer.bring(job_id)
    await until(lambda: AT_WORK)
    (task,) = consumer.execution._runs
    task.cancel()
    await consumer.settled()
    assert consumer.state(job_id) == "scheduled"
    assert (len(consumer.execution), consumer.lease.held, consumer.slots.busy) == (0, [], 0)


async def test_a_stop_gives_back_what_runs(consumer: InMemoryConsumer) -> None:
    ids = [consumer.job("shut"), consumer.job("shut")]
    consumer.bring(*ids)
    await until(lambda: len(AT_WORK) == 2)
    consumer.execution.release_all()
    await consumer.settled()
    assert {consumer.state(each) for each in ids} == {"queued"}
    assert consumer.events.count(Event.RELEASED) == 2


async def test_a_success_that_is_under_way_when_the_stop_comes_counts(
    consumer: InMemoryConsumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = consumer.hosts.run

    async def run_and_stop(attempt: Attempt) -> Ending:
        ending = await run(attempt)
        consumer.execution.release_all()
        return ending

    monkeypatch.setattr(consumer.hosts, "run", run_and_stop)
    good, bad = consumer.job(), consumer.job(fail=True)
    await consumer.bring_settled(good, bad)
    assert (consumer.state(good), consumer.state(bad)) == ("succeeded", "queued")


async def test_the_newest_claim_of_each_queue_is_remembered(consumer: InMemoryConsumer) -> None:
    early, late = AT - timedelta(hours=1), AT + timedelta(hours=1)
    await consumer.bring_settled(consumer.job(queued_at=late))
    await consumer.bring_settled(consumer.job(queued_at=early), consumer.job(queued_at=None, priority="high"))
    await consumer.bring_settled(consumer.job(queued_at=early, priority="low"))
    assert consumer.execution.newest_claimed == {("default", "normal"): late, ("default", "low"): early}


async def test_an_ending_that_cannot_be_judged_fails_the_attempt(
    consumer: InMemoryConsumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run(_: Attempt) -> Ending:
        return GiveUp("nothing that a judge could read")

    def judge_errors(job: Job, ending: Ending, *_: object) -> Transition:
        if isinstance(ending, GiveUp):
            raise LookupError("no luck")
        return failed(job, Failure("handler-error", repr(ending)))

    monkeypatch.setattr(consumer.hosts, "run", run)
    monkeypatch.setattr("consumer.execution.judge", judge_errors)
    job_id = consumer.job()
    await consumer.bring_settled(job_id)
    assert (consumer.state(job_id), consumer.lease.held) == ("failed", [])
