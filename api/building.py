"""Make every flow of the api over its connections."""

from __future__ import annotations

from time import monotonic

from api.access.audit import Audit
from api.access.key_admin import KeyAdmin
from api.backlog import POSTED_S
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
from api.jobs.named_webhook import NamedWebhooks
from api.jobs.result_reuse import ResultReuse
from api.jobs.submit import Submission
from api.jobs.wait import Waiting
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
from sluice.adapters.connections import Connections
from sluice.core.backlog_cap import BacklogCap
from sluice.core.count_lanes import CountLanes
from sluice.core.fair_share import FairShare
from sluice.core.outbox_publisher import OutboxPublisher
from sluice.core.ports import ApiKeyStore, RateLedger
from sluice.core.rate_limit import read_quota
from sluice.core.registry import Registry
from sluice.core.retention import shortest_kept_s
from sluice.core.runtime.batching import Limits
from sluice.core.runtime.pepper_settings import read_peppers
from sluice.core.runtime.settings import Settings
from sluice.core.runtime.telemetry import Telemetry
from sluice.core.slo import CountedRequests, Slo
from sluice.core.storage_cap import StorageCap
from sluice.handler import AnyHandler

MIB = 1024 * 1024


class _Shared:
    """What several flows stand on."""

    def __init__(
        self,
        settings: Settings,
        registry: Registry[AnyHandler],
        connections: Connections,
        telemetry: Telemetry,
    ) -> None:
        store, cache = connections.jobs, connections.cache
        self.servers = ServerWatch(connections.pings)
        self.installation = Installation(connections.installation, self.servers, settings)
        self.publisher = OutboxPublisher(connections.broker, store, settings.all_lanes, telemetry)
        self.memory = DocumentMemory(settings.memory_mib * MIB, settings.memory_s, monotonic)
        kept_s = shortest_kept_s(registry, settings.keep_s)
        self.lookup = Lookup(store, cache, self.memory, telemetry, kept_s)
        self.reuse = ResultReuse(store, cache, self.lookup, telemetry, settings.memory_s, monotonic)
        self.waiting = Waiting(self.lookup, settings.waiters, lambda: connections.subscriptions.listening)
        self.listing = Listing(connections.listing, read_peppers(settings))
        self.counts = CountLanes(
            connections.keeper,
            connections.board,
            list(settings.lanes),
            posted_s=POSTED_S,
            limits=settings.backlog_limits,
        )
        self.storage_cap = StorageCap(connections.storage, settings.tenant_storage_mib * MIB)
        self.cap = BacklogCap(self.counts.newest, settings.backlog_limits)
        self.logs = JobLogs(connections.control, connections.live_logs, self.lookup)
        self.advisor = RetryAfterAdvisor(connections.clock)
        self.share = FairShare(
            self.counts,
            settings.all_lanes,
            settings.tenant_backlog,
            checks=[self.cap.check, self.storage_cap.check],
        )
        self.submission = _build_submission(
            settings, registry, connections, self.reuse, self.publisher, telemetry, self.share
        )
        connections.identity.follow(self.memory.clear)
        connections.identity.follow(self.reuse.clear)


def build_state(
    settings: Settings,
    registry: Registry[AnyHandler],
    connections: Connections,
    telemetry: Telemetry,
    requests: CountedRequests,
) -> ApiState:
    """Make every flow over these connections; `requests` is where requests are counted."""
    lanes, pepper = settings.all_lanes, settings.key_pepper.get_secret_value()
    shared = _Shared(settings, registry, connections, telemetry)
    lookup, counts, cache, clock = shared.lookup, shared.counts, connections.cache, connections.clock
    submission, waiting = shared.submission, shared.waiting
    keyring = _build_keyring(settings, connections.api_keys, telemetry)
    return ApiState(
        settings=settings, registry=registry, submission=submission, lookup=lookup, waiting=waiting, counts=counts, cap=shared.cap, storage_cap=shared.storage_cap,
        listing=shared.listing, logs=shared.logs, advisor=shared.advisor,
        limits=body_limits(registry, settings.body_timeout_s),
        held=HeldBytes(settings.bodies_mib * MIB, settings.tenant_bodies_mib * MIB),
        keyring=keyring,
        rates=_build_rates(settings, connections.rates, telemetry),
        key_admin=KeyAdmin(connections.access, keyring, pepper),
        audit=Audit(connections.access),
        slo=Slo(requests), servers=shared.servers, installation=shared.installation,
        webhooks=Webhooks(connections.webhooks, connections.webhook_sender, pepper, settings.webhook_verify),
        control=Control(connections.control, cache, lookup, shared.publisher, telemetry, shared.share.check),
        scheduling=Scheduling(registry, lanes, settings.keep_s, connections.schedules, shared.share.check),
        error_groups=ErrorGroups(connections.listing),
        bulk=Bulk(connections.listing, cache, shared.listing, shared.publisher, telemetry, shared.share.check),
        bulk_acts=BulkActs(connections.bulk, waiting),
        polls=_build_polls(connections, shared, telemetry),
        batches=Batches(connections.batches, submission, _batches_kept_s(settings)),
        batch_waiting=BatchWaiting(connections.batches, waiting),
        batch_results=BatchResults(connections.batches, lookup, waiting),
        lanes=LaneControl(lanes, connections.lanes, cache, counts, telemetry),
        explaining=Explaining(
            connections.situations, lookup, counts, lambda: connections.broker.connected, clock
        ),
        forecast=Forecast(counts, clock),
        feed=Feed(connections.jobs, shared.logs, settings.event_streams, lambda: waiting.ask_again_s),
    )  # fmt: skip


def _build_keyring(settings: Settings, keys: ApiKeyStore, telemetry: Telemetry) -> Keyring:
    failures = FailedAuth(read_quota(settings.failed_auth_rate), telemetry)
    return Keyring(
        keys, read_peppers(settings), settings.key_fresh_s, settings.key_stale_s, failures=failures
    )


def _build_rates(settings: Settings, ledger: RateLedger, telemetry: Telemetry) -> RateLimits:
    """Make the limits that the settings ask for."""
    return RateLimits(
        KeyLimit("key", read_quota(settings.submit_rate), ledger, telemetry),
        KeyLimit("polls", read_quota(settings.poll_rate), ledger, telemetry),
    )


def _batches_kept_s(settings: Settings) -> float:
    return max(settings.keep_s, settings.idempotency_keep_s)


def _build_polls(connections: Connections, shared: _Shared, telemetry: Telemetry) -> MultiPoll:
    changes = Changes(connections.jobs, connections.cache, shared.lookup, telemetry)
    return MultiPoll(changes, shared.waiting, shared.advisor)


def _build_submission(  # noqa: PLR0913  what the flow needs, each made once
    settings: Settings,
    registry: Registry[AnyHandler],
    connections: Connections,
    reuse: ResultReuse,
    publisher: OutboxPublisher,
    telemetry: Telemetry,
    share: FairShare,
) -> Submission:
    return Submission(
        registry,
        settings.all_lanes,
        settings.keep_s,
        connections.jobs,
        reuse,
        publisher,
        telemetry,
        Limits(waiting=settings.admit_queue, waiting_s=settings.shed_after_s),
        connections.clock,
        share.place,
        NamedWebhooks(connections.webhooks, telemetry.count_batch),
    )
