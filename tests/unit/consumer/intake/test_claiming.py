"""Claiming over a record that fails on demand: what becomes of lost replies, and of ids that cannot be claimed."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from sluice.core.errors import BadRow, ServerAway
from sluice.core.job import JobState
from sluice.core.runtime.telemetry import Event
from tests.support.faulty_store import Call, Gate, late, let_through, lost, refused
from tests.support.make_jobs import AT
from tests.support.waiting import until
from tests.unit.consumer.in_memory_consumer import AT_WORK, DOORS, InMemoryConsumer


async def test_a_record_that_cannot_say_what_is_void_holds_up_nothing(consumer: InMemoryConsumer) -> None:
    consumer.script["defer_unclaimed"] += [refused(), refused(BadRow())]
    good = consumer.job()
    first = await consumer.bring_settled(consumer.job(state=JobState.CANCELLED), good)
    second = await consumer.bring_settled(consumer.job(state=JobState.CANCELLED))
    assert (first.acknowledged, second.acknowledged, consumer.state(good)) == (1, 1, "succeeded")
    assert [each["duty"] for each in consumer.events.fields(Event.DUTY_FAILED)] == ["defer_unclaimed"]


async def test_a_claim_whose_reply_was_lost_is_found_under_our_name(consumer: InMemoryConsumer) -> None:
    consumer.script["claim"].append(lost())
    ids = [consumer.job(), consumer.job()]
    delivery = await consumer.bring_settled(*ids)
    assert [consumer.record.jobs[each].fence for each in ids] == [1, 1]
    assert (
        delivery.acknowledged,
        consumer.events.count(Event.SUCCEEDED),
        consumer.events.count(Event.CLAIMED),
    ) == (
        1,
        2,
        2,
    )


async def test_a_claim_that_never_reached_the_record_is_made_again(consumer: InMemoryConsumer) -> None:
    consumer.script["claim"] += [refused(), refused()]
    consumer.script["recover_lost_claims"].append(refused())
    job_id = consumer.job()
    delivery = await consumer.bring_settled(job_id)
    assert (consumer.record.jobs[job_id].fence, consumer.state(job_id), delivery.acknowledged) == (
        1,
        "succeeded",
        1,
    )
    assert consumer.store.calls["recover_lost_claims"] == 2


async def test_a_job_that_somebody_has_locked_holds_up_no_other(consumer: InMemoryConsumer) -> None:
    held, free = consumer.job(), consumer.job()
    consumer.record.locked.add(held)
    delivery = await consumer.bring_settled(held, free)
    assert (consumer.state(held), consumer.state(free), delivery.acknowledged) == ("queued", "succeeded", 1)
    assert not consumer.slots.busy


async def test_a_claim_that_commits_while_it_is_made_again_is_found(consumer: InMemoryConsumer) -> None:
    gate = Gate()

    async def wait_for_its_rows(call: Call) -> object:
        gate.open.set()
        await until(lambda: gate.work is not None and gate.work.done())
        return await call()

    consumer.script["claim"] += [late(gate), wait_for_its_rows]
    job_id = consumer.job()
    await consumer.bring_settled(job_id)
    assert (consumer.record.jobs[job_id].fence, consumer.state(job_id)) == (1, "succeeded")


async def test_what_is_adopted_is_kept_although_the_next_call_fails(consumer: InMemoryConsumer) -> None:
    consumer.script["claim"] += [lost(), refused(), refused()]
    job_id = consumer.job()
    await consumer.bring_settled(job_id)
    assert (consumer.record.jobs[job_id].fence, consumer.state(job_id)) == (1, "succeeded")


async def test_what_was_claimed_under_a_lease_that_is_lost_meanwhile_is_not_begun(
    consumer: InMemoryConsumer,
) -> None:
    async def lose_the_lease(_: Call) -> object:
        consumer.record.owned.clear()
        raise ServerAway("postgresql")

    consumer.script["claim"].append(refused())
    consumer.script["recover_lost_claims"].append(lose_the_lease)
    job_id = consumer.job("shut")
    delivery = await consumer.bring_settled(job_id)
    assert (AT_WORK, consumer.state(job_id), delivery.acknowledged) == ([], "running", 1)


async def test_a_job_begins_before_others_of_its_message_are_dealt_with(consumer: InMemoryConsumer) -> None:
    """Its lease might be lost meanwhile, and nobody would stop it."""
    gate = Gate()
    consumer.script["defer_unclaimed"].append(lambda call: let_through(call, gate))
    delivery = consumer.bring(consumer.job(state=JobState.CANCELLED), consumer.job("shut"))
    await gate.reached.wait()
    assert len(consumer.lease.held) == 1
    gate.open.set()
    DOORS["shut"].set()
    await until(lambda: delivery.acknowledged)


async def test_a_job_in_hand_is_not_adopted_a_second_time(consumer: InMemoryConsumer) -> None:
    job_id = consumer.job("shut")
    consumer.bring(job_id)
    await until(lambda: AT_WORK == ["shut"])
    consumer.script["claim"].append(lost())
    again = consumer.bring(job_id)
    await until(lambda: again.acknowledged)
    assert (AT_WORK, len(consumer.lease.held), consumer.events.count(Event.VOID)) == (["shut"], 1, 1)


async def test_a_new_claim_of_a_job_whose_old_one_is_still_in_hand_is_adopted(
    consumer: InMemoryConsumer,
) -> None:
    job_id = consumer.job("shut")
    consumer.bring(job_id)
    await until(lambda: AT_WORK == ["shut"])
    consumer.record.add(
        consumer.record.jobs[job_id], state=JobState.QUEUED
    )  # the lease ran out, the keeper came by
    consumer.script["claim"].append(lost())
    consumer.bring(job_id)
    await until(lambda: AT_WORK == ["shut", "shut"])
    assert [each.fence for each in sorted(consumer.execution.in_hand)] == [1, 2]
    DOORS["shut"].set()
    await consumer.settled()
    assert (consumer.record.jobs[job_id].fence, consumer.state(job_id), len(consumer.execution)) == (
        2,
        "succeeded",
        0,
    )


async def test_an_error_nobody_foresaw_does_not_end_the_lane(consumer: InMemoryConsumer) -> None:
    consumer.script["claim"] += [
        refused(RuntimeError("the record speaks in tongues")),
        refused(KeyError("again")),
    ]
    job_id = consumer.job()
    await consumer.bring_settled(job_id)
    assert consumer.state(job_id) == "succeeded"
    assert [each["duty"] for each in consumer.events.fields(Event.DUTY_FAILED)] == ["claim", "claim"]


async def test_an_overdue_job_fails_unrun_and_its_waiters_are_told(consumer: InMemoryConsumer) -> None:
    job_id = consumer.job("never opened", deadline=AT - timedelta(seconds=1))
    await consumer.bring_settled(job_id)
    assert (consumer.state(job_id), AT_WORK) == ("failed", [])
    assert consumer.cache.documents[job_id].state == "failed"
    assert consumer.events.count(Event.FAILED) == 1


async def test_a_kind_that_nobody_serves_stays_queued_without_a_message(consumer: InMemoryConsumer) -> None:
    job_id = consumer.job(kind="t.foreign")
    delivery = await consumer.bring_settled(job_id)
    assert (consumer.record.outbox, consumer.state(job_id), delivery.acknowledged) == ({}, "queued", 1)


async def test_a_lane_that_closes_while_the_record_is_away_ends_too(consumer: InMemoryConsumer) -> None:
    gate = Gate()
    consumer.script["claim"] += [refused(), gate]
    consumer.script["recover_lost_claims"] += [refused()] * 3
    delivery = consumer.bring(consumer.job())
    await gate.reached.wait()
    consumer.intake.close()
    gate.open.set()
    await asyncio.wait_for(consumer.serving, 1)
    assert (delivery.acknowledged, consumer.store.calls["claim"]) == (0, 2)


async def test_an_id_that_nobody_knows_is_void(consumer: InMemoryConsumer) -> None:
    delivery = await consumer.bring_settled("00000000-0000-7000-8000-00000000dead")
    assert (delivery.acknowledged, consumer.events.count(Event.VOID)) == (1, 1)


@pytest.mark.parametrize(
    "state", [JobState.RUNNING, JobState.SUCCEEDED, JobState.CANCELLED, JobState.SCHEDULED]
)
async def test_a_job_that_is_not_queued_is_void_and_its_message_acknowledged(
    consumer: InMemoryConsumer, state: JobState
) -> None:
    job_id = consumer.job(state=state)
    before = consumer.record.jobs[job_id]
    delivery = await consumer.bring_settled(job_id)
    assert delivery.acknowledged == 1
    assert consumer.record.jobs[job_id] == before
    assert consumer.events.count(Event.VOID) == 1


async def test_a_job_that_ends_while_lost_claims_are_looked_for_does_not_begin_anew(
    consumer: InMemoryConsumer,
) -> None:
    gate = Gate()
    job_id = consumer.job("shut")
    consumer.bring(job_id)
    await until(lambda: AT_WORK == ["shut"])
    consumer.script["claim"].append(lost())
    consumer.script["recover_lost_claims"].append(lambda call: let_through(call, gate))
    again = consumer.bring(job_id)
    await gate.reached.wait()
    DOORS["shut"].set()
    await until(lambda: consumer.state(job_id) == "succeeded" and not len(consumer.execution))
    gate.open.set()
    await until(lambda: again.acknowledged)
    await consumer.settled()
    assert (AT_WORK, consumer.events.count(Event.STALE)) == (["shut"], 0)
