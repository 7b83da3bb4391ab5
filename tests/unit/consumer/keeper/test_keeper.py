"""The keeper does every duty there is, and looks for lost messages only where there is RabbitMQ."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from consumer.execution import Execution
from consumer.keeper.keeper import Keeper
from sluice.adapters.connections import Connections
from sluice.adapters.metrics import Metrics
from sluice.core.outbox_publisher import OutboxPublisher
from sluice.core.registry import Registry
from sluice.core.runtime.settings import Settings
from sluice.core.runtime.telemetry import Telemetry
from tests.unit.consumer import hostile_kinds as kinds

ALWAYS = {
    "CountLanes", "DueJobs", "DueMessages", "FireSchedules", "OverdueJobs",
    "PruneJobs", "PruneNotes", "RescueJobs", "VerifyRecord",
}  # fmt: skip
ONLY_WITH_RABBITMQ = {"OvertakenJobs", "StrandedJobs"}


@pytest.mark.parametrize(
    ("configured", "expected"), [(True, ALWAYS | ONLY_WITH_RABBITMQ), (False, ALWAYS)]
)  # fmt: skip
def test_every_duty_is_done_that_there_is_something_for(configured: bool, expected: set[str]) -> None:
    settings = Settings(
        _env_file=None, postgres_url="p", redis_url="r", key_pepper="0123456789abcdef", keeper_s=7, verify_s=70
    )  # fmt: skip
    broker = SimpleNamespace(configured=configured, connected=True)
    servers = dict.fromkeys(("keeper", "prune", "statistics", "cache", "board", "schedules", "verifier"))
    opened = cast(Connections, SimpleNamespace(**servers, broker=broker))
    execution = cast(Execution, SimpleNamespace(newest={}, run_stats=SimpleNamespace(report=dict)))
    keeper = Keeper(settings, Registry([kinds.echo]), opened, Telemetry(), Metrics())
    every = {
        type(duty).__name__: every_s
        for duty, every_s in keeper.duties(cast(OutboxPublisher, None), execution)
    }
    assert set(every) == expected
    assert every["RescueJobs"] == 7
    assert every["VerifyRecord"] == 70
