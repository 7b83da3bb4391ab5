"""The api without servers: real routes and flows over a record in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx2
from pydantic import BaseModel, ConfigDict, Field

from api.access.audit import Audit
from api.access.key_admin import KeyAdmin
from api.batches.batch_wait import BatchWaiting
from api.batches.batches import Batches
from api.batches.results import BatchResults
from api.bulk.bulk_acts import BulkActs
from api.error_groups.error_groups import ErrorGroups
from api.events.feed import Feed
from api.events.job_logs import JobLogs
from api.explanation.explaining import Explaining
from api.http.body import body_limits
from api.http.held_bytes import HeldBytes
from api.http.rate_limits import KeyLimit, RateLimits
from api.http.retry_after import RetryAfterAdvisor
from api.installation.installation import Installation
from api.installation.server_watch import ServerWatch
from api.jobs.control import Control
from api.jobs.document_memory import DocumentMemory
from api.jobs.forecast import Forecast
from api.jobs.lookup import Lookup
from api.jobs.result_reuse import ResultReuse
from api.jobs.submit import Submission
from api.jobs.wait import Waiting
from api.keys.api_key import hash_secret, make_key, parse_key
from api.keys.failed_auth import FailedAuth
from api.keys.keyring import Keyring
from api.lanes.lane_control import LaneControl
from api.listing.bulk import Bulk
from api.listing.listing import Listing
from api.polls.changes import Changes
from api.polls.multi_poll import MultiPoll
from api.schedules.schedules import Scheduling
from api.state import ApiState
from api.webhooks.webhooks import Webhooks
from sluice.adapters.metrics import Metrics
from sluice.adapters.request_stats import RequestStats
from sluice.core.backlog_cap import BacklogCap
from sluice.core.count_lanes import CountLanes
from sluice.core.fair_share import FairShare
from sluice.core.job import JobState, Message
from sluice.core.lanes import Lane
from sluice.core.outbox_publisher import OutboxPublisher
from sluice.core.peppers import Peppers
from sluice.core.ports import ApiKeyRecord
from sluice.core.rate_limit import read_quota
from sluice.core.registry import Registry
from sluice.core.runtime.batching import Limits
from sluice.core.runtime.settings import Settings
from sluice.core.runtime.telemetry import Telemetry
from sluice.core.slo import Slo
from sluice.core.storage_cap import StorageCap
from sluice.handler import AnyHandler, handler
from tests.support.fake_access_store import FakeAccessStore
from tests.support.fake_api_key_store import FakeApiKeyStore
from tests.support.fake_batch_store import FakeBatchStore
from tests.support.fake_bulk_store import FakeBulkStore
from tests.support.fake_installation_store import FakeInstallationStore
from tests.support.fake_keeper_store import FakeKeeperStore
from tests.support.fake_lane_store import FakeLaneStore
from tests.support.fake_listing_store import FakeListingStore
from tests.support.fake_live_logs import FakeLiveLogs
from tests.support.fake_rate_ledger import FakeRateLedger
from tests.support.fake_schedule_store import FakeScheduleStore
from tests.support.fake_situation_store import FakeSituationStore
from tests.support.fake_storage_store import FakeStorageStore
from tests.support.fakes import FakeCache

PEPPER = "0123456789abcdef"
SHED_S = 60.0
"""Seconds that a commit may have to wait: no test is refused for a busy machine."""
PATIENT = Limits(waiting_s=SHED_S)
AT = datetime(2026, 1, 2, tzinfo=UTC)


class Numbers(BaseModel):
    """What to add."""

    model_config = ConfigDict(extra="forbid")
    values: list[int] = Field(max_length=10, examples=[[1, 2]])


class Total(BaseModel):
    """The sum."""

    total: int


@handler("demo.sum", max_input=2_000)
async def add(numbers: Numbers) -> Total:
    """Add numbers."""
    return Total(total=sum(numbers.values))


@handler("demo.pure", cache_s=60)
async def add_once(numbers: Numbers) -> Total:
    """Add numbers, and remember."""
    return Total(total=sum(numbers.values))


class Clock:
    """Time that moves when told to."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Record(FakeSituationStore, FakeApiKeyStore, FakeKeeperStore, FakeLaneStore, FakeInstallationStore):
    """Jobs, batches, keys and pauses in memory; `broker_up` tells whether RabbitMQ answers."""

    broker_up = True

    def __init__(self) -> None:
        super().__init__()
        self.batches = FakeBatchStore(self)
        self.bulk = FakeBulkStore(self)

    def add_key(self, tenant: str, *scopes: str) -> str:
        """A new key of this tenant."""
        text = make_key()
        key = parse_key(text.encode())
        assert key
        stored = hash_secret(key.secret, PEPPER.encode())
        self.keys[key.key_id] = ApiKeyRecord(key.key_id, tenant, frozenset(scopes), stored, True)
        return text

    def finish(
        self, job_id: str, state: JobState = JobState.SUCCEEDED, result: bytes | None = b'{"total":3}'
    ) -> None:
        """As a consumer would."""
        job = self.jobs[job_id]
        error = b'{"type":"gave-up"}' if state == JobState.FAILED else None
        self.jobs[job_id] = job._replace(
            state=state, version=job.version + 2, result=result, error=error, finished_at=AT
        )


