"""What every JobStore does: the record in memory that unit tests use, and the one on PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

import orjson
import pytest

from sluice.core.errors import ServerAway, TryAgain
from sluice.core.job import IdempotencyKeyUse, Job, as_accepted
from sluice.core.lifecycle import (
    DEADLINE_PASSED,
    Failure,
    Transition,
    crashed,
    failed,
    postponed,
    released,
    retried,
    succeeded,
)
from sluice.core.ports import JobVersion, KnownVersion
from tests.contract.conftest import KINDS, PAST, Record
from tests.support.make_jobs import new_job, new_jobs

PRINT = b"p" * 32
FAILURE = Failure("handler-error", "LookupError", "nothing there", retryable=True)
NOBODY = "01a00000-0000-7000-8000-000000000000"


async def test_what_was_accepted_is_looked_up_as_it_came(record: Record) -> None:
    jobs = [
        new_job(tags="a\x1fb", traceparent="00-1", timeout_s=5.0, deadline_s=60),
        new_job(run_at=PAST),
        new_job(delay_s=60.0),
    ]
    accepted = await record.jobs.accept(jobs)
    found = await record.jobs.look_up([*accepted.ids, NOBODY])
    assert accepted.ids == found.keys()
    for new in jobs:
        assert found[new.id] == as_accepted(new, found[new.id].created_at)
        assert abs(found[new.id].created_at - accepted.at) < timedelta(seconds=1)


async def test_messages_are_made_for_each_queue_and_size_and_forgotten_when_they_are_confirmed(
    record: Record,
) -> None:
    normal, low = new_jobs(5, ids_per_message=2), new_jobs(1, priority="low", lane="heavy")
    accepted = await record.jobs.accept([*normal, *low, new_job(delay_s=60)])
    sizes = sorted((each.lane, each.priority, len(each.ids)) for each in accepted.messages)
    assert sizes == [("default", "normal", size) for size in (1, 2, 2)] + [("heavy", "low", 1)]
    assert sorted(each[1:] for each in accepted.messages) == sorted(await record.outbox())
    await record.jobs.dispatched([each.outbox_id for each in accepted.messages[1:]])
    assert await record.outbox() == [accepted.messages[0][1:]]


async def test_a_job_is_accepted_once_and_a_key_stands_for_the_first(record: Record) -> None:
    first, second = new_job(key="k", request_hash=b"h"), new_job(key="k", request_hash=b"h")
    assert (await record.jobs.accept([first])).ids == {first.id}
    again = await record.jobs.accept([first, second])
    assert (again.ids, again.messages) == (frozenset(), ())
    assert (await record.jobs.look_up([first.id, second.id])).keys() == {first.id}
    keys = [("acme", "k"), ("other", "k"), ("acme", "unused")]
    assert await record.jobs.find_idempotency_keys(keys) == {("acme", "k"): IdempotencyKeyUse(b"h", first.id)}


async def test_all_jobs_are_accepted_or_none(record: Record) -> None:
    (under_way,) = await record.accepted(new_job(fingerprint=PRINT, flight=True, fresh_s=60.0))
    (keyed,) = await record.accepted(new_job(key="k", request_hash=b"h"))
    before = await record.outbox()
    taken = (new_job(fingerprint=PRINT, flight=True, fresh_s=60.0), new_job(key="k", request_hash=b"h"))
    for skipped in taken:
        others = new_job(key="unused", request_hash=b"h"), new_job(delay_s=60.0), new_job(input=b"1" * 300)
        with pytest.raises(TryAgain):
            await record.jobs.accept([*others, skipped], whole=True)
        assert await record.jobs.look_up([each.id for each in (*others, skipped)]) == {}
        assert await record.jobs.find_idempotency_keys([("acme", "unused")]) == {}
    assert await record.outbox() == before
    assert (await record.jobs.accept([*others], whole=True)).ids == {each.id for each in others}
    assert (await record.jobs.look_up([under_way, keyed])).keys() == {under_way, keyed}


async def test_a_key_can_be_bound_while_it_is_free_or_its_job_never_came(record: Record) -> None:
    job_id, other = await record.accepted(*new_jobs(2))
    assert await record.jobs.bind_idempotency_key("acme", "k", IdempotencyKeyUse(b"h", NOBODY))
    assert not await record.jobs.bind_idempotency_key("acme", "k", IdempotencyKeyUse(b"other", job_id))
    assert await record.jobs.bind_idempotency_key("acme", "k", IdempotencyKeyUse(b"h", job_id))
    assert not await record.jobs.bind_idempotency_key("acme", "k", IdempotencyKeyUse(b"h", other))
    assert (await record.jobs.find_idempotency_keys([("acme", "k")])).popitem()[1].job_id == job_id


async def test_the_same_work_is_done_once_while_it_is_under_way_and_fresh(record: Record) -> None:
    flight = {"fingerprint": PRINT, "flight": True, "fresh_s": 60.0}
    (first,) = await record.accepted(**flight)
    assert (await record.jobs.accept([new_job(**flight)])).ids == frozenset()
    assert await record.jobs.find_same({PRINT: 60.0, b"x" * 32: 60.0}) == {PRINT: await record.job(first)}
    (running,) = await record.jobs.claim([first], KINDS)
    assert (await record.jobs.accept([new_job(**flight)])).ids == frozenset()
    await record.jobs.settle([succeeded(running, b"{}")])
    assert await record.jobs.find_same({PRINT: 60.0}) == {PRINT: await record.job(first)}
    assert (await record.jobs.accept([new_job(**flight)])).ids == frozenset()
    assert await record.jobs.find_same({PRINT: 0.0}) == {}
    await record.accepted(**(flight | {"fresh_s": 0.0}))


async def test_only_what_waits_in_time_and_is_known_can_be_claimed(record: Record) -> None:
    free, also, late, strange, later = await record.accepted(
        *new_jobs(2), new_job(deadline_s=60), new_job(kind="not.here"), new_job(delay_s=60)
    )
    await record.change(late, {"deadline": PAST})
    claimed = await record.jobs.claim([also, late, strange, later, free, NOBODY], KINDS)
    assert {job.id for job in claimed} == {free, also}
    for job in claimed:
        shown = await record.job(job.id)
        assert job == shown._replace(input=b'{"values":[1,2]}', owner=job.owner)
        assert (job.state, job.fence, job.attempt, job.version) == ("running", 1, 1, 2)
        assert job.started_at is not None
    assert await record.jobs.claim([free, also], KINDS) == []
    assert sorted(await record.jobs.recover_lost_claims([free, also, late])) == sorted(claimed)


async def test_only_a_version_that_is_not_older_runs_a_job(record: Record) -> None:
    ids = await record.accepted(*(new_job(handler_version=version) for version in (1, 2, 3)))
    older, same, newer = ids
    assert {job.id for job in await record.jobs.claim(ids, {"demo.sum": 2})} == {older, same}
    assert await record.jobs.defer_unclaimed([newer], {"demo.sum": 2}) == []
    assert [job.id for job in await record.jobs.claim([newer], {"demo.sum": 3})] == [newer]


@pytest.mark.parametrize(("version", "kept"), [(2, True), (3, False)])
async def test_a_newer_version_gives_no_result_for_the_version_that_was_asked_for(
    record: Record, version: int, kept: bool
) -> None:
    wanted = new_job(fingerprint=b"f" * 32, flight=True, fresh_s=60.0, handler_version=2)
    (job,) = await record.jobs.claim(await record.accepted(wanted), {"demo.sum": version})
    assert bool(await record.jobs.find_same({b"f" * 32: 60})) is kept
    await record.jobs.settle([succeeded(job, b"1")])
    assert (job.fingerprint is not None, bool(await record.jobs.find_same({b"f" * 32: 60}))) == (kept, kept)


async def test_a_claim_brings_inputs_of_up_to_64_kib_and_others_are_read_apart(record: Record) -> None:
    short, long = b'"%065534d"' % 0, b'"%065535d"' % 0
    ids = await record.accepted(new_job(input=short), new_job(input=long))
    claimed = await record.jobs.claim(ids, KINDS)
    assert {job.id: job.input for job in claimed} == dict(zip(ids, (short, None), strict=True))
    assert await record.jobs.read_input(ids[1]) == long
    assert await record.jobs.read_input(NOBODY) == b""


async def test_only_what_is_not_as_known_is_read_and_of_the_rest_it_is_told_how_it_stands(
    record: Record,
) -> None:
    queued, due, foreign = await record.accepted(
        new_job(), new_job(delay_s=60), new_job(tenant="other", lane="heavy")
    )
    running = await record.claimed()
    done = await record.claimed(lane="heavy")
    await record.jobs.settle([succeeded(done, b"[1]")])
    asked = [("acme", each, 1) for each in (queued, due, foreign, running.id, NOBODY)]
    asked += [("acme", done.id, 3), ("acme", done.id, 0), ("other", foreign, 2), ("other", queued, 0)]
    found = await record.jobs.find_changed([KnownVersion(*each) for each in asked])
    jobs = {each: await record.job(each) for each in (queued, due, foreign, running.id, done.id)}
    assert found == [
        JobVersion(1, "queued", "default", jobs[queued].queued_at, None),
        JobVersion(1, "scheduled", "default", jobs[due].run_at, None),
        None,
        JobVersion(2, "running", "default", jobs[running.id].started_at, jobs[running.id]),
        None,
        JobVersion(3, "succeeded", "heavy", jobs[done.id].started_at, None),
        JobVersion(3, "succeeded", "heavy", jobs[done.id].started_at, jobs[done.id]),
        JobVersion(1, "queued", "heavy", jobs[foreign].queued_at, jobs[foreign]),
        None,
    ]


async def test_results_that_are_not_as_known_are_read_up_to_a_number_of_bytes(record: Record) -> None:
    claims = await record.jobs.claim(await record.accepted(*new_jobs(9)), KINDS)
    long, short = b'"%01000000d"' % 0, b"[]"
    await record.jobs.settle([succeeded(job, short if job is claims[8] else long) for job in claims])
    known = [KnownVersion("acme", job.id, 3 if job is claims[0] else 0) for job in claims]
    found = await record.jobs.find_changed(known)
    cut = [each.job.is_cut if each and each.job else None for each in found]
    assert cut == [None, *[False] * 5, *[True] * 3], "what is known takes no room, and a short one has none"


async def test_a_look_up_brings_a_bounded_number_of_bytes(record: Record) -> None:
    result = b'"%01000000d"' % 0
    jobs = sorted([await record.claimed() for _ in range(8)])
    await record.jobs.settle([*(succeeded(job, result) for job in jobs[:7]), succeeded(jobs[7], b"1")])
    ids = [job.id for job in jobs]
    found = await record.jobs.look_up(ids)
    assert [found[each].is_cut for each in ids] == [False] * 5 + [True] * 2 + [False], "a short one is not"
    rest = await record.jobs.look_up(ids[5:7])
    assert {job.result for job in (*rest.values(), found[ids[0]])} == {result}


async def test_what_could_not_be_claimed_fails_waits_or_is_void(record: Record) -> None:
    late, strange, strange_and_late = await record.accepted(
        new_job(deadline_s=60), new_job(kind="not.here"), new_job(kind="not.here", deadline_s=60)
    )
    running = await record.claimed()
    for job_id in (late, strange_and_late):
        await record.change(job_id, {"deadline": PAST})
    before = await record.outbox()
    overdue = await record.jobs.defer_unclaimed([late, strange, strange_and_late, running.id, NOBODY], KINDS)
    assert {job.id for job in overdue} == {late, strange_and_late}
    for job in overdue:
        assert (job.state, job.finished_at is None) == ("failed", False)
        assert orjson.loads(job.error or b"") == orjson.loads(DEADLINE_PASSED.to_json(job.kind, 0))
        assert job == await record.job(job.id)
    assert await record.outbox() == before, "nobody serves it, so it is offered to nobody"
    assert (await record.job(strange)).state == "queued"


ENDINGS: list[tuple[str, Callable[[Job], Transition], dict[str, object]]] = [
    ("succeeded", lambda job: succeeded(job, b"{}"), {"result": b"{}"}),
    ("failed", lambda job: failed(job, FAILURE), {"error": FAILURE.to_json("demo.sum", 1)}),
    ("scheduled", lambda job: retried(job, FAILURE, 60), {"error": FAILURE.to_json("demo.sum", 1)}),
    ("scheduled", lambda job: postponed(job, 60, "not yet"), {"attempt": 0, "error": None}),
    ("queued", released, {"attempt": 0}),
    (
        "queued",
        lambda job: crashed(job, FAILURE),
        {"attempt": 0, "error": FAILURE.to_json("demo.sum", 1), "crash_count": 1, "solo_crashes": 1},
    ),
]


@pytest.mark.parametrize(("state", "ending", "more"), ENDINGS)
async def test_an_ending_is_written_once(
    record: Record, state: str, ending: Callable[[Job], Transition], more: dict[str, object]
) -> None:
    job = await record.claimed()
    (settled,) = await record.jobs.settle([ending(job)])
    shown = await record.job(job.id)
    assert settled == (*job.claim, state, 3, shown.finished_at)
    changed = more | {"state": state, "version": 3, "input": None, "owner": None}
    moved = {name: getattr(shown, name) for name in ("finished_at", "queued_at", "run_at")}
    assert shown == job._replace(**(changed | moved))  # type: ignore[arg-type]  # mypy sees no types there
    assert (shown.finished_at is not None) == (state in ("succeeded", "failed"))
    assert is_later(shown.run_at, job.created_at) == (shown.queued_at is None) == (state == "scheduled")
    assert len(await record.outbox()) == (2 if state == "queued" else 1)
    assert await record.jobs.settle([ending(job)]) == []
    assert await record.job(job.id) == shown


@pytest.mark.parametrize(("state", "ending", "more"), ENDINGS)
async def test_a_job_that_was_to_be_cancelled_ends_so_whatever_came_of_it(
    record: Record, state: str, ending: Callable[[Job], Transition], more: dict[str, object]
) -> None:
    job = await record.claimed()
    await record.control.cancel("acme", job.id)
    (settled,) = await record.jobs.settle([ending(job)])
    shown = await record.job(job.id)
    assert settled == (*job.claim, "cancelled", 4, shown.finished_at)
    assert (shown.state, shown.result, shown.finished_at is None) == ("cancelled", None, False)


async def test_an_older_claim_ends_nothing(record: Record) -> None:
    job = await record.claimed()
    await record.jobs.settle([released(job)])
    (again,) = await record.jobs.claim([job.id], KINDS)
    assert (again.fence, again.attempt) == (2, 1)
    assert await record.jobs.settle([succeeded(job, b"1")]) == []
    assert len(await record.jobs.settle([succeeded(again, b"2")])) == 1


@pytest.mark.parametrize(("state", "ending", "more"), ENDINGS)
async def test_a_claim_under_another_lease_ends_nothing_though_it_has_the_fence(
    record: Record, state: str, ending: Callable[[Job], Transition], more: dict[str, object]
) -> None:
    job = await record.claimed()
    before = await record.job(job.id)
    assert await record.jobs.settle([ending(job._replace(owner=UUID(int=1)))]) == []
    assert await record.job(job.id) == before


async def test_a_record_that_is_away_says_so(record: Record) -> None:
    record.leave()
    with pytest.raises(ServerAway):
        await record.jobs.look_up([NOBODY])


def is_later(at: datetime | None, than: datetime) -> bool:
    return at is not None and at > than + timedelta(seconds=30)


async def test_the_same_work_is_found_with_a_bounded_number_of_bytes(record: Record) -> None:
    result = b'"%01000000d"' % 0
    prints = [b"%032d" % number for number in range(7)]
    jobs = [await record.claimed(fingerprint=each) for each in prints]
    await record.jobs.settle([succeeded(job, result) for job in jobs])
    found = await record.jobs.find_same(dict.fromkeys(prints, 60.0))
    assert [job.is_cut for job in sorted(found.values())] == [False] * 5 + [True] * 2
