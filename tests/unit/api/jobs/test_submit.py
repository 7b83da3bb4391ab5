"""Submit: what is read from a body, what is admitted, and which job answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from api.http.response import SubmitResult
from api.jobs.document_memory import DocumentMemory
from api.jobs.lookup import Lookup
from api.jobs.result_reuse import ResultReuse
from api.jobs.submit import DEFAULTS, Submission, Submit, read_bare, read_submit
from sluice.core.document import render
from sluice.core.errors import (
    Invalid,
    KindUnknown,
    Malformed,
    OutcomeUnknown,
    Overloaded,
    ServerAway,
    TooLarge,
)
from sluice.core.fingerprint import canonical
from sluice.core.job import TAG_SEPARATOR, Job, JobState
from sluice.core.lanes import Lane
from sluice.core.outbox_publisher import OutboxPublisher
from sluice.core.registry import Registry
from sluice.core.runtime.telemetry import Event, Telemetry
from tests.support.fake_record import FakeRecord
from tests.support.fakes import Events, FakeCache, FakeMessagePublisher
from tests.support.faulty_store import FaultyStore, Gate, lost, refused
from tests.support.make_jobs import AT
from tests.unit.api.in_memory_api import Clock, add, add_once


class Setup:
    """Submission over a scripted record."""

    def __init__(self, waiting: int = 5_000) -> None:
        self.record = FakeRecord()
        self.store = FaultyStore(self.record)
        self.script = self.store.script
        self.events, self.dispatcher = Events(), FakeMessagePublisher()
        lanes = {"default": Lane("default", 8, 16), "side": Lane("side", 1, 1)}
        telemetry, store = Telemetry(self.events), self.store.port
        self.cache, clock = FakeCache(), Clock()
        lookup = Lookup(store, self.cache, DocumentMemory(1_000_000, 10, clock))
        self.submission = Submission(
            Registry([add, add_once]),
            lanes,
            store,
            ResultReuse(store, self.cache, lookup, 10, clock),
            OutboxPublisher(self.dispatcher, store, lanes, telemetry),
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
    ) -> SubmitResult:
        """Submit these numbers."""
        work = {"kind": kind, "input": {"values": values}, "options": options}
        return await self.submission.submit(tenant, read_submit(orjson.dumps(work)), trace)

    def job(self, answer: SubmitResult) -> Job:
        return self.record.jobs[answer.document.id]


@pytest.fixture
async def setup() -> AsyncIterator[Setup]:
    setup = Setup()
    yield setup
    await asyncio.wait_for(setup.submission.drain(), 5)


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


async def test_an_accepted_job_is_in_the_record_and_on_its_way(setup: Setup) -> None:
    answer = await setup.submit(1, 2)
    job = setup.job(answer)
    assert (answer.coalesced, answer.reused) == (False, False)
    assert answer.document == render(job._replace(input=None))
    assert (job.tenant, job.kind, job.lane, job.priority, job.input) == (
        "acme", "demo.sum", "default", "normal", b'{"values":[1,2]}',
    )  # fmt: skip
    assert (job.max_attempts, job.timeout_s, job.tags, job.traceparent) == (5, None, None, None)
    await setup.submission.drain()
    assert setup.dispatcher.ids == [job.id]
    assert setup.events.count(Event.ACCEPTED) == 1


async def test_options_reach_the_record(setup: Setup) -> None:
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


@pytest.mark.parametrize("options", [{"delay_s": 9}, {"run_at": "2026-01-02T00:00:09Z"}])
async def test_a_job_for_later_is_scheduled(setup: Setup, options: dict[str, Any]) -> None:
    job = setup.job(await setup.submit(**options))
    assert (job.state, job.run_at) == ("scheduled", datetime(2026, 1, 2, 0, 0, 9, tzinfo=UTC))


async def test_a_lane_that_is_not_there_is_refused_and_the_others_are_named(setup: Setup) -> None:
    with pytest.raises(Invalid) as error:
        await setup.submit(lane="fast")
    assert flaws(error) == [("/options/lane", "unknown-lane")]
    assert "default, side" in error.value.flaws[0].detail


async def test_a_kind_that_is_not_there_is_refused(setup: Setup) -> None:
    with pytest.raises(KindUnknown):
        await setup.submit(kind="demo.nothing")


@pytest.mark.parametrize(("read", "prefix"), [("submit", "/input"), ("bare", "")])
async def test_every_flaw_of_an_input_has_a_pointer_in_both_forms(
    setup: Setup, read: str, prefix: str
) -> None:
    given = {"values": [1, "2", 3.5], "more": 1}
    work = read_submit(body(input=given)) if read == "submit" else read_bare("demo.sum", orjson.dumps(given))
    with pytest.raises(Invalid) as error:
        await setup.submission.submit("acme", work)
    assert {each for each, _ in flaws(error)} == {
        f"{prefix}/values/1",
        f"{prefix}/values/2",
        f"{prefix}/more",
    }
    assert not setup.record.jobs


async def test_the_size_that_counts_is_that_of_the_canonical_input(setup: Setup) -> None:
    fits = b'{"values": %s [1]}' % (b" " * 3_000)
    await setup.submission.submit("acme", read_bare("demo.sum", fits))
    empty = len(canonical({"values": [], "x": ""}))
    work = Submit("demo.sum", {"values": [], "x": "y" * (2_000 - empty)})
    with pytest.raises(Invalid):
        await setup.submission.submit("acme", work)
    with pytest.raises(TooLarge):
        await setup.submission.submit("acme", work._replace(input={"values": [], "x": "y" * (2_001 - empty)}))


async def test_work_that_is_not_pure_runs_as_often_as_it_is_submitted(setup: Setup) -> None:
    first, second = await setup.submit(1), await setup.submit(1)
    assert first.document.id != second.document.id
    assert setup.job(first).fingerprint is None


async def test_the_same_pure_work_under_way_is_shared(setup: Setup) -> None:
    first = await setup.submit(1, kind="demo.pure")
    second = await setup.submit(1, kind="demo.pure")
    assert (second.coalesced, second.document.id) == (True, first.document.id)
    assert orjson.loads(second.document.body)["coalesced"] is True
    assert (len(setup.record.jobs), setup.events.count(Event.COALESCED)) == (1, 1)


async def test_a_fresh_result_answers_at_once_and_an_old_one_does_not(setup: Setup) -> None:
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
async def test_other_work_or_another_wish_gets_a_job_of_its_own(setup: Setup, other: dict[str, Any]) -> None:
    first = await setup.submit(1, kind="demo.pure")
    values = other.pop("values", (1,))
    second = await setup.submit(*values, kind="demo.pure", **other)
    setup.record.succeed(first.document.id)
    third = await setup.submit(*values, kind="demo.pure", **other)
    assert [second.coalesced, second.reused, third.reused] == [False] * 3
    assert first.document.id not in (second.document.id, third.document.id)


async def test_a_refreshed_result_replaces_the_old_one_and_one_that_opted_out_does_not(setup: Setup) -> None:
    old = await setup.submit(1, kind="demo.pure")
    setup.record.succeed(old.document.id)
    off = await setup.submit(1, kind="demo.pure", cache="off")
    setup.record.succeed(off.document.id)
    assert (await setup.submit(1, kind="demo.pure")).document.id == old.document.id
    new = await setup.submit(1, kind="demo.pure", cache="refresh")
    setup.record.succeed(new.document.id)
    assert (await setup.submit(1, kind="demo.pure")).document.id == new.document.id


async def test_work_that_is_equal_but_written_in_another_way_is_the_same(setup: Setup) -> None:
    first = await setup.submission.submit("acme", read_bare("demo.pure", b'{"values":[1,2]}'))
    second = await setup.submission.submit("acme", read_bare("demo.pure", b' { "values" : [1, 2] } '))
    assert second.document.id == first.document.id


async def nobody(_: Any) -> Any:
    """The record knows of nobody who does the same work."""
    return {}


async def test_a_twin_that_finishes_between_the_statements_answers_with_its_result(setup: Setup) -> None:
    first = await setup.submit(1, kind="demo.pure")

    async def finishes_first(call: Any) -> Any:
        setup.record.succeed(first.document.id)
        return await call()

    setup.script["find_same"] += [nobody, finishes_first]
    second = await setup.submit(1, kind="demo.pure")
    assert (second.reused, second.document.id) == (True, first.document.id)


async def test_a_twin_that_fails_between_the_statements_makes_room(setup: Setup) -> None:
    first = await setup.submit(1, kind="demo.pure")

    async def fails_first(call: Any) -> Any:
        setup.record.add(setup.job(first), state=JobState.FAILED)
        return await call()

    setup.script["find_same"] += [nobody, fails_first]
    second = await setup.submit(1, kind="demo.pure")
    assert (second.coalesced, second.reused, setup.job(second).state) == (False, False, "queued")


async def test_after_three_rounds_in_vain_the_client_is_asked_to_come_again(setup: Setup) -> None:
    await setup.submit(1, kind="demo.pure")
    setup.script["find_same"] += [nobody] * 4
    with pytest.raises(Overloaded):
        await setup.submit(1, kind="demo.pure")
    assert setup.store.calls["accept"] == 4
    assert (await setup.submit(1, kind="demo.pure")).coalesced


@pytest.mark.parametrize("error", [ServerAway("postgresql"), OutcomeUnknown()])
async def test_what_the_record_says_of_a_failed_commit_reaches_the_client(
    setup: Setup, error: Exception
) -> None:
    setup.script["accept"].append(refused(error))
    with pytest.raises(type(error)):
        await setup.submit(1)
    assert (setup.events.count(Event.ACCEPTED), setup.dispatcher.ids) == (0, [])


async def test_a_commit_whose_reply_was_lost_is_not_made_again(setup: Setup) -> None:
    setup.script["accept"].append(lost(OutcomeUnknown()))
    with pytest.raises(OutcomeUnknown):
        await setup.submit(1)
    assert (setup.store.calls["accept"], len(setup.record.jobs)) == (1, 1)


async def test_a_record_away_while_a_result_is_recalled_is_told(setup: Setup) -> None:
    setup.script["find_same"].append(refused())
    with pytest.raises(ServerAway):
        await setup.submit(1, kind="demo.pure")
    assert not setup.record.jobs


async def test_the_answer_does_not_wait_for_the_broker(setup: Setup) -> None:
    setup.dispatcher.open.clear()
    answer = await asyncio.wait_for(setup.submit(1), 5)
    assert setup.job(answer).state == "queued"
    setup.dispatcher.open.set()


async def test_a_broker_that_is_away_costs_nothing_but_time(setup: Setup) -> None:
    setup.dispatcher.away = True
    answer = await setup.submit(1)
    await setup.submission.drain()
    assert (setup.job(answer).state, setup.events.count(Event.DISPATCH_DEFERRED)) == ("queued", 1)


async def test_two_thousand_submits_at_once_are_each_answered_with_their_own_job(setup: Setup) -> None:
    answers = await asyncio.gather(*(setup.submit(number, number) for number in range(2_000)))
    assert len({answer.document.id for answer in answers}) == 2_000
    inputs = [setup.job(answer).input for answer in answers]
    assert inputs == [b'{"values":[%d,%d]}' % (number, number) for number in range(2_000)]
    assert setup.store.calls["accept"] <= 10


async def test_a_thousand_equal_pure_submits_at_once_make_one_job(setup: Setup) -> None:
    answers = await asyncio.gather(*(setup.submit(1, 1, kind="demo.pure") for _ in range(1_000)))
    assert len(setup.record.jobs) == 1
    assert {answer.document.id for answer in answers} == setup.record.jobs.keys()
    assert sum(not answer.coalesced for answer in answers) == 1


async def test_more_submits_than_may_wait_are_turned_away_at_once() -> None:
    setup = Setup(waiting=10)
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