class NoWebhooks:
    """A record that has no webhook, and takes none."""

    def __init__(self, record: Record) -> None:
        self._record = record

    def __getattr__(self, _: str) -> Any:
        async def find_none(*_: object) -> Any:
            self._record.check()

        return find_none


class NullBroker:
    """A RabbitMQ that takes everything."""

    async def publish(self, message: Message) -> None:
        return None


@dataclass
class InMemoryApi:
    """A client of the whole stack, and what the stack is made of."""

    client: httpx2.AsyncClient
    state: ApiState
    record: Record
    cache: FakeCache
    metrics: Metrics
    key: str
    headers: dict[str, str] = field(default_factory=dict)
    live_logs: FakeLiveLogs = field(default_factory=FakeLiveLogs)

    def as_tenant(self, tenant: str, *scopes: str) -> dict[str, str]:
        """Headers with a new key of this tenant."""
        return {"authorization": f"Bearer {self.record.add_key(tenant, *scopes)}"}

    async def somebody_waits(self) -> None:
        """Return once a request waits for its job."""
        while not len(self.state.waiting):  # noqa: ASYNC110  nothing says that a request has begun to wait
            await asyncio.sleep(0)

    async def submit(self, **body: Any) -> httpx2.Response:
        """Submit to demo.sum unless told otherwise."""
        whole = {"kind": "demo.sum", "input": {"values": [1, 2]}} | body
        return await self.client.post("/v1/jobs", json=whole)


def settings(**more: Any) -> Settings:
    """Settings that read no file and no environment worth mentioning."""
    given = {"postgres_url": "p", "redis_url": "r", "rabbitmq_url": "a", "key_pepper": PEPPER} | more
    return Settings(**given)


