"""Submit: what is read from a body, what is admitted, and which job answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import orjson
import pytest

from api.answers import Answer
from api.lookup import Lookup
from api.memory import Memory
from api.recall import Recall
from api.submission import DEFAULTS, Submission, Submit, read_bare, read_submit
from core.dispatch import Dispatch
from core.document import render
from core.errors import Invalid, KindUnknown, Malformed, OutcomeUnknown, Overloaded, ServerAway, TooLarge
from core.fingerprint import canonical
from core.job import TAG_SEPARATOR, Job, JobState
from core.lanes import Lane
from core.ports import JobStore
from core.registry import Registry
from core.telemetry import Event, Telemetry
from tests.fakes import Events, FakeCache, FakeDispatcher
from tests.scripted import AT, Gate, Scripted, ScriptedRecord, lost, refused
from tests.unit.api.front_door import Clock, add, add_once


class Desk:
    """Submission over a scripted record."""

    def __init__(self, waiting: int = 5_000) -> None:
        self.record = ScriptedRecord()
        self.store = Scripted(self.record)
        self.script = self.store.script
        self.events, self.dispatcher = Events(), FakeDispatcher()
        lanes = {"default": Lane("default", 8, 16), "side": Lane("side", 1, 1)}
        telemetry, store = Telemetry(self.events), cast(JobStore, self.store)
        self.cache, clock = FakeCache(), Clock()
        lookup = Lookup(store, self.cache, Memory(1_000_000, 10, clock))
        self.submission = Submission(
            Registry([add, add_once]),
            lanes,
            store,
            Recall(store, self.cache, lookup, 10, clock),
            Dispatch(self.dispatcher, store, lanes, telemetry),
            telemetry,
            waiting,
        )

    async def submit(
        self,
        *values: int,
        kind: str = "demo.sum",
        tenant: str = "acme",
        trace: str | None = None,
        **options: Any,
    ) -> Answer:
        """Submit these numbers."""
        work = {"kind": kind, "input": {"values": values}, "options": options}
        return await self.submission.submit(tenant, read_submit(orjson.dumps(work)), trace)

    def job(self, answer: Answer) -> Job:
        return self.record.jobs[answer.document.id]


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    desk = Desk()
    yield desk
    await asyncio.wait_for(desk.submission.drain(), 5)


def flaws(error: pytest.ExceptionInfo[Invalid]) -> list[tuple[str, str]]:
    return [(flaw.pointer, flaw.code) for flaw in error.value.flaws]


def body(**fields: Any) -> bytes:
    return orjson.dumps({"kind": "demo.sum", "input": {}} | fields)


def test_a_body_is_read_into_what_it_asks_for() -> None:
    assert read_submit(body()) == Submit("demo.sum", {}, DEFAULTS, "/input")
    assert read_submit(body(options={"priority": "high"})).options.priority == "high"
    assert read_bare("demo.sum", b"[1]") == Submit("demo.sum", [1], DEFAULTS, "")


@pytest.mark.parametrize(
    ("raw", "pointer", "code"),
    [
        (b"[]", "", "object"),
        (b'"text"', "", "object"),
        (b"null", "", "object"),
        (b"{}", "/kind", "missing"),
        (b'{"kind":"demo.sum"}', "/input", "missing"),
        (b'{"kind":7,"input":{}}', "/kind", "string"),
        (body(later=1, also=2), "/also", "unknown-field"),
        (body(**{"x" * 300: 1}), "/" + "x" * 64, "unknown-field"),
    ],
)
def test_a_body_of_another_shape_is_refused_with_a_pointer(raw: bytes, pointer: str, code: str) -> None:
    with pytest.raises(Invalid) as error:
        read_submit(raw)
    assert flaws(error) == [(pointer, code)]


@pytest.mark.parametrize(
    ("options", "pointer"),
    [
        (None, "/options"),
        ({"nonsense": 1}, "/options/nonsense"),
        ({"priority": "urgent"}, "/options/priority"),
        ({"timeout_s": -1}, "/options/timeout_s"),
        ({"max_attempts": 1.5}, "/options/max_attempts"),
        ({"delay_s": 1, "run_at": "2030-01-01T00:00:00Z"}, "/options"),
        ({"run_at": 1_900_000_000}, "/options/run_at"),
        ({"run_at": "2030-01-01T00:00:00"}, "/options/run_at"),
        ({"tags": ["x"] * 11}, "/options/tags"),
        ({"tags": ["fine", "x" * 65]}, "/options/tags/1"),
        ({"tags": [f"a{TAG_SEPARATOR}b"]}, "/options/tags/0"),
    ],
)
def test_a_wrong_option_is_refused_with_a_pointer(options: Any, pointer: str) -> None:
    with pytest.raises(Invalid) as error:
        read_submit(body(options=options))
    assert [each for each, _ in flaws(error)] == [pointer]


@pytest.mark.parametrize("read", [read_submit, lambda raw: read_bare("demo.sum", raw)])
def test_what_is_not_json_is_malformed_in_both_forms(read: Any) -> None:
    for raw in (b"", b"{", b'{"a":1,"a":2}', b"NaN"):
        with pytest.raises(Malformed):
            read(raw)


async def test_an_accepted_job_is_in_the_record_and_on_its_way(desk: Desk) -> None:
    answer = await desk.submit(1, 2)
    job = desk.job(answer)
    assert (answer.coalesced, answer.reused) == (False, False)
    assert answer.document == render(job._replace(input=None))
    assert (job.tenant, job.kind, job.lane, job.priority, job.input) == (
        "acme", "demo.sum", "default", "normal", b'{"values":[1,2]}',
    )  # fmt: skip
    assert (job.max_attempts, job.timeout_s, job.tags, job.traceparent) == (5, None, None, None)
    await desk.submission.drain()
    assert desk.dispatcher.ids == [job.id]
    assert desk.events.count(Event.ACCEPTED) == 1


async def test_options_reach_the_record(desk: Desk) -> None:
    answer = await desk.submit(
        trace="00-trace",
        lane="side",
        priority="low",
        timeout_s=7,
        max_attempts=2,
        deadline_s=60,
        tags=["a", "b"],
    )
    job = desk.job(answer)
    assert (job.lane, job.priority, job.timeout_s, job.max_attempts) == ("side", "low", 7, 2)
    assert (job.deadline, job.tags, job.traceparent) == (
        AT + timedelta(seconds=60),
        f"a{TAG_SEPARATOR}b",
        "00-trace",
    )
    assert orjson.loads(answer.document.body)["tags"] == ["a", "b"]


@pytest.mark.parametrize("options", [{"delay_s": 9}, {"run_at": "2026-01-02T00:00:09Z"}])
async def test_a_job_for_later_is_scheduled(desk: Desk, options: dict[str, Any]) -> None:
    job = desk.job(await desk.submit(**options))
    assert (job.state, job.run_at) == ("scheduled", datetime(2026, 1, 2, 0, 0, 9, tzinfo=UTC))


async def test_a_lane_that_is_not_there_is_refused_and_the_others_are_named(desk: Desk) -> None:
    with pytest.raises(Invalid) as error:
        await desk.submit(lane="fast")
    assert flaws(error) == [("/options/lane", "unknown-lane")]
    assert "default, side" in error.value.flaws[0].detail


async def test_a_kind_that_is_not_there_is_refused(desk: Desk) -> None:
    with pytest.raises(KindUnknown):
        await desk.submit(kind="demo.nothing")


@pytest.mark.parametrize(("read", "prefix"), [("submit", "/input"), ("bare", "")])
async def test_every_flaw_of_an_input_has_a_pointer_in_both_forms(desk: Desk, read: str, prefix: str) -> None:
    given = {"values": [1, "2", 3.5], "more": 1}
    work = read_submit(body(input=given)) if read == "submit" else read_bare("demo.sum", orjson.dumps(given))
    with pytest.raises(Invalid) as error:
        await desk.submission.submit("acme", work)
    assert {each for each, _ in flaws(error)} == {
        f"{prefix}/values/1",
        f"{prefix}/values/2",
        f"{prefix}/more",
    }
    assert not desk.record.jobs


async def test_the_size_that_counts_is_that_of_the_canonical_input(desk: Desk) -> None:
    fits = b'{"values": %s [1]}' % (b" " * 3_000)
    await desk.submission.submit("acme", read_bare("demo.sum", fits))
    empty = len(canonical({"values": [], "x": ""}))
    work = Submit("demo.sum", {"values": [], "x": "y" * (2_000 - empty)})
    with pytest.raises(Invalid):
        await desk.submission.submit("acme", work)
    with pytest.raises(TooLarge):
        await desk.submission.submit("acme", work._replace(input={"values": [], "x": "y" * (2_001 - empty)}))


async def test_work_that_is_not_pure_runs_as_often_as_it_is_submitted(desk: Desk) -> None:
    first, second = await desk.submit(1), await desk.submit(1)
    assert first.document.id != second.document.id
    assert desk.job(first).fingerprint is None


async def test_the_same_pure_work_under_way_is_shared(desk: Desk) -> None:
    first = await desk.submit(1, kind="demo.pure")
    second = await desk.submit(1, kind="demo.pure")
    assert (second.coalesced, second.document.id) == (True, first.document.id)
    assert orjson.loads(second.document.body)["coalesced"] is True
    assert (len(desk.record.jobs), desk.events.count(Event.COALESCED)) == (1, 1)


async def test_a_fresh_result_answers_at_once_and_an_old_one_does_not(desk: Desk) -> None:
    first = await desk.submit(1, kind="demo.pure")
    desk.record.succeed(first.document.id)
    second = await desk.submit(1, kind="demo.pure")
    assert (second.reused, second.document.id, second.document.finished) == (True, first.document.id, True)
    assert desk.events.count(Event.REUSED) == 1
    desk.record.now += timedelta(seconds=61)
    third = await desk.submit(1, kind="demo.pure")
    assert (third.reused, third.document.id == first.document.id) == (False, False)


@pytest.mark.parametrize(
    "other", [{"tenant": "other"}, {"values": (2,)}, {"cache": "off"}, {"cache": "refresh"}, {"delay_s": 5}]
)
async def test_other_work_or_another_wish_gets_a_job_of_its_own(desk: Desk, other: dict[str, Any]) -> None:
    first = await desk.submit(1, kind="demo.pure")
    values = other.pop("values", (1,))
    second = await desk.submit(*values, kind="demo.pure", **other)
    desk.record.succeed(first.document.id)
    third = await desk.submit(*values, kind="demo.pure", **other)
    assert [second.coalesced, second.reused, third.reused] == [False] * 3
    assert first.document.id not in (second.document.id, third.document.id)


async def test_a_refreshed_result_replaces_the_old_one_and_one_that_opted_out_does_not(desk: Desk) -> None:
    old = await desk.submit(1, kind="demo.pure")
    desk.record.succeed(old.document.id)
    off = await desk.submit(1, kind="demo.pure", cache="off")
    desk.record.succeed(off.document.id)
    assert (await desk.submit(1, kind="demo.pure")).document.id == old.document.id
    new = await desk.submit(1, kind="demo.pure", cache="refresh")
    desk.record.succeed(new.document.id)
    assert (await desk.submit(1, kind="demo.pure")).document.id == new.document.id


async def test_work_that_is_equal_but_written_in_another_way_is_the_same(desk: Desk) -> None:
    first = await desk.submission.submit("acme", read_bare("demo.pure", b'{"values":[1,2]}'))
    second = await desk.submission.submit("acme", read_bare("demo.pure", b' { "values" : [1, 2] } '))
    assert second.document.id == first.document.id


async def nobody(_: Any) -> Any:
    """The record knows of nobody who does the same work."""
    return {}


async def test_a_twin_that_finishes_between_the_statements_answers_with_its_result(desk: Desk) -> None:
    first = await desk.submit(1, kind="demo.pure")

    async def finishes_first(call: Any) -> Any:
        desk.record.succeed(first.document.id)
        return await call()

    desk.script["find_same"] += [nobody, finishes_first]
    second = await desk.submit(1, kind="demo.pure")
    assert (second.reused, second.document.id) == (True, first.document.id)


async def test_a_twin_that_fails_between_the_statements_makes_room(desk: Desk) -> None:
    first = await desk.submit(1, kind="demo.pure")

    async def fails_first(call: Any) -> Any:
        desk.record.add(desk.job(first), state=JobState.FAILED)
        return await call()

    desk.script["find_same"] += [nobody, fails_first]
    second = await desk.submit(1, kind="demo.pure")
    assert (second.coalesced, second.reused, desk.job(second).state) == (False, False, "queued")


async def test_after_three_rounds_in_vain_the_client_is_asked_to_come_again(desk: Desk) -> None:
    await desk.submit(1, kind="demo.pure")
    desk.script["find_same"] += [nobody] * 4
    with pytest.raises(Overloaded):
        await desk.submit(1, kind="demo.pure")
    assert desk.store.calls["accept"] == 4
    assert (await desk.submit(1, kind="demo.pure")).coalesced


@pytest.mark.parametrize("error", [ServerAway("postgresql"), OutcomeUnknown()])
async def test_what_the_record_says_of_a_failed_commit_reaches_the_client(
    desk: Desk, error: Exception
) -> None:
    desk.script["accept"].append(refused(error))
    with pytest.raises(type(error)):
        await desk.submit(1)
    assert (desk.events.count(Event.ACCEPTED), desk.dispatcher.ids) == (0, [])


async def test_a_commit_whose_reply_was_lost_is_not_made_again(desk: Desk) -> None:
    desk.script["accept"].append(lost(OutcomeUnknown()))
    with pytest.raises(OutcomeUnknown):
        await desk.submit(1)
    assert (desk.store.calls["accept"], len(desk.record.jobs)) == (1, 1)


async def test_a_record_away_while_a_result_is_recalled_is_told(desk: Desk) -> None:
    desk.script["find_same"].append(refused())
    with pytest.raises(ServerAway):
        await desk.submit(1, kind="demo.pure")
    assert not desk.record.jobs


async def test_the_answer_does_not_wait_for_the_broker(desk: Desk) -> None:
    desk.dispatcher.open.clear()
    answer = await asyncio.wait_for(desk.submit(1), 5)
    assert desk.job(answer).state == "queued"
    desk.dispatcher.open.set()


async def test_a_broker_that_is_away_costs_nothing_but_time(desk: Desk) -> None:
    desk.dispatcher.away = True
    answer = await desk.submit(1)
    await desk.submission.drain()
    assert (desk.job(answer).state, desk.events.count(Event.DISPATCH_DEFERRED)) == ("queued", 1)


async def test_two_thousand_submits_at_once_are_each_answered_with_their_own_job(desk: Desk) -> None:
    answers = await asyncio.gather(*(desk.submit(number, number) for number in range(2_000)))
    assert len({answer.document.id for answer in answers}) == 2_000
    inputs = [desk.job(answer).input for answer in answers]
    assert inputs == [b'{"values":[%d,%d]}' % (number, number) for number in range(2_000)]
    assert desk.store.calls["accept"] <= 10


async def test_a_thousand_equal_pure_submits_at_once_make_one_job(desk: Desk) -> None:
    answers = await asyncio.gather(*(desk.submit(1, 1, kind="demo.pure") for _ in range(1_000)))
    assert len(desk.record.jobs) == 1
    assert {answer.document.id for answer in answers} == desk.record.jobs.keys()
    assert sum(not answer.coalesced for answer in answers) == 1


async def test_more_submits_than_may_wait_are_turned_away_at_once() -> None:
    desk = Desk(waiting=10)
    gate = Gate()
    desk.script["accept"].append(gate)
    first = asyncio.create_task(desk.submit(0))
    await gate.reached.wait()
    held = [asyncio.create_task(desk.submit(number)) for number in range(10)]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await desk.submit(99)
    gate.open.set()
    await asyncio.gather(first, *held)
    assert len(desk.record.jobs) == 11
    await desk.submission.drain()
