"""The lease of a consumer is renewed, given up in time, and taken anew; nothing claimed under a former one is kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from sluice.core.errors import ServerAway
from tests.support.waiting import until
from tests.unit.consumer.running_lease import BEAT_S, FENCE_S, REPORT, SPARE_S, Scene, running


@pytest.fixture
async def scene(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scene]:
    async with running(monkeypatch) as scene:
        await until(lambda: scene.record.asked)
        yield scene


async def test_the_lease_is_taken_once_and_renewed_with_a_report_of_the_work(scene: Scene) -> None:
    owner = scene.owner.id
    for _ in range(3):
        await scene.renewed()
    assert (scene.record.takes, scene.record.renewals, scene.record.opened) == (1, [REPORT] * 3, 1)
    assert scene.owner.id == owner


async def test_it_is_renewed_no_sooner_than_it_has_to_be(scene: Scene) -> None:
    for _ in range(3):
        await scene.watched()
    assert scene.record.renewals == []


async def test_every_attempt_in_hand_is_looked_after_until_it_is_settled(scene: Scene) -> None:
    attempts = [scene.hold() for _ in range(3)]
    await scene.renewed()
    assert set(scene.record.asked[-1]) == {attempt.claim for attempt in attempts}
    scene.lease.drop(attempts[0])
    scene.lease.drop(attempts[0])
    await scene.renewed()
    assert set(scene.record.asked[-1]) == {attempt.claim for attempt in attempts[1:]}
    assert repr(scene.lease) == f"<Lease {scene.owner.id}: 2 attempts in hand>"


async def test_once_it_is_over_everything_is_lost_once_and_another_is_taken_under_a_new_id(
    scene: Scene,
) -> None:
    attempts, former = [scene.hold(), scene.hold()], scene.owner.id
    scene.record.over = True
    await scene.renewed()
    later = scene.hold()
    await scene.renewed()
    assert (scene.losses, len(scene.lost), set(scene.lost)) == (1, 2, set(attempts))
    assert scene.owner.id != former
    assert (scene.record.takes, scene.record.asked[-1]) == (2, [later.claim])


@pytest.mark.parametrize("how", ["away", "frozen"])
async def test_what_cannot_be_renewed_is_given_up_before_the_record_gives_it_to_others(
    scene: Scene, how: str
) -> None:
    attempt, former = scene.hold(), scene.owner.id
    setattr(scene.record, how, True)
    scene.clock.now += FENCE_S
    await scene.watched()
    assert (scene.lost, scene.owner.id) == ([], former)
    scene.clock.now += 0.5
    await until(lambda: scene.lost)
    assert scene.lost == [attempt]
    assert scene.owner.id != former, "nothing more can be claimed under it"
    scene.record.frozen = False


async def test_a_record_that_comes_back_after_that_gives_another_lease(scene: Scene) -> None:
    attempt, former = scene.hold(), scene.owner.id
    scene.record.away = scene.record.over = True
    scene.clock.now += FENCE_S + 1
    await until(lambda: scene.lost)
    scene.record.away = False
    await scene.renewed()
    assert (scene.record.takes, scene.lost) == (2, [attempt])
    assert scene.owner.id != former


async def test_a_short_absence_costs_nothing(scene: Scene) -> None:
    scene.hold()
    scene.record.away = True
    await scene.failed()
    scene.clock.now += FENCE_S / 2
    scene.record.away = False
    await scene.renewed()
    assert (scene.record.takes, len(scene.record.renewals), scene.lost) == (1, 1, [])


async def test_a_renewal_counts_from_when_it_was_asked_for(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt, really = scene.hold(), scene.record.renew

    async def renew_slowly(report: bytes) -> bool:
        renewed = await really(report)
        scene.record.away = True
        scene.clock.now += FENCE_S + BEAT_S
        return renewed

    monkeypatch.setattr(scene.record, "renew", renew_slowly)
    scene.clock.now += BEAT_S
    await until(lambda: scene.lost)
    assert (scene.lost, len(scene.record.renewals)) == ([attempt], 1)


async def test_after_a_failure_it_is_tried_again_sooner_and_over_a_new_connection(scene: Scene) -> None:
    scene.record.away = True
    await scene.failed()
    scene.record.away = False
    scene.clock.now += BEAT_S / 4
    await until(lambda: scene.record.renewals)
    assert (scene.record.opened, scene.record.closed) == (2, 1)


async def test_a_lease_whose_taking_was_not_answered_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(monkeypatch) as scene:
        really, ids = scene.record.take, []

        async def take_unheard() -> None:
            ids.append(scene.owner.id)
            await really()
            raise ServerAway("postgresql")

        monkeypatch.setattr(scene.record, "take", take_unheard)
        await until(lambda: scene.record.closed)
        await scene.renewed()
        assert ids == [scene.owner.id], "the record would refuse the same id a second time"


async def test_no_id_is_taken_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(monkeypatch) as scene:
        ids = []

        async def refuse() -> None:
            ids.append(scene.owner.id)
            raise ServerAway("postgresql")

        monkeypatch.setattr(scene.record, "take", refuse)
        for number in range(1, 4):
            await until(lambda: len(ids) == number)  # noqa: B023  it is awaited here
            scene.clock.now += scene.beat_s
        assert len(set(ids)) == 3


async def test_contact_is_steady_only_after_two_renewals_without_an_interruption(scene: Scene) -> None:
    assert not scene.lease.is_steady
    await scene.renewed()
    assert not scene.lease.is_steady
    await scene.renewed()
    assert scene.lease.is_steady


async def test_contact_begins_anew_after_an_interruption(scene: Scene) -> None:
    for _ in range(2):
        await scene.renewed()
    scene.record.away = True
    await scene.failed()
    assert not scene.lease.is_steady
    scene.record.away = False
    seen = []
    for _ in range(3):
        await scene.renewed()
        seen.append(scene.lease.is_steady)
    assert seen == [False, False, True]


async def test_contact_begins_anew_once_the_lease_was_over(scene: Scene) -> None:
    for _ in range(2):
        await scene.renewed()
    scene.record.over = True
    await scene.renewed()
    assert not scene.lease.is_steady, "those of others may be over for the same reason"


async def test_once_the_record_has_moved_it_goes_on_over_a_new_connection_and_contact_begins_anew(
    scene: Scene,
) -> None:
    for _ in range(3):
        await scene.renewed()
    scene.lease.reconnect()
    assert not scene.lease.is_steady
    await until(lambda: scene.record.opened == 2)
    await scene.renewed()
    assert (scene.record.opened, scene.record.closed, scene.lost) == (2, 1, [])


async def test_a_process_that_was_frozen_is_not_in_steady_contact_when_it_wakes_up(scene: Scene) -> None:
    for _ in range(2):
        await scene.renewed()
    assert scene.lease.is_steady
    scene.clock.now += FENCE_S + 1
    assert not scene.lease.is_steady, "although nothing else has noticed yet"


async def test_an_attempt_that_outlives_its_limits_is_stopped_once(scene: Scene) -> None:
    brief, _ = scene.hold(timeout_s=1), scene.hold()
    scene.clock.now += 1 + SPARE_S
    await scene.watched()
    assert scene.overdue == []
    scene.clock.now += 1
    await until(lambda: scene.overdue)
    await scene.watched()
    assert (scene.overdue, scene.lost) == ([brief], []), "a host may need a while to end it"


async def test_if_that_does_not_end_it_the_lease_is_given_up_with_all_that_is_in_hand(scene: Scene) -> None:
    brief, long, former = scene.hold(timeout_s=1), scene.hold(), scene.owner.id
    scene.clock.now += 1 + 2 * SPARE_S + 1
    await until(lambda: scene.lost)
    assert set(scene.lost) == {brief, long}
    scene.clock.now += scene.beat_s  # a renewal may just have been there
    await until(lambda: scene.record.takes == 2)
    assert scene.owner.id != former


async def test_an_attempt_that_waits_its_turn_is_kept_however_long(scene: Scene) -> None:
    attempt = scene.hold(timeout_s=1)
    attempt.waiting = True
    scene.clock.now += 1 + 3 * SPARE_S
    await scene.watched()
    assert (scene.overdue, scene.lost) == ([], [])


async def test_a_close_ends_the_lease_and_a_second_one_is_harmless(scene: Scene) -> None:
    for _ in range(2):
        await scene.lease.close()
    assert (scene.record.ends, scene.record.opened, scene.record.closed) == (1, 1, 1)


async def test_a_close_before_the_start_has_nothing_to_end() -> None:
    scene = Scene()
    await scene.lease.close()
    assert (scene.record.ends, scene.record.opened) == (0, 0)


@pytest.mark.parametrize("taken", [True, False])
async def test_a_close_does_not_wait_for_a_frozen_record(
    monkeypatch: pytest.MonkeyPatch, taken: bool
) -> None:
    async with running(monkeypatch, beat_s=0.05) as scene:
        scene.record.frozen = not taken
        await until(lambda: scene.record.asked or not taken)
        scene.record.frozen = True
        await until(lambda: scene.record.opened)
        await asyncio.wait_for(scene.lease.close(), 10)
        assert (scene.record.ends, scene.record.closed) == (0, taken)
