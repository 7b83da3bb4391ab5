"""Between two renewals of the lease the record hears of progress, and the flow of cancels."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence

import pytest

from sluice.core.errors import ServerAway
from sluice.core.job import Claim
from tests.support.waiting import until
from tests.unit.consumer.running_lease import Scene, running


@pytest.fixture
async def scene(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scene]:
    async with running(monkeypatch) as scene:
        await until(lambda: scene.record.asked)
        yield scene


def meanwhile(scene: Scene, monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Let this happen while the next look for cancels is under way."""
    really, left = scene.record.find_cancels, [act]

    async def look(claims: Sequence[Claim]) -> list[Claim]:
        found = await really(claims)
        if left:
            left.pop()()
        return found

    monkeypatch.setattr(scene.record, "find_cancels", look)


async def let_run() -> None:
    """Give everything that is ready its turn, many times over; a pause would not be over yet."""
    for _ in range(1_000):
        await asyncio.sleep(0)


async def test_a_cancel_is_told_once(scene: Scene) -> None:
    attempt, _ = scene.hold(), scene.hold()
    scene.record.cancelled.add(attempt.claim)
    for _ in range(3):
        await scene.renewed()
    assert scene.cancelled == [attempt]
    assert scene.lost == []


async def test_a_stop_that_is_asked_for_brings_a_look_at_once(scene: Scene) -> None:
    attempt = scene.hold()
    scene.record.cancelled.add(attempt.claim)
    scene.lease.ask_soon(attempt.job.id)
    await until(lambda: scene.cancelled)
    await let_run()
    assert scene.cancelled == [attempt]
    assert (scene.record.renewals, len(scene.record.asked)) == ([], 2), "one look is enough"


async def test_a_stop_of_a_job_that_is_not_in_hand_brings_none(scene: Scene) -> None:
    scene.hold()
    scene.lease.ask_soon("somebody else's")
    await let_run()
    assert len(scene.record.asked) == 1


async def test_a_stop_that_is_asked_for_during_a_look_brings_another(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt = scene.hold()

    def cancel() -> None:
        scene.record.cancelled.add(attempt.claim)
        scene.lease.ask_soon(attempt.job.id)

    meanwhile(scene, monkeypatch, cancel)
    scene.lease.ask_soon(attempt.job.id)
    await until(lambda: scene.cancelled)
    assert scene.cancelled == [attempt]


async def test_what_was_settled_during_the_look_is_not_told(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt = scene.hold()
    scene.record.cancelled.add(attempt.claim)
    meanwhile(scene, monkeypatch, lambda: scene.lease.drop(attempt))
    for _ in range(2):
        await scene.renewed()
    assert (scene.cancelled, scene.record.closed) == ([], 0)


async def test_a_stop_that_is_asked_for_while_the_record_is_away_is_tried_once_and_heard_with_the_renewal(
    scene: Scene,
) -> None:
    attempt = scene.hold()
    scene.record.cancelled.add(attempt.claim)
    scene.record.away = True
    await scene.failed()
    scene.lease.ask_soon(attempt.job.id)
    await let_run()
    assert scene.record.opened <= 4, "no try brings the next"
    scene.record.away = False
    await scene.renewed()
    assert scene.cancelled == [attempt]


async def test_progress_is_stored_once_and_only_while_it_is_new(scene: Scene) -> None:
    attempt, _ = scene.hold(), scene.hold()
    for news in (b'{"percent":10}', b'{"percent":20}'):
        attempt.report(b'{"percent":1}')
        attempt.report(news)
        await until(lambda: scene.moved)
        await scene.renewed()
        await scene.renewed()
        assert scene.record.progress == [{attempt.claim: news}]
        assert [list(moved) for moved in scene.moved] == [[attempt.job.id]]
        scene.record.progress.clear()
        scene.moved.clear()


async def test_progress_does_not_wait_for_the_next_renewal(scene: Scene) -> None:
    attempt = scene.hold()
    attempt.report(b"{}")
    await until(lambda: scene.moved)
    assert (scene.moved, scene.record.renewals) == ([{attempt.job.id: 3}], [])


async def test_progress_of_a_job_that_runs_no_more_moves_nothing(scene: Scene) -> None:
    attempt = scene.hold()
    scene.record.lost.add(attempt.claim)
    attempt.report(b"{}")
    await until(lambda: scene.moved)
    assert scene.moved == [{}]


async def test_progress_is_kept_until_the_record_has_taken_it(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt, really, errors = scene.hold(), scene.record.store_progress, [ServerAway("postgresql")]

    async def store(progress: Mapping[Claim, bytes]) -> dict[str, int]:
        if errors:
            raise errors.pop()
        return await really(progress)

    monkeypatch.setattr(scene.record, "store_progress", store)
    attempt.report(b"{}")
    await until(lambda: scene.record.progress)
    assert (errors, scene.record.progress) == ([], [{attempt.claim: b"{}"}])


async def test_progress_that_is_reported_while_older_is_stored_is_stored_next(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt, settled, really = scene.hold(), scene.hold(), scene.record.store_progress

    async def store(progress: Mapping[Claim, bytes]) -> dict[str, int]:
        attempt.report(b"2")
        scene.lease.drop(settled)
        return await really(progress)

    monkeypatch.setattr(scene.record, "store_progress", store)
    attempt.report(b"1")
    settled.report(b"1")
    await until(lambda: len(scene.record.progress) == 2)
    assert scene.record.progress == [{attempt.claim: b"1", settled.claim: b"1"}, {attempt.claim: b"2"}]
    assert scene.record.closed == 0


async def test_a_record_that_is_away_is_not_asked_without_a_pause_while_progress_waits(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt = scene.hold()
    scene.record.away = True
    attempt.report(b"{}")
    await scene.failed()
    monkeypatch.setattr("consumer.lease.PROGRESS_S", 60)
    tried = scene.record.opened
    await let_run()
    assert scene.record.opened - tried <= 3, "no try brings the next"
