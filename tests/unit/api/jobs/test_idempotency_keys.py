"""Submits under a key: replayed, refused, taken over, and together with work that is shared or done."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import orjson
import pytest
import uuid_utils

from api.jobs.idempotency_key import IdempotencyKey
from api.jobs.submit import ORPHAN_S
from api.jobs.submit_body import read_submit
from api.jobs.submit_result import SubmitResult
from sluice.core.errors import IdempotencyKeyReused, JobExpired, OutcomeUnknown, Overloaded, ServerAway
from sluice.core.job import IdempotencyKeyUse, JobState
from sluice.core.runtime.telemetry import Event
from tests.support.faulty_store import lost, refused
from tests.unit.api.jobs.submit_setup import SubmitSetup, nobody


@pytest.fixture
async def setup(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SubmitSetup]:
    """A submission whose record and process agree on the time."""
    setup = SubmitSetup()
    monkeypatch.setattr("api.jobs.submit.time", lambda: setup.record.now.timestamp())
    monkeypatch.setattr(setup.submission, "_now", lambda: setup.record.now.timestamp())
    yield setup
    await asyncio.wait_for(setup.submission.drain(), 5)


async def submit(
    setup: SubmitSetup,
    key: str = "k",
    value: int = 1,
    kind: str = "demo.sum",
    tenant: str = "acme",
    **options: Any,
) -> SubmitResult:
    """Submit one number under a key."""
    raw = orjson.dumps({"kind": kind, "input": {"values": [value]}, "options": options})
    return await setup.submission.submit(tenant, read_submit(raw), None, IdempotencyKey(key, raw))


def stands_for(setup: SubmitSetup, key: str = "k") -> str:
    """The job of a key."""
    return setup.record.uses["acme", key].job_id


async def half_way(setup: SubmitSetup, kind: str = "demo.sum") -> str:
    """The id that the key of a request which died stands for."""
    died = await submit(setup, kind=kind)
    use = setup.record.uses["acme", "k"]
    setup.record.jobs.clear()
    job_id = id_made_at(setup.record.now.timestamp())
    setup.record.uses["acme", "k"] = IdempotencyKeyUse(use.request_hash, job_id)
    assert died.document.id != job_id
    return job_id


def id_made_at(seconds: float) -> str:
    """A UUIDv7 of this time."""
    stamp = f"{int(seconds * 1000):012x}"
    return f"{stamp[:8]}-{stamp[8:]}-{str(uuid_utils.uuid7())[14:]}"


async def test_a_replay_shows_the_job_as_it_is_now_and_makes_no_other(setup: SubmitSetup) -> None:
    first = await submit(setup)
    setup.record.succeed(first.document.id)
    again = await submit(setup)
    assert (first.replayed, again.replayed, again.document.state) == (False, True, "succeeded")
    assert again.document.id == first.document.id == stands_for(setup)
    assert setup.events.count(Event.ACCEPTED) == 1


async def test_another_request_under_the_same_key_is_refused(setup: SubmitSetup) -> None:
    await submit(setup)
    with pytest.raises(IdempotencyKeyReused):
        await submit(setup, value=2)
    with pytest.raises(IdempotencyKeyReused):
        await submit(setup, priority="high")
    assert len(setup.record.jobs) == 1


async def test_tenants_have_keys_of_their_own(setup: SubmitSetup) -> None:
    mine, theirs = await submit(setup), await submit(setup, value=2, tenant="other")
    assert (theirs.replayed, theirs.document.id == mine.document.id) == (False, False)


@pytest.mark.parametrize("kind", ["demo.sum", "demo.pure"])
async def test_a_thousand_submits_under_one_key_at_once_make_one_job(setup: SubmitSetup, kind: str) -> None:
    answers = await asyncio.gather(*(submit(setup, kind=kind) for _ in range(1_000)))
    assert {answer.document.id for answer in answers} == setup.record.jobs.keys() == {stands_for(setup)}
    assert sum(not answer.replayed for answer in answers) == 1


async def test_a_key_of_shared_work_stands_for_the_job_that_does_it(setup: SubmitSetup) -> None:
    first = await submit(setup, "one", kind="demo.pure")
    joined, again = await submit(setup, "two", kind="demo.pure"), await submit(setup, "two", kind="demo.pure")
    assert (joined.coalesced, joined.replayed) == (True, False)
    assert (again.coalesced, again.replayed) == (False, True)
    assert stands_for(setup, "two") == first.document.id


async def test_a_key_of_a_result_that_was_used_again_stands_for_it_for_ever(setup: SubmitSetup) -> None:
    first = await submit(setup, "one", kind="demo.pure")
    setup.record.succeed(first.document.id)
    reused = await submit(setup, "two", kind="demo.pure")
    setup.record.now += timedelta(days=1)
    again = await submit(setup, "two", kind="demo.pure")
    assert (reused.reused, reused.replayed) == (True, False)
    assert (again.reused, again.replayed, again.document.id) == (False, True, first.document.id)


async def test_a_reused_result_says_its_age_and_how_long_it_is_good(setup: SubmitSetup) -> None:
    first = await submit(setup, "one", kind="demo.pure")
    setup.record.succeed(first.document.id)
    setup.record.now += timedelta(seconds=20)
    for number in range(2):  # from the record, then from memory
        reused = await submit(setup, f"n{number}", kind="demo.pure")
        assert (reused.reused, reused.age_s, reused.ttl_s) == (True, 20, 40)


async def test_a_key_whose_job_never_came_is_taken_over_by_one_of_those_who_ask(setup: SubmitSetup) -> None:
    job_id = await half_way(setup)
    answers = await asyncio.gather(*(submit(setup) for _ in range(20)))
    assert {answer.document.id for answer in answers} == setup.record.jobs.keys() == {job_id}
    assert sum(not answer.replayed for answer in answers) == 1


async def test_a_key_whose_job_never_came_moves_to_the_same_work_under_way(setup: SubmitSetup) -> None:
    await half_way(setup, "demo.pure")
    other = await submit(setup, "other", kind="demo.pure")
    joined = await submit(setup, kind="demo.pure")
    assert (joined.coalesced, stands_for(setup)) == (True, other.document.id)


@pytest.mark.parametrize(("age_s", "expired"), [(ORPHAN_S - 1, False), (ORPHAN_S + 1, True)])
async def test_a_key_whose_job_is_gone_for_long_starts_nothing(
    setup: SubmitSetup, age_s: float, expired: bool
) -> None:
    await half_way(setup)
    setup.record.now += timedelta(seconds=age_s)
    if expired:
        with pytest.raises(JobExpired):
            await submit(setup)
    else:
        assert not (await submit(setup)).replayed
    assert len(setup.record.jobs) == (not expired)


async def test_a_key_of_a_deleted_job_starts_nothing(setup: SubmitSetup) -> None:
    first = await submit(setup)
    use = setup.record.uses["acme", "k"]
    del setup.record.jobs[first.document.id]
    setup.record.uses["acme", "k"] = use._replace(job_id="00000000-0000-0000-0000-000000000000")
    with pytest.raises(JobExpired):
        await submit(setup)


async def test_who_is_overtaken_between_the_statements_answers_with_the_winner(setup: SubmitSetup) -> None:
    done = await submit(setup, "done", kind="demo.pure")
    setup.record.succeed(done.document.id)

    async def overtaken(call: Any) -> Any:
        found = await call()
        raw = orjson.dumps({"kind": "demo.pure", "input": {"values": [1]}, "options": {}})
        winner = setup.record.add(setup.record.jobs[done.document.id]._replace(id=str(uuid_utils.uuid7())))
        setup.record.uses["acme", "k"] = IdempotencyKeyUse(raw, winner)
        return found

    setup.script["find_same"].append(overtaken)
    answer = await submit(setup, kind="demo.pure")
    assert (answer.replayed, answer.document.id) == (True, stands_for(setup))


async def test_a_record_away_while_a_key_is_asked_for_is_told(setup: SubmitSetup) -> None:
    setup.script["find_idempotency_keys"].append(refused())
    with pytest.raises(ServerAway):
        await submit(setup)
    assert not setup.record.jobs


async def test_after_a_lost_reply_the_same_key_finds_the_job(setup: SubmitSetup) -> None:
    setup.script["accept"].append(lost(OutcomeUnknown()))
    with pytest.raises(OutcomeUnknown):
        await submit(setup)
    again = await submit(setup)
    assert (again.replayed, {again.document.id}) == (True, set(setup.record.jobs))


async def test_a_refresh_is_not_hidden_by_what_the_process_remembers(setup: SubmitSetup) -> None:
    async def plain(**options: Any) -> SubmitResult:
        return await setup.submit(1, kind="demo.pure", **options)

    old = await plain()
    setup.record.succeed(old.document.id)
    assert (await plain()).reused
    setup.record.now += timedelta(seconds=5)
    new = await plain(cache="refresh")
    assert (await plain()).document.id == old.document.id
    setup.record.now += timedelta(seconds=5)
    setup.record.succeed(new.document.id)
    assert (await plain()).document.id == new.document.id


async def test_under_a_key_too_the_client_is_asked_to_come_again_after_three_rounds(
    setup: SubmitSetup,
) -> None:
    await submit(setup, "one", kind="demo.pure")
    setup.script["find_same"] += [nobody] * 4
    with pytest.raises(Overloaded):
        await submit(setup, kind="demo.pure")
    setup.record.add(next(iter(setup.record.jobs.values())), state=JobState.FAILED)
    assert (await submit(setup, kind="demo.pure")).document.id == stands_for(setup)
