"""A keeper rescues only while it is itself in steady contact with the record."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

from consumer.keeper.keeper import Duty
from consumer.keeper.timetable import KeeperPorts, Timetable
from consumer.lease import Lease
from sluice.core.job import JobState
from sluice.core.outbox_publisher import OutboxPublisher
from sluice.core.runtime.settings import Settings
from sluice.core.runtime.telemetry import Telemetry
from tests.support.fake_keeper_store import FakeKeeperStore
from tests.support.fakes import FakeCache
from tests.support.make_jobs import new_job


async def test_a_keeper_that_has_just_reached_the_record_again_rescues_nothing() -> None:
    store, contact = FakeKeeperStore(), SimpleNamespace(is_steady=False)
    await store.accept([new := new_job()])
    await store.claim([new.id], {new.kind: 1})
    store.silent.add(new.id)
    duty = _rescue_duty(store, contact)
    assert await duty() == 0
    assert store.jobs[new.id].state == JobState.RUNNING
    contact.is_steady = True
    assert await duty() == 1
    assert store.jobs[new.id].state == JobState.QUEUED


def _rescue_duty(store: FakeKeeperStore, contact: SimpleNamespace) -> Duty:
    """Return the duty as the timetable makes it."""
    settings = Settings(postgres_url="p", redis_url="r", key_pepper="0123456789abcdef")
    others = dict.fromkeys(
        (
            "schedules",
            "bulk",
            "storage",
            "verifier",
            "endings",
            "events",
            "webhooks",
            "webhook_sender",
            "board",
        )
    )
    ports = cast(
        KeeperPorts,
        SimpleNamespace(**others, keeper=store, cache=FakeCache(), connected=bool, depths=None),
    )
    keeper = Timetable(ports, settings, Telemetry()).make_keeper(
        cast(OutboxPublisher, None), {}, cast(Lease, contact)
    )
    return keeper.duties["rescue"]
