"""The keeper does every duty there is, and looks for lost messages only where there is RabbitMQ."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from consumer.keeper.timetable import LEAST, KeeperPorts, Timetable
from consumer.lease import Lease
from sluice.adapters.postgres.migrations.plain_sql import VERSIONS
from sluice.adapters.postgres.statements import QUERIES
from sluice.core.outbox_publisher import OutboxPublisher
from sluice.core.runtime.settings import Settings
from sluice.core.runtime.telemetry import Telemetry

ALWAYS = {
    "publish", "queue-due", "rescue", "fail-overdue", "fire-schedules", "prune-jobs", "prune-batches", "prune-keys", "prune-audit", "count", "bulk", "prune-bulk",
    "verify", "tell-webhooks", "send-webhooks", "prune-webhooks",
}  # fmt: skip
ONLY_WITH_RABBITMQ = {"find-lost"}
ONE_OF = {"tell-events", "forget-events"}


async def _depths() -> dict[str, int]:
    return {}


@pytest.mark.parametrize(
    ("configured", "expected"), [(True, ALWAYS | ONLY_WITH_RABBITMQ), (False, ALWAYS)]
)  # fmt: skip
def test_every_duty_is_done_that_there_is_something_for(configured: bool, expected: set[str]) -> None:
    settings = Settings(
        postgres_url="p", redis_url="r", key_pepper="0123456789abcdef", keeper_s=7, verify_s=70, audit_keep_s=57_600
    )  # fmt: skip
    others = dict.fromkeys(
        (
            "keeper",
            "schedules",
            "bulk",
            "storage",
            "verifier",
            "endings",
            "events",
            "webhooks",
            "webhook_sender",
            "cache",
            "board",
        )
    )
    ports = cast(
        KeeperPorts, SimpleNamespace(**others, connected=bool, depths=_depths if configured else None)
    )
    timetable = Timetable(ports, settings, Telemetry())
    keeper = timetable.make_keeper(cast(OutboxPublisher, None), {}, cast(Lease, None))
    assert set(keeper.rates) == expected | {"forget-events"}
    assert (keeper.rates["rescue"], keeper.rates["verify"]) == (7 * LEAST, 70)
    assert keeper.rates["prune-audit"] == 2_400


@pytest.mark.parametrize(("events", "duty"), [("kept", "tell-events"), ("live", "forget-events")])
def test_endings_are_told_where_they_are_kept_and_forgotten_elsewhere(events: str, duty: str) -> None:
    settings = Settings(
        postgres_url="p", redis_url="r", rabbitmq_url="q", key_pepper="0123456789abcdef", events=events
    )
    others = dict.fromkeys(
        (
            "keeper",
            "schedules",
            "bulk",
            "storage",
            "verifier",
            "endings",
            "webhooks",
            "webhook_sender",
            "cache",
            "board",
            "depths",
        )
    )
    ports = cast(KeeperPorts, SimpleNamespace(**others, events=object(), connected=bool))
    timetable = Timetable(ports, settings, Telemetry())
    keeper = timetable.make_keeper(cast(OutboxPublisher, None), {}, cast(Lease, None))
    assert ONE_OF & set(keeper.rates) == {duty}


@pytest.mark.parametrize(
    "files",
    [sorted(VERSIONS.glob("*.sql")), [QUERIES / "keeper_store" / "look.sql"]],
    ids=["migrations", "look"],
)
def test_the_record_knows_the_same_duties(files: list[Path]) -> None:
    text = "".join(file.read_text() for file in files)
    found = re.findall(r"insert into duties.*?;", text, re.DOTALL)
    named = re.findall(r"\('([a-z-]+)'\)", "".join(found)) or re.findall(r"\('([a-z-]+)', ", text)
    assert set(named) == ALWAYS | ONLY_WITH_RABBITMQ | ONE_OF
