"""Submits under a key: replayed, refused, taken over, and together with work that is shared or done."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import orjson
import pytest
import uuid_utils

from api.answers import Answer
from api.submission import ORPHAN_S, RequestKey, read_submit
from core.errors import JobExpired, KeyReused, OutcomeUnknown, Overloaded, ServerAway
from core.job import JobState, KeyUse
from core.telemetry import Event
from tests.scripted import lost, refused
from tests.unit.api.test_submission import Desk, nobody


@pytest.fixture
async def desk(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    """A desk whose record and process agree on the time."""
    desk = Desk()
    monkeypatch.setattr("api.submission.time", lambda: desk.record.now.timestamp())
    monkeypatch.setattr(desk.submission, "_now", lambda: desk.record.now.timestamp())
    yield desk
    await asyncio.wait_for(desk.submission.drain(), 5)


async def submit(
    desk: Desk, key: str = "k", value: int = 1, kind: str = "demo.sum", tenant: str = "acme", **options: Any
) -> Answer:
    """Submit one number under a key."""
    raw = orjson.dumps({"kind": kind, "input": {"values": [value]}, "options": options})
    return await desk.submission.submit(tenant, read_submit(raw), None, RequestKey(key, raw))


def stands_for(desk: Desk, key: str = "k") -> str:
    """The job of a key."""
    return desk.record.uses["acme", key].job_id


async def half_way(desk: Desk, kind: str = "demo.sum") -> str:
    """The id that the key of a request which died stands for."""
    died = await submit(desk, kind=kind)
    use = desk.record.uses["acme", "k"]
    desk.record.jobs.clear()
    job_id = id_made_at(desk.record.now.timestamp())
    desk.record.uses["acme", "k"] = KeyUse(use.request_hash, job_id)
    assert died.document.id != job_id
    return job_id


def id_made_at(seconds: float) -> str:
    """A UUIDv7 of this time."""
    stamp = f"{int(seconds * 1000):012x}"
    return f"{stamp[:8]}-{stamp[8:]}-{str(uuid_utils.uuid7())[14:]}"


async def test_a_replay_shows_the_job_as_it_is_now_and_makes_no_other(desk: Desk) -> None:
    first = await submit(desk)
    desk.record.succeed(first.document.id)
    again = await submit(desk)
    assert (first.replayed, again.replayed, again.document.state) == (False, True, "succeeded")
    assert again.document.id == first.document.id == stands_for(desk)
    assert desk.events.count(Event.ACCEPTED) == 1


async def test_another_request_under_the_same_key_is_refused(desk: Desk) -> None:
    await submit(desk)
    with pytest.raises(KeyReused):
        await submit(desk, value=2)
    with pytest.raises(KeyReused):
        await submit(desk, priority="high")
    assert len(desk.record.jobs) == 1


async def test_tenants_have_keys_of_their_own(desk: Desk) -> None:
    mine, theirs = await submit(desk), await submit(desk, value=2, tenant="other")
    assert (theirs.replayed, theirs.document.id == mine.document.id) == (False, False)


@pytest.mark.parametrize("kind", ["demo.sum", "demo.pure"])
async def test_a_thousand_submits_under_one_key_at_once_make_one_job(desk: Desk, kind: str) -> None:
    answers = await asyncio.gather(*(submit(desk, kind=kind) for _ in range(1_000)))
    assert {answer.document.id for answer in answers} == desk.record.jobs.keys() == {stands_for(desk)}
    assert sum(not answer.replayed for answer in answers) == 1


async def test_a_key_of_shared_work_stands_for_the_job_that_does_it(desk: Desk) -> None:
    first = await submit(desk, "one", kind="demo.pure")
    joined, again = await submit(desk, "two", kind="demo.pure"), await submit(desk, "two", kind="demo.pure")
    assert (joined.coalesced, joined.replayed) == (True, False)
    assert (again.coalesced, again.replayed) == (False, True)
    assert stands_for(desk, "two") == first.document.id


async def test_a_key_of_a_result_that_was_used_again_stands_for_it_for_ever(desk: Desk) -> None:
    first = await submit(desk, "one", kind="demo.pure")
    desk.record.succeed(first.document.id)
    reused = await submit(desk, "two", kind="demo.pure")
    desk.record.now += timedelta(days=1)
    again = await submit(desk, "two", kind="demo.pure")
    assert (reused.reused, reused.replayed) == (True, False)
    assert (again.reused, again.replayed, again.document.id) == (False, True, first.document.id)


async def test_a_reused_result_says_its_age_and_how_long_it_is_good(desk: Desk) -> None:
    first = await submit(desk, "one", kind="demo.pure")
    desk.record.succeed(first.document.id)
    desk.record.now += timedelta(seconds=20)
    for number in range(2):  # from the record, then from memory
        reused = await submit(desk, f"n{number}", kind="demo.pure")
        assert (reused.reused, reused.age_s, reused.ttl_s) == (True, 20, 40)


async def test_a_key_whose_job_never_came_is_taken_over_by_one_of_those_who_ask(desk: Desk) -> None:
    job_id = await half_way(desk)
    answers = await asyncio.gather(*(submit(desk) for _ in range(20)))
    assert {answer.document.id for answer in answers} == desk.record.jobs.keys() == {job_id}
    assert sum(not answer.replayed for answer in answers) == 1


async def test_a_key_whose_job_never_came_moves_to_the_same_work_under_way(desk: Desk) -> None:
    await half_way(desk, "demo.pure")
    other = await submit(desk, "other", kind="demo.pure")
    joined = await submit(desk, kind="demo.pure")
    assert (joined.coalesced, stands_for(desk)) == (True, other.document.id)


@pytest.mark.parametrize(("age_s", "expired"), [(ORPHAN_S - 1, False), (ORPHAN_S + 1, True)])
async def test_a_key_whose_job_is_gone_for_long_starts_nothing(
    desk: Desk, age_s: float, expired: bool
) -> None:
    await half_way(desk)
    desk.record.now += timedelta(seconds=age_s)
    if expired:
        with pytest.raises(JobExpired):
            await submit(desk)
    else:
        assert not (await submit(desk)).replayed
    assert len(desk.record.jobs) == (not expired)


async def test_a_key_of_a_deleted_job_starts_nothing(desk: Desk) -> None:
    first = await submit(desk)
    use = desk.record.uses["acme", "k"]
    del desk.record.jobs[first.document.id]
    desk.record.uses["acme", "k"] = use._replace(job_id="00000000-0000-0000-0000-000000000000")
    with pytest.raises(JobExpired):
        await submit(desk)


async def test_who_is_overtaken_between_the_statements_answers_with_the_winner(desk: Desk) -> None:
    done = await submit(desk, "done", kind="demo.pure")
    desk.record.succeed(done.document.id)

    async def overtaken(call: Any) -> Any:
        found = await call()
        raw = orjson.dumps({"kind": "demo.pure", "input": {"values": [1]}, "options": {}})
        winner = desk.record.add(desk.record.jobs[done.document.id]._replace(id=str(uuid_utils.uuid7())))
        desk.record.uses["acme", "k"] = KeyUse(raw, winner)
        return found

    desk.script["find_same"].append(overtaken)
    answer = await submit(desk, kind="demo.pure")
    assert (answer.replayed, answer.document.id) == (True, stands_for(desk))


async def test_a_record_away_while_a_key_is_asked_for_is_told(desk: Desk) -> None:
    desk.script["find_keys"].append(refused())
    with pytest.raises(ServerAway):
        await submit(desk)
    assert not desk.record.jobs


async def test_after_a_lost_reply_the_same_key_finds_the_job(desk: Desk) -> None:
    desk.script["accept"].append(lost(OutcomeUnknown()))
    with pytest.raises(OutcomeUnknown):
        await submit(desk)
    again = await submit(desk)
    assert (again.replayed, {again.document.id}) == (True, set(desk.record.jobs))


async def test_a_refresh_is_not_hidden_by_what_the_process_remembers(desk: Desk) -> None:
    async def plain(**options: Any) -> Answer:
        return await desk.submit(1, kind="demo.pure", **options)

    old = await plain()
    desk.record.succeed(old.document.id)
    assert (await plain()).reused
    desk.record.now += timedelta(seconds=5)
    new = await plain(cache="refresh")
    assert (await plain()).document.id == old.document.id
    desk.record.now += timedelta(seconds=5)
    desk.record.succeed(new.document.id)
    assert (await plain()).document.id == new.document.id


async def test_under_a_key_too_the_client_is_asked_to_come_again_after_three_rounds(desk: Desk) -> None:
    await submit(desk, "one", kind="demo.pure")
    desk.script["find_same"] += [nobody] * 4
    with pytest.raises(Overloaded):
        await submit(desk, kind="demo.pure")
    desk.record.add(next(iter(desk.record.jobs.values())), state=JobState.FAILED)
    assert (await submit(desk, kind="demo.pure")).document.id == stands_for(desk)
