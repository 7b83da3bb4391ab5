"""Submit: what is admitted, and which job answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from pydantic import BaseModel

from api.jobs.make_job import SubmitRequest, make_job
from api.jobs.submit_body import read_bare, read_submit
from sluice.core.document import render
from sluice.core.errors import Invalid, KindUnknown, OutcomeUnknown, Overloaded, ServerAway, TooLarge
from sluice.core.fingerprint import canonical
from sluice.core.job import TAG_SEPARATOR, Accepted, JobState, NewJob
from sluice.core.lanes import Lane
from sluice.core.runtime.batching import Limits
from sluice.core.runtime.telemetry import Event
from sluice.handler import handler
from tests.support.faulty_store import Gate, lost, refused
from tests.support.make_jobs import AT
from tests.unit.api.in_memory_api import add_once
from tests.unit.api.jobs.submit_setup import KEEP_S, SubmitSetup, flaws, nobody


class Ordered(BaseModel):
    """An input with something to find it by."""

    values: list[int]
    of: str


@handler("demo.order", searchable=("of",))
async def order(given: Ordered) -> Ordered:
    """Give back what came."""
    return given


@pytest.fixture
async def setup() -> AsyncIterator[SubmitSetup]:
    setup = SubmitSetup()
    yield setup
    await asyncio.wait_for(setup.submission.drain(), 5)


async def test_an_accepted_job_is_in_the_record_and_on_its_way(setup: SubmitSetup) -> None:
    answer = await setup.submit(1, 2)
    job = setup.job(answer)
    assert (answer.coalesced, answer.reused) == (False, False)
    assert answer.document == render(job._replace(input=None))
    assert (job.tenant, job.kind, job.lane, job.priority, job.input) == (
        "acme", "demo.sum", "default", "normal", b'{"values":[1,2]}',
    )  # fmt: skip
    assert (job.max_attempts, job.timeout_s, job.tags, job.traceparent) == (5, None, None, None)
    await setup.submission.drain()
    assert setup.broker.ids == [job.id]
    assert setup.events.count(Event.ACCEPTED) == 1


@pytest.mark.parametrize(("keep_s", "kept_s"), [(600, 600), (30, 60)])
def test_a_job_is_kept_for_as_long_as_the_setting_says_and_while_its_result_may_be_reused(
    keep_s: float, kept_s: float
) -> None:
    request = read_submit(orjson.dumps({"kind": "demo.pure", "input": {"values": [1]}}))
    job = make_job("acme", add_once, {"default": Lane("default", 8, 16)}, keep_s, request)
    assert job.keep_s == kept_s


def test_a_job_carries_the_version_of_its_kind() -> None:
    request = read_submit(orjson.dumps({"kind": "demo.pure", "input": {"values": [1]}}))
    newer = replace(add_once, version=3)
    assert make_job("acme", newer, {"default": Lane("default", 8, 16)}, 60, request).handler_version == 3


async def test_the_setting_reaches_what_is_accepted(
    setup: SubmitSetup, monkeypatch: pytest.MonkeyPatch
) -> None:
    accepted: list[NewJob] = []
    really = setup.record.accept

    async def accept(jobs: Sequence[NewJob]) -> Accepted:
        accepted.extend(jobs)
        return await really(jobs)

    monkeypatch.setattr(setup.record, "accept", accept)
    await setup.submit(1)
    assert [job.keep_s for job in accepted] == [KEEP_S]


async def test_options_reach_the_record(setup: SubmitSetup) -> None:
    answer = await setup.submit(
        trace="00-trace",
        lane="side",
        priority="low",
        timeout_s=7,
        max_attempts=2,
        deadline_s=60,
        tags=["a", "b"],
    )
    job = setup.job(answer)
    assert (job.lane, job.priority, job.timeout_s, job.max_attempts) == ("side", "low", 7, 2)
    assert (job.deadline, job.tags, job.traceparent) == (
        AT + timedelta(seconds=60),
        f"a{TAG_SEPARATOR}b",
        "00-trace",
    )
    assert orjson.loads(answer.document.body)["tags"] == ["a", "b"]


def test_values_of_searchable_fields_are_tags_beside_those_of_the_client() -> None:
    request = read_submit(
        orjson.dumps({"kind": "demo.pure", "input": {"values": [1], "of": "x"}, "options": {"tags": ["a"]}})
    )
    job = make_job("acme", order, {"default": Lane("default", 8, 16)}, 60, request)
    assert job.tags == f"a{TAG_SEPARATOR}of=x"


@pytest.mark.parametrize("options", [{"delay_s": 9}, {"run_at": "2026-01-02T00:00:09Z"}])
async def test_a_job_for_later_is_scheduled(setup: SubmitSetup, options: dict[str, Any]) -> None:
    job = setup.job(await setup.submit(**options))
    assert (job.state, job.run_at) == ("scheduled", datetime(2026, 1, 2, 0, 0, 9, tzinfo=UTC))


async def test_a_lane_that_is_not_there_is_refused_and_the_others_are_named(setup: SubmitSetup) -> None:
    with pytest.raises(Invalid) as error:
        await setup.submit(lane="fast")
    assert flaws(error) == [("/options/lane", "unknown-lane")]
    assert "default, side" in error.value.flaws[0].detail


async def test_a_kind_that_is_not_there_is_refused(setup: SubmitSetup) -> None:
    with pytest.raises(KindUnknown):
        await setup.submit(kind="demo.nothing")


@pytest.mark.parametrize(("read", "prefix"), [("submit", "/input"), ("bare", "")])
async def test_every_flaw_of_an_input_has_a_pointer_in_both_forms(
    setup: SubmitSetup, read: str, prefix: str
) -> None:
    given = {"values": [1, "2", 3.5], "more": 1}
    work = (
        read_submit(orjson.dumps({"kind": "demo.sum", "input": given}))
        if read == "submit"
        else read_bare("demo.sum", orjson.dumps(given))
    )
    with pytest.raises(Invalid) as error:
        await setup.submission.submit("acme", work)
    assert {each for each, _ in flaws(error)} == {
        f"{prefix}/values/1",
        f"{prefix}/values/2",
        f"{prefix}/more",
    }
    assert not setup.record.jobs


async def test_the_size_that_counts_is_that_of_the_canonical_input(setup: SubmitSetup) -> None:
    fits = b'{"values": %s [1]}' % (b" " * 3_000)
    await setup.submission.submit("acme", read_bare("demo.sum", fits))
    empty = len(canonical({"values": [], "x": ""}))
    work = SubmitRequest("demo.sum", {"values": [], "x": "y" * (2_000 - empty)})
    with pytest.raises(Invalid):
        await setup.submission.submit("acme", work)
    with pytest.raises(TooLarge):
        await setup.submission.submit("acme", work._replace(input={"values": [], "x": "y" * (2_001 - empty)}))


async def test_work_that_is_not_pure_runs_as_often_as_it_is_submitted(setup: SubmitSetup) -> None:
    first, second = await setup.submit(1), await setup.submit(1)
    assert first.document.id != second.document.id
    assert setup.job(first).fingerprint is None


async def test_the_same_pure_work_under_way_is_shared(setup: SubmitSetup) -> None:
    first = await setup.submit(1, kind="demo.pure")
    second = await setup.submit(1, kind="demo.pure")
    assert (second.coalesced, second.document.id) == (True, first.document.id)
    assert orjson.loads(second.document.body)["coalesced"] is True
    assert (len(setup.record.jobs), setup.events.count(Event.COALESCED)) == (1, 1)


async def test_a_fresh_result_answers_at_once_and_an_old_one_does_not(setup: SubmitSetup) -> None:
    first = await setup.submit(1, kind="demo.pure")
    setup.record.succeed(first.document.id)
    second = await setup.submit(1, kind="demo.pure")
    assert (second.reused, second.document.id, second.document.finished) == (True, first.document.id, True)
    assert setup.events.count(Event.REUSED) == 1
    setup.record.now += timedelta(seconds=61)
    third = await setup.submit(1, kind="demo.pure")
    assert (third.reused, third.document.id == first.document.id) == (False, False)


@pytest.mark.parametrize(
    "other", [{"tenant": "other"}, {"values": (2,)}, {"cache": "off"}, {"cache": "refresh"}, {"delay_s": 5}]
)
async def test_other_work_or_another_wish_gets_a_job_of_its_own(
    setup: SubmitSetup, other: dict[str, Any]
) -> None:
    first = await setup.submit(1, kind="demo.pure")
    values = other.pop("values", (1,))
    second = await setup.submit(*values, kind="demo.pure", **other)
    setup.record.succeed(first.document.id)
    third = await setup.submit(*values, kind="demo.pure", **other)
    assert [second.coalesced, second.reused, third.reused] == [False] * 3
    assert first.document.id not in (second.document.id, third.document.id)


@pytest.mark.parametrize("limit", [{"deadline_s": 5}, {"timeout_s": 1}, {"max_attempts": 1}])
async def test_work_with_limits_of_its_own_shares_results_but_nothing_that_runs(
    setup: SubmitSetup, limit: dict[str, Any]
) -> None:
    limited = await setup.submit(1, kind="demo.pure", **limit)
    free = await setup.submit(1, kind="demo.pure")
    again = await setup.submit(1, kind="demo.pure", **limit)
    assert [limited.coalesced, free.coalesced, again.coalesced] == [False] * 3
    assert len({limited.document.id, free.document.id, again.document.id}) == 3
    assert (await setup.submit(1, kind="demo.pure")).document.id == free.document.id
    setup.record.succeed(limited.document.id)
    for options in (limit, {}):
        reused = await setup.submit(1, kind="demo.pure", **options)
        assert (reused.reused, reused.document.id) == (True, limited.document.id)


async def test_a_refreshed_result_replaces_the_old_one_and_one_that_opted_out_does_not(
    setup: SubmitSetup,
) -> None:
    old = await setup.submit(1, kind="demo.pure")
    setup.record.succeed(old.document.id)
    off = await setup.submit(1, kind="demo.pure", cache="off")
    setup.record.succeed(off.document.id)
    assert (await setup.submit(1, kind="demo.pure")).document.id == old.document.id
    new = await setup.submit(1, kind="demo.pure", cache="refresh")
    setup.record.succeed(new.document.id)
    assert (await setup.submit(1, kind="demo.pure")).document.id == new.document.id


async def test_work_that_is_equal_but_written_in_another_way_is_the_same(setup: SubmitSetup) -> None:
    first = await setup.submission.submit("acme", read_bare("demo.pure", b'{"values":[1,2]}'))
    second = await setup.submission.submit("acme", read_bare("demo.pure", b' { "values" : [1, 2] } '))
    assert second.document.id == first.document.id


async def test_a_twin_that_finishes_between_the_statements_answers_with_its_result(
    setup: SubmitSetup,
) -> None:
    first = await setup.submit(1, kind="demo.pure")

    async def finishes_first(call: Any) -> Any:
        setup.record.succeed(first.document.id)
        return await call()

    setup.script["find_same"] += [nobody, finishes_first]
    second = await setup.submit(1, kind="demo.pure")
    assert (second.reused, second.document.id) == (True, first.document.id)


async def test_a_twin_that_fails_between_the_statements_makes_room(setup: SubmitSetup) -> None:
    first = await setup.submit(1, kind="demo.pure")

    async def fails_first(call: Any) -> Any:
        setup.record.add(setup.job(first), state=JobState.FAILED)
        return await call()

    setup.script["find_same"] += [nobody, fails_first]
    second = await setup.submit(1, kind="demo.pure")
    assert (second.coalesced, second.reused, setup.job(second).state) == (False, False, "queued")


async def test_after_three_rounds_in_vain_the_client_is_asked_to_come_again(setup: SubmitSetup) -> None:
    await setup.submit(1, kind="demo.pure")
    setup.script["find_same"] += [nobody] * 4
    with pytest.raises(Overloaded):
        await setup.submit(1, kind="demo.pure")
    assert setup.store.calls["accept"] == 4
    assert (await setup.submit(1, kind="demo.pure")).coalesced


@pytest.mark.parametrize("error", [ServerAway("postgresql"), OutcomeUnknown()])
async def test_what_the_record_says_of_a_failed_commit_reaches_the_client(
    setup: SubmitSetup, error: Exception
) -> None:
    setup.script["accept"].append(refused(error))
    with pytest.raises(type(error)):
        await setup.submit(1)
    assert (setup.events.count(Event.ACCEPTED), setup.broker.ids) == (0, [])


async def test_a_commit_whose_reply_was_lost_is_not_made_again(setup: SubmitSetup) -> None:
    setup.script["accept"].append(lost(OutcomeUnknown()))
    with pytest.raises(OutcomeUnknown):
        await setup.submit(1)
    assert (setup.store.calls["accept"], len(setup.record.jobs)) == (1, 1)


async def test_a_record_away_while_a_result_is_recalled_is_told(setup: SubmitSetup) -> None:
    setup.script["find_same"].append(refused())
    with pytest.raises(ServerAway):
        await setup.submit(1, kind="demo.pure")
    assert not setup.record.jobs


async def test_the_answer_does_not_wait_for_the_broker(setup: SubmitSetup) -> None:
    setup.broker.open.clear()
    answer = await asyncio.wait_for(setup.submit(1), 5)
    assert setup.job(answer).state == "queued"
    setup.broker.open.set()


async def test_a_broker_that_is_away_costs_nothing_but_time(setup: SubmitSetup) -> None:
    setup.broker.away = True
    answer = await setup.submit(1)
    await setup.submission.drain()
    assert (setup.job(answer).state, setup.events.count(Event.DISPATCH_DEFERRED)) == ("queued", 1)


async def test_two_thousand_submits_at_once_are_each_answered_with_their_own_job(setup: SubmitSetup) -> None:
    answers = await asyncio.gather(*(setup.submit(number, number) for number in range(2_000)))
    assert len({answer.document.id for answer in answers}) == 2_000
    inputs = [setup.job(answer).input for answer in answers]
    assert inputs == [b'{"values":[%d,%d]}' % (number, number) for number in range(2_000)]
    assert setup.store.calls["accept"] <= 10


async def test_a_thousand_equal_pure_submits_at_once_make_one_job(setup: SubmitSetup) -> None:
    answers = await asyncio.gather(*(setup.submit(1, 1, kind="demo.pure") for _ in range(1_000)))
    assert len(setup.record.jobs) == 1
    assert {answer.document.id for answer in answers} == setup.record.jobs.keys()
    assert sum(not answer.coalesced for answer in answers) == 1


async def test_more_submits_than_may_wait_are_turned_away_at_once() -> None:
    setup = SubmitSetup(Limits(waiting=10))
    gate = Gate()
    setup.script["accept"].append(gate)
    first = asyncio.create_task(setup.submit(0))
    await gate.reached.wait()
    held = [asyncio.create_task(setup.submit(number)) for number in range(10)]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await setup.submit(99)
    gate.open.set()
    await asyncio.gather(first, *held)
    assert len(setup.record.jobs) == 11
    await setup.submission.drain()
