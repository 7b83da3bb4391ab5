"""Kept events: endings stay in the record until their events are confirmed, and go where nobody tells them any more."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from consumer.keeper.tell_events import LISTENER, TOLD_AT_ONCE, ForgetEvents, TellEvents
from sluice.adapters.postgres.ending_store import PostgresEndingStore
from sluice.adapters.postgres.listing_store import PostgresListingStore
from sluice.core.access import NOTHING
from sluice.core.errors import ServerAway
from sluice.core.job_event import JobEvent, describe
from sluice.core.runtime.telemetry import Event, Telemetry
from tests.integration.record.record_fixture import Record
from tests.support.fakes import Events, FakeEventPublisher
from tests.support.make_jobs import new_jobs

MANY = TOLD_AT_ONCE + 20
DUTIES = {"tell-events": 1.0, "forget-events": 1.0}


class Scene:
    """A keeper that tells events, on a real record."""

    def __init__(self, record: Record, publisher: FakeEventPublisher) -> None:
        self.record, self.publisher, self.events = record, publisher, Events()
        self.endings = PostgresEndingStore(record.database)
        self.telling = TellEvents(self.endings, publisher, Telemetry(self.events))

    async def cancelled(self, count: int) -> Sequence[str]:
        """End so many jobs."""
        ids = await self.record.accepted(*new_jobs(count))
        await PostgresListingStore(self.record.database, self.record.settings).cancel_jobs(
            "acme", ids, NOTHING
        )
        return ids

    async def kept(self) -> int:
        """How many wait to be told."""
        return int(await self.record.sql.fetchval("select count(*) from endings"))

    async def wanted(self) -> Sequence[str]:
        """The duties of which there is something to do."""
        await self.record.sql.execute("update duties set done_at = now() - interval '1 day'")
        return list((await self.record.keeper.look(DUTIES, 3_600)).duties)


@pytest.fixture
def scene(record: Record) -> Scene:
    """One that has not begun."""
    return Scene(record, FakeEventPublisher())


async def test_endings_are_told_from_the_first_turn_on_as_the_record_has_them(scene: Scene) -> None:
    await scene.cancelled(1)
    assert await scene.telling.once() == 0, "nobody listened when it ended"
    ids = await scene.cancelled(3)
    assert await scene.telling.once() == 3
    jobs = [await scene.record.job(job_id) for job_id in ids]
    assert sorted(scene.publisher.published) == sorted(map(describe, jobs))
    assert await scene.kept() == await scene.telling.once() == 0
    assert scene.events.count(Event.EVENTS_PUBLISHED) == 3


async def test_many_are_told_at_one_turn(scene: Scene) -> None:
    await scene.telling.once()
    await scene.cancelled(MANY)
    assert await scene.telling.once() == MANY
    assert await scene.kept() == 0


async def test_what_is_not_confirmed_stays_and_is_told_again(scene: Scene) -> None:
    await scene.telling.once()
    first, second = await scene.cancelled(2)
    scene.publisher.away = True
    assert await scene.telling.once() == 0
    refusing = RefusingPublisher(first)
    telling = TellEvents(scene.endings, refusing, Telemetry(scene.events))
    assert await telling.once() == 1
    assert (await scene.kept(), subjects(refusing.published)) == (1, [second])
    scene.publisher.away = False
    assert await scene.telling.once() == 1
    assert (await scene.kept(), subjects(scene.publisher.published)) == (0, [first])
    assert scene.events.count(Event.EVENTS_DROPPED) == 0


async def test_what_nobody_foresaw_is_raised_once_the_others_are_told(scene: Scene) -> None:
    await scene.telling.once()
    first, second = await scene.cancelled(2)
    refusing = RefusingPublisher(first, RuntimeError("unforeseen"))
    with pytest.raises(RuntimeError):
        await TellEvents(scene.endings, refusing, Telemetry(scene.events)).once()
    assert (await scene.kept(), subjects(refusing.published)) == (1, [second])


async def test_where_nobody_tells_them_any_more_they_are_forgotten_after_an_hour_and_no_others_kept(
    scene: Scene,
) -> None:
    await scene.telling.once()
    await scene.cancelled(MANY)
    assert await scene.wanted() == ["tell-events"], "a fleet that is being changed has them both"
    await scene.record.sql.execute("update endings set finished_at = now() - interval '61 minutes'")
    assert sorted(await scene.wanted()) == ["forget-events", "tell-events"]
    assert await ForgetEvents(scene.endings).once() == MANY
    await scene.cancelled(1)
    assert await scene.kept() == 0
    assert await scene.wanted() == ["tell-events"], "to begin"


async def test_nothing_is_to_do_while_nothing_is_kept(scene: Scene) -> None:
    await scene.endings.listen(LISTENER)
    assert await scene.wanted() == []


class RefusingPublisher(FakeEventPublisher):
    """Refuses the events of one job."""

    def __init__(self, job_id: str, error: Exception | None = None) -> None:
        super().__init__()
        self._job_id, self._error = job_id, error or ServerAway("rabbitmq")

    async def publish(self, event: JobEvent) -> None:
        """Keep it unless it is the one."""
        if event.headers["cloudEvents_subject"] == self._job_id:
            raise self._error
        await super().publish(event)


def subjects(events: list[JobEvent]) -> list[object]:
    """The jobs of which they tell."""
    return [each.headers["cloudEvents_subject"] for each in events]
