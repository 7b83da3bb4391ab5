"""Polling over a record that fails on demand: when it begins and ends, whose slots it takes, what becomes of lost replies."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from consumer.intake.polling import FallbackPoller
from sluice.core.errors import ServerAway
from sluice.core.job import JobState
from sluice.core.lanes import Lane
from sluice.core.runtime.telemetry import Event
from tests.support.faulty_store import Gate, late, let_through, lost, refused
from tests.support.make_jobs import AT
from tests.support.waiting import until
from tests.unit.consumer.in_memory_consumer import AT_WORK, DOORS, InMemoryConsumer

AFTER_S = 10.0
ONLY_WHEN_CALLED = (3600, 3600)


class PollingConsumer(InMemoryConsumer):
    """A consumer that has been without RabbitMQ for `silent_s` seconds."""

    def __init__(self, rest_s: tuple[float, float]) -> None:
        super().__init__()
        self.silent_s = 0.0
        self.poller = FallbackPoller(
            self.claims, self.execution, self.telemetry, lambda: self.silent_s, AFTER_S, watch_s=0.001, rest_s=rest_s
        )  # fmt: skip
        self.tasks = [
            asyncio.create_task(self.poller.serve(self.slots)),
            asyncio.create_task(self.poller.watch()),
        ]

    async def begin(self) -> None:
        """RabbitMQ goes away."""
        self.silent_s = AFTER_S
        await until(lambda: self.poller.on)

    async def end(self) -> None:
        """RabbitMQ comes back."""
        self.silent_s = 0.0
        await until(lambda: not self.poller.on)

    async def looks(self, count: int) -> None:
        """Return once it has looked so often and waits again."""
        await self.store.called("pull", count)
        await until(lambda: not self.slots.claiming.locked())
        await _turns()

    async def call_until(self, state: str, *ids: str) -> None:
        """Call for pulls until these jobs have come so far."""
        while {self.state(each) for each in ids} != {state}:
            self.poller.call()
            await asyncio.sleep(0.001)

    def close_lane(self) -> None:
        """As a consumer does that stops."""
        self.intake.close()
        self.poller.call()

    async def close(self) -> None:
        self.close_lane()
        for task in self.tasks:
            task.cancel()
        await asyncio.wait(self.tasks)
        await super().close()


@pytest.fixture
def rest_s() -> tuple[float, float]:
    return ONLY_WHEN_CALLED


@pytest.fixture
async def consumer(rest_s: tuple[float, float]) -> AsyncIterator[PollingConsumer]:
    """A consumer without RabbitMQ."""
    consumer = PollingConsumer(rest_s)
    await consumer.hosts.open()
    try:
        yield consumer
    finally:
        await asyncio.wait_for(consumer.close(), 5)


async def test_a_job_without_a_hint_goes_all_the_way_and_is_counted_as_pulled(
    consumer: PollingConsumer,
) -> None:
    job_id = consumer.job()
    await consumer.begin()
    await until(lambda: consumer.state(job_id) == "succeeded")
    await consumer.settled()
    assert consumer.cache.announced == [{job_id: 3}]
    seen = {event: consumer.events.count(event) for event in Event if consumer.events.count(event)}
    assert seen == dict.fromkeys([Event.PULLING_STARTED, Event.CLAIMED, Event.PULLED, Event.SUCCEEDED], 1)
    assert (consumer.slots.busy, consumer.lease.held) == (0, [])


async def test_nothing_is_pulled_until_rabbitmq_was_away_for_long_enough(consumer: PollingConsumer) -> None:
    job_id = consumer.job()
    consumer.silent_s = AFTER_S - 0.1
    consumer.poller.call()
    await asyncio.sleep(0.02)
    assert (consumer.state(job_id), consumer.store.calls["pull"], repr(consumer.poller)) == (
        "queued",
        0,
        "<FallbackPoller off>",
    )


async def test_it_goes_back_by_itself_and_says_each_change_once(consumer: PollingConsumer) -> None:
    await consumer.begin()
    await consumer.looks(1)
    await consumer.end()
    job_id, looks = consumer.job(), consumer.store.calls["pull"]
    consumer.poller.call()
    await asyncio.sleep(0.02)
    assert (consumer.state(job_id), consumer.store.calls["pull"]) == ("queued", looks)
    assert (consumer.events.count(Event.PULLING_STARTED), consumer.events.count(Event.PULLING_ENDED)) == (
        1,
        1,
    )
    await consumer.begin()
    await until(lambda: consumer.state(job_id) == "succeeded")
    assert (consumer.events.count(Event.PULLING_STARTED), repr(consumer.poller)) == (2, "<FallbackPoller on>")


async def test_a_record_with_less_than_there_are_slots_is_left_alone_until_it_is_called_for(
    consumer: PollingConsumer,
) -> None:
    await consumer.begin()
    await consumer.looks(1)
    job_id = consumer.job()
    await asyncio.sleep(0.02)
    assert (consumer.state(job_id), consumer.store.calls["pull"]) == ("queued", 1)
    consumer.poller.call("heavy")
    await asyncio.sleep(0.02)
    assert consumer.state(job_id) == "queued"
    consumer.poller.call("default")
    await until(lambda: consumer.state(job_id) == "succeeded")


async def test_what_is_queued_while_a_look_is_under_way_is_not_missed(consumer: PollingConsumer) -> None:
    gate = Gate()
    consumer.script["pull"].append(lambda call: let_through(call, gate))
    await consumer.begin()
    await gate.reached.wait()
    job_id = consumer.job()
    consumer.poller.call()
    gate.open.set()
    await until(lambda: consumer.state(job_id) == "succeeded")


@pytest.mark.parametrize("rest_s", [(0.001, 0.002)])
async def test_without_a_call_the_record_is_looked_at_again_before_long(consumer: PollingConsumer) -> None:
    await consumer.begin()
    await consumer.looks(1)
    job_id = consumer.job()
    await until(lambda: consumer.state(job_id) == "succeeded")


async def test_a_slot_that_comes_free_is_filled_at_once_and_never_more_jobs_run_than_there_are_slots(
    consumer: PollingConsumer,
) -> None:
    ids = [consumer.job(f"door {number}", queued_at=AT + timedelta(seconds=number)) for number in range(12)]
    await consumer.begin()
    for number in range(12):
        running = min(4, 12 - number)
        await until(lambda: len(AT_WORK) - number >= running)  # noqa: B023  it is awaited here
        assert AT_WORK[number] == f"door {number}", "the oldest first"
        assert len(AT_WORK) - number == running
        assert sum(consumer.state(each) == "running" for each in ids) <= 4
        DOORS[f"door {number}"].set()
    await until(lambda: consumer.events.count(Event.SUCCEEDED) == 12)
    await until(lambda: consumer.slots.busy == 0)


async def test_slots_that_come_free_one_by_one_are_shared_by_priority(consumer: PollingConsumer) -> None:
    for _ in range(20):
        for priority in ("high", "normal", "low", "overflow"):
            consumer.job(priority=priority)
    consumer.slots.lane = Lane("default", 1, 16)
    await consumer.begin()
    await until(lambda: consumer.events.count(Event.SUCCEEDED) == 80)
    await consumer.settled()
    ended = [each for told in consumer.cache.announced for each, version in told.items() if version == 3]
    first = Counter(consumer.record.jobs[each].priority for each in ended[:28])
    assert first == {"high": 16, "normal": 8, "low": 2, "overflow": 2}


async def test_a_hint_for_a_job_that_was_pulled_is_void(consumer: PollingConsumer) -> None:
    job_id = consumer.job("shut")
    await consumer.begin()
    await until(lambda: AT_WORK == ["shut"])
    delivery = consumer.bring(job_id)
    await until(lambda: delivery.acknowledged)
    assert (consumer.events.count(Event.VOID), consumer.slots.busy, AT_WORK) == (1, 1, ["shut"])


async def test_deliveries_that_come_back_in_the_middle_of_a_pull_oversubscribe_nothing(
    consumer: PollingConsumer,
) -> None:
    gate = Gate()
    consumer.script["pull"].append(gate)
    pulled, hinted = (
        [consumer.job("shut") for _ in range(4)],
        [consumer.job("shut", lane="other") for _ in range(4)],
    )
    await consumer.begin()
    await gate.reached.wait()
    consumer.bring(*hinted)
    await consumer.end()
    await _turns()
    assert consumer.slots.busy == 4, "the slots of the pull that is under way"
    gate.open.set()
    await until(lambda: len(AT_WORK) == 4)
    assert [consumer.state(each) for each in pulled + hinted] == ["running"] * 4 + ["queued"] * 4
    DOORS["shut"].set()
    await until(lambda: consumer.events.count(Event.SUCCEEDED) == 8)


async def test_nothing_is_pulled_for_a_slot_that_comes_free_after_rabbitmq_is_back(
    consumer: PollingConsumer,
) -> None:
    ids = [consumer.job("shut", queued_at=AT) for _ in range(4)]
    await consumer.begin()
    await until(lambda: len(AT_WORK) == 4)
    later = consumer.job(queued_at=AT + timedelta(seconds=1))
    await consumer.end()
    DOORS["shut"].set()
    await until(lambda: consumer.slots.busy == 0)
    await consumer.settled()
    assert ({consumer.state(each) for each in ids}, consumer.state(later)) == ({"succeeded"}, "queued")


async def test_a_pull_whose_reply_was_lost_is_found_under_our_name_and_runs_once(
    consumer: PollingConsumer,
) -> None:
    consumer.script["pull"].append(lost())
    ids = [consumer.job("shut") for _ in range(3)]
    await consumer.begin()
    await until(lambda: len(AT_WORK) == 3)
    DOORS["shut"].set()
    await until(lambda: consumer.events.count(Event.SUCCEEDED) == 3)
    assert [consumer.record.jobs[each].fence for each in ids] == [1, 1, 1]
    assert (consumer.events.count(Event.PULLED), consumer.slots.busy) == (3, 0)


@pytest.mark.parametrize("back", [True, False])
@pytest.mark.parametrize("rest_s", [(0.001, 0.002)])
async def test_a_pull_that_commits_after_it_was_looked_for_is_found_later(
    consumer: PollingConsumer, back: bool
) -> None:
    gate = Gate()
    consumer.script["pull"].append(late(gate))
    job_id = consumer.job("shut", lane="other")
    await consumer.begin()
    await consumer.store.called("recover_lane_claims", 1)
    consumer.record.change(consumer.record.jobs[job_id], lane="default")
    if back:
        await consumer.end()
    gate.open.set()
    await until(lambda: AT_WORK == ["shut"])
    assert (consumer.record.jobs[job_id].fence, consumer.slots.busy) == (1, 1)
    DOORS["shut"].set()
    await until(lambda: consumer.state(job_id) == "succeeded" and not consumer.claims._doubts)
    looks = consumer.store.calls["recover_lane_claims"]
    await asyncio.sleep(0.02)
    assert (consumer.store.calls["recover_lane_claims"], consumer.slots.busy) == (looks, 0)


@pytest.mark.parametrize("rest_s", [(0.001, 0.002)])
async def test_a_claim_that_reaches_the_record_after_it_was_made_again_is_found_later(
    consumer: PollingConsumer,
) -> None:
    gate = Gate()
    consumer.script["claim"].append(late(gate))
    job_id = consumer.job("shut", state=JobState.SCHEDULED)
    consumer.bring(job_id)
    await consumer.store.called("recover_lost_claims", 1)
    consumer.record.change(consumer.record.jobs[job_id], state=JobState.QUEUED)  # due, or released
    gate.open.set()
    await until(lambda: AT_WORK == ["shut"])
    assert (consumer.record.jobs[job_id].fence, consumer.slots.busy) == (1, 1)
    DOORS["shut"].set()
    await until(lambda: consumer.state(job_id) == "succeeded" and not consumer.claims._doubts)


@pytest.mark.parametrize("rest_s", [(0.001, 0.002)])
async def test_looks_for_late_claims_become_rare_and_end_although_they_fail(
    consumer: PollingConsumer,
) -> None:
    over = asyncio.Event()
    consumer.claims._on_doubt_over = over.set
    consumer.script["recover_lane_claims"] += [refused()] * 1_000
    consumer.script["claim"].append(refused())
    consumer.bring(consumer.job())
    await over.wait()
    assert 2 < consumer.store.calls["recover_lane_claims"] < 10
    assert not consumer.claims._doubts


async def test_each_claim_that_is_made_again_is_doubted_anew(consumer: PollingConsumer) -> None:
    async def fail_later(_: object) -> None:
        consumer.claims._doubts.clear()  # as if the time for the first were over
        raise ServerAway("postgresql")

    consumer.script["claim"] += [refused(), fail_later]
    consumer.bring(consumer.job("open", state=JobState.SCHEDULED))
    await consumer.store.called("recover_lost_claims", 1)
    assert consumer.claims.in_doubt("default")


async def test_what_is_in_hand_is_not_taken_for_a_lost_pull(consumer: PollingConsumer) -> None:
    running = consumer.job("shut")
    await consumer.begin()
    await until(lambda: AT_WORK == ["shut"])
    consumer.script["pull"].append(lost())
    consumer.script["recover_lane_claims"].append(refused())
    other = consumer.job("open")
    consumer.poller.call()
    await until(lambda: AT_WORK == ["shut", "open"])
    assert len(consumer.lease.held) == 2
    assert [consumer.state(each) for each in (running, other)] == ["running", "running"]


async def test_a_new_claim_of_a_job_whose_old_one_is_still_in_hand_is_found(
    consumer: PollingConsumer,
) -> None:
    job_id = consumer.job("shut")
    await consumer.begin()
    await until(lambda: AT_WORK == ["shut"])
    consumer.record.add(
        consumer.record.jobs[job_id], state=JobState.QUEUED
    )  # the lease ran out, the keeper came by
    consumer.script["pull"].append(lost())
    consumer.poller.call()
    await until(lambda: AT_WORK == ["shut", "shut"])
    assert [each.fence for each in sorted(consumer.execution.in_hand)] == [1, 2]


async def test_a_job_that_ends_while_lost_pulls_are_looked_for_does_not_begin_anew(
    consumer: PollingConsumer,
) -> None:
    gate = Gate()
    job_id = consumer.job("shut")
    await consumer.begin()
    await until(lambda: AT_WORK == ["shut"])
    consumer.script["pull"].append(lost())
    consumer.script["recover_lane_claims"].append(lambda call: let_through(call, gate))
    consumer.poller.call()
    await gate.reached.wait()
    DOORS["shut"].set()
    await until(lambda: consumer.state(job_id) == "succeeded" and not len(consumer.execution))
    gate.open.set()
    await consumer.looks(2)
    assert (AT_WORK, consumer.events.count(Event.STALE)) == (["shut"], 0)


async def test_a_hint_that_is_just_being_claimed_is_not_taken_for_a_lost_pull(
    consumer: PollingConsumer,
) -> None:
    gate = Gate()
    consumer.script["claim"].append(lambda call: let_through(call, gate))
    consumer.script["pull"].append(lost())
    job_id = consumer.job("shut")
    consumer.bring(job_id)
    await gate.reached.wait()
    assert consumer.state(job_id) == "running", "the record has it, this process not yet"
    await consumer.begin()
    await _turns()
    gate.open.set()
    await consumer.looks(1)
    await until(lambda: AT_WORK)
    assert (AT_WORK, len(consumer.lease.held), consumer.events.count(Event.PULLED)) == (["shut"], 1, 0)


async def test_a_lost_pull_never_takes_more_than_the_slots_it_had(consumer: PollingConsumer) -> None:
    for _ in range(9):
        consumer.record.owned.add(consumer.job("shut", state=JobState.RUNNING, fence=1))
    consumer.script["pull"].append(refused())
    await consumer.begin()
    await until(lambda: len(AT_WORK) == 4)
    await _turns()
    assert (len(AT_WORK), consumer.slots.busy) == (4, 4)


async def test_a_record_that_is_away_is_asked_until_it_is_back(consumer: PollingConsumer) -> None:
    consumer.script["pull"].append(refused())
    consumer.script["recover_lane_claims"] += [refused(), refused(RuntimeError("in tongues"))]
    job_id = consumer.job()
    await consumer.begin()
    await consumer.call_until("succeeded", job_id)
    assert [each["duty"] for each in consumer.events.fields(Event.DUTY_FAILED)] == ["pull"]


async def test_an_error_nobody_foresaw_does_not_end_the_lane(consumer: PollingConsumer) -> None:
    consumer.script["pull"].append(refused(KeyError("oops")))
    job_id = consumer.job()
    await consumer.begin()
    await consumer.call_until("succeeded", job_id)
    assert [each["duty"] for each in consumer.events.fields(Event.DUTY_FAILED)] == ["pull"]


async def test_an_overdue_job_fails_unrun_and_its_waiters_are_told(consumer: PollingConsumer) -> None:
    job_id = consumer.job("never opened", deadline=AT - timedelta(seconds=1))
    await consumer.begin()
    await until(lambda: job_id in consumer.cache.documents)
    assert (consumer.cache.documents[job_id].state, AT_WORK, consumer.slots.busy) == ("failed", [], 0)
    assert (consumer.events.count(Event.FAILED), consumer.events.count(Event.PULLED)) == (1, 0)


async def test_what_is_pulled_while_the_lane_closes_is_given_back_unrun(consumer: PollingConsumer) -> None:
    gate = Gate()
    consumer.script["pull"].append(gate)
    job_id = consumer.job("never opened")
    await consumer.begin()
    await gate.reached.wait()
    consumer.close_lane()
    gate.open.set()
    await asyncio.wait_for(consumer.tasks[0], 1)
    await consumer.settled()
    assert (consumer.state(job_id), AT_WORK, consumer.events.count(Event.RELEASED)) == ("queued", [], 1)


@pytest.mark.parametrize("on", [True, False])
async def test_a_closed_lane_ends_whether_it_pulls_or_not(consumer: PollingConsumer, on: bool) -> None:
    if on:
        await consumer.begin()
        await consumer.looks(1)
    consumer.close_lane()
    await asyncio.wait_for(consumer.tasks[0], 1)
    assert consumer.store.calls["pull"] == on


async def test_a_lane_that_closes_while_every_slot_is_busy_ends_too(consumer: PollingConsumer) -> None:
    for _ in range(4):
        consumer.job("shut")
    await consumer.begin()
    await until(lambda: len(AT_WORK) == 4)
    consumer.close_lane()
    await asyncio.wait_for(consumer.tasks[0], 1)
    assert consumer.store.calls["pull"] == 1


async def test_a_lane_that_closes_while_the_record_is_away_ends_too(consumer: PollingConsumer) -> None:
    consumer.script["pull"].append(refused())
    consumer.script["recover_lane_claims"] += [refused()] * 1_000_000
    await consumer.begin()
    await consumer.store.called("recover_lane_claims", 3)
    consumer.close_lane()
    await asyncio.wait_for(consumer.tasks[0], 1)


async def _turns() -> None:
    """Let everything that can go on go on."""
    for _ in range(10):
        await asyncio.sleep(0)
