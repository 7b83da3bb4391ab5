"""The keeper does every duty there is, and looks for lost messages only where there is RabbitMQ."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from consumer.keeper.timetable import KeeperPorts, Timetable
from sluice.core.catalogue import describe
from sluice.core.outbox_publisher import OutboxPublisher
from sluice.core.registry import Registry
from sluice.core.runtime.settings import Settings
from sluice.core.runtime.telemetry import Telemetry
from tests.unit.consumer import hostile_kinds as kinds

ALWAYS = {
    "CountLanes", "FailOverdueJobs", "FireSchedules", "PruneJobs", "PruneKeysAndConsumers",
    "QueueDueJobs", "RepublishOutbox", "RescueJobs", "VerifyRecord",
}  # fmt: skip
ONLY_WITH_RABBITMQ = {"FindOvertakenJobs", "FindStrandedJobs"}


@pytest.mark.parametrize(
    ("configured", "expected"), [(True, ALWAYS | ONLY_WITH_RABBITMQ), (False, ALWAYS)]
)  # fmt: skip
def test_every_duty_is_done_that_there_is_something_for(configured: bool, expected: set[str]) -> None:
    settings = Settings(
        _env_file=None, postgres_url="p", redis_url="r", key_pepper="0123456789abcdef", keeper_s=7, verify_s=70
    )  # fmt: skip
    broker = SimpleNamespace(configured=configured, connected=True)
    others = dict.fromkeys(("keeper", "prune", "statistics", "schedules", "verifier", "cache", "board"))
    ports = cast(KeeperPorts, SimpleNamespace(**others, broker=broker))
    timetable = Timetable(ports, settings, Registry([describe(kinds.echo)]), Telemetry(), dict)
    every = {
        type(duty).__name__: every_s for duty, every_s in timetable.duties(cast(OutboxPublisher, None), {})
    }
    assert set(every) == expected
    assert every["RescueJobs"] == 7
    assert every["VerifyRecord"] == 70
