"""A submission over a record whose statements can be scripted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson
import pytest

from api.jobs.document_memory import DocumentMemory
from api.jobs.lookup import Lookup
from api.jobs.named_webhook import NamedWebhooks
from api.jobs.result_reuse import MOST, ResultReuse
from api.jobs.submit import NO_HURRY, Submission
from api.jobs.submit_body import read_submit
from api.jobs.submit_result import SubmitResult
from sluice.core.errors import Invalid
from sluice.core.job import Job
from sluice.core.lanes import Lane
from sluice.core.outbox_publisher import OutboxPublisher
from sluice.core.registry import Registry
from sluice.core.runtime.batching import Limits
from sluice.core.runtime.telemetry import Telemetry
from sluice.handler import AnyHandler
from tests.support.fake_record import FakeRecord
from tests.support.fakes import Events, FakeCache, FakeMessagePublisher
from tests.support.faulty_store import FaultyStore
from tests.unit.api.in_memory_api import Clock, add, add_once

KEEP_S = 600.0


class SubmitSetup:
    """Submission over a scripted record."""

    def __init__(
        self,
        waiting: Limits = NO_HURRY,
        most: int = MOST,
        kinds: Iterable[AnyHandler] = (add, add_once),
        webhooks: NamedWebhooks | None = None,
    ) -> None:
        self.record = FakeRecord()
        self.store = FaultyStore(self.record)
        self.script = self.store.script
        self.events, self.broker = Events(), FakeMessagePublisher()
        lanes = {"default": Lane("default", 8, 16), "side": Lane("side", 1, 1)}
        telemetry, store = Telemetry(self.events), self.store.port
        self.cache, clock = FakeCache(), Clock()
        lookup = Lookup(store, self.cache, DocumentMemory(1_000_000, 10, clock), telemetry)
        self.submission = Submission(
            Registry(list(kinds)),
            lanes,
            KEEP_S,
            store,
            ResultReuse(store, self.cache, lookup, telemetry, 10, clock, most),
            OutboxPublisher(self.broker, store, lanes, telemetry),
            telemetry,
            waiting,
            webhooks=webhooks,
        )

    async def submit(
        self,
        *values: int,
        kind: str = "demo.sum",
        tenant: str = "acme",
        trace: str | None = None,
        **options: Any,
    ) -> SubmitResult:
        """Submit these numbers."""
        work = {"kind": kind, "input": {"values": values}, "options": options}
        return await self.submission.submit(tenant, read_submit(orjson.dumps(work)), trace)

    def job(self, answer: SubmitResult) -> Job:
        return self.record.jobs[answer.document.id]


async def nobody(_: Any) -> Any:
    """The record knows of nobody who does the same work."""
    return {}


def flaws(error: pytest.ExceptionInfo[Invalid]) -> list[tuple[str, str]]:
    return [(flaw.pointer, flaw.code) for flaw in error.value.flaws]