def build_state(
    record: Record,
    chosen: Settings,
    clock: Clock,
    cache: FakeCache | None = None,
    live_logs: FakeLiveLogs | None = None,
    requests: RequestStats | None = None,
    kinds: Iterable[AnyHandler] = (add, add_once),
    lane_names: Iterable[str] = ("default",),
) -> ApiState:
    """Make the parts of an api over a record in memory."""
    registry = Registry(kinds)
    lanes = {name: Lane(name, 8, 16) for name in lane_names}
    store, events, cache = record, Telemetry(), cache or FakeCache()
    publisher = OutboxPublisher(NullBroker(), record, lanes, events)
    lookup = Lookup(store, cache, DocumentMemory(1_000_000, 10, clock), events)
    reuse = ResultReuse(store, cache, lookup, events, 10, clock)
    waiting, advisor = Waiting(lookup, 10, lambda: True), RetryAfterAdvisor(lambda: record.now.timestamp())
    about_lanes, servers = _about_lanes(record, clock, cache, lookup), ServerWatch()
    counts, storage_cap = about_lanes["counts"], StorageCap(FakeStorageStore(), 0)
    cap = BacklogCap(counts.newest, chosen.backlog_limits)
    share = FairShare(counts, lanes, chosen.tenant_backlog, clock, (cap.check, storage_cap.check))
    submission = Submission(registry, lanes, chosen.keep_s, store, reuse, publisher, events, PATIENT, place=share.place)  # fmt: skip
    return ApiState(
        settings=chosen, registry=registry, submission=submission, lookup=lookup, waiting=waiting, advisor=advisor, cap=cap, storage_cap=storage_cap,
        limits=body_limits(registry, chosen.body_timeout_s),
        held=HeldBytes(64 * 1024, 32 * 1024),
        **_about_keys(record, clock, chosen),
        control=Control(record, cache, lookup, publisher, events, share.check),
        scheduling=Scheduling(registry, lanes, chosen.keep_s, FakeScheduleStore(), share.check),
        polls=MultiPoll(Changes(store, cache, lookup, events), waiting, advisor),
        **_about_events(record, lookup, live_logs, requests),
        **_about_lists(record, cache, publisher, events, share),
        **_about_batches(record, chosen, submission, lookup, waiting),
        **about_lanes,
        servers=servers, installation=Installation(record, servers, chosen),
    )  # fmt: skip


def _about_events(
    record: Record, lookup: Lookup, live_logs: FakeLiveLogs | None, requests: RequestStats | None
) -> dict[str, Any]:
    logs = JobLogs(record, live_logs or FakeLiveLogs(), lookup)
    feed = Feed(record, logs, 10, lambda: 60, beat_s=0.2)
    return {"logs": logs, "feed": feed, "slo": Slo(requests or RequestStats())}


def _about_keys(record: Record, clock: Clock, chosen: Settings) -> dict[str, Any]:
    access, events = FakeAccessStore(record), Telemetry()
    failures = FailedAuth(read_quota(chosen.failed_auth_rate), events, clock)
    keyring = Keyring(record, Peppers(PEPPER), 60, 600, clock, failures)
    ledger = FakeRateLedger(clock)
    quotas = {"key": chosen.submit_rate, "polls": chosen.poll_rate}
    rates = RateLimits(
        *(KeyLimit(name, read_quota(text), ledger, events, clock) for name, text in quotas.items())
    )
    admin = KeyAdmin(access, keyring, PEPPER)
    hooks: Any = NoWebhooks(record)
    return {
        "keyring": keyring,
        "rates": rates,
        "key_admin": admin,
        "audit": Audit(access),
        "webhooks": Webhooks(hooks, hooks, PEPPER),
    }


def _about_lists(
    record: Record, cache: FakeCache, publisher: OutboxPublisher, events: Telemetry, share: FairShare
) -> dict[str, Any]:
    listed = FakeListingStore(record)
    listing = Listing(listed, Peppers(PEPPER))
    bulk = Bulk(listed, cache, listing, publisher, events, share.check)
    return {"listing": listing, "error_groups": ErrorGroups(listed), "bulk": bulk}


def _about_batches(
    record: Record, chosen: Settings, submission: Submission, lookup: Lookup, waiting: Waiting
) -> dict[str, Any]:
    return {
        "bulk_acts": BulkActs(record.bulk, waiting),
        "batches": Batches(record.batches, submission, chosen.keep_s),
        "batch_waiting": BatchWaiting(record.batches, waiting),
        "batch_results": BatchResults(record.batches, lookup, waiting),
    }


def _about_lanes(record: Record, clock: Clock, cache: FakeCache, lookup: Lookup) -> dict[str, Any]:
    def now() -> float:
        return record.now.timestamp()

    counts = CountLanes(record, cache, ["default", "heavy"], clock)
    return {
        "counts": counts,
        "lanes": LaneControl(["default", "heavy"], record, cache, counts, Telemetry()),
        "forecast": Forecast(counts, now),
        "explaining": Explaining(record, lookup, counts, lambda: record.broker_up, now),
    }
